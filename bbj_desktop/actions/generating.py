"""Code on request, for other programs: what is generated has been compiled where there is a compiler."""

from __future__ import annotations

from enum import StrEnum
from itertools import count

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.chatting import open_conversation
from bbj_desktop.actions.checking import (
    MENDING_ATTEMPTS,
    ask_until_it_compiles,
    check_answer,
    check_code,
    compiler_for,
)
from bbj_desktop.actions.context import Context
from bbj_desktop.core.chat import Delta, Finished
from bbj_desktop.core.compiling import CheckedAnswer, CompileReport, Judgement, Verdict, not_judged
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.progress import Cancel, Report, Step


class Generation(StrEnum):
    """The four kinds of BBj that live side by side."""

    CHARACTER = "character"
    VPRO5 = "vpro5"
    BBJ_GUI = "bbj-gui"
    DWC = "dwc"


_MEANING = {
    Generation.CHARACTER: "a character program (PRINT @(column,row), INPUT)",
    Generation.VPRO5: "Visual PRO/5 (mnemonics to a SYSGUI channel, CTRL)",
    Generation.BBJ_GUI: "BBj's graphical objects (BBjAPI().getSysGui(), addWindow, setCallback, process_events)",
    Generation.DWC: "the Dynamic Web Client (graphical objects in a browser, getWebManager(), executeAsyncScript)",
}


class CodeRequest(BaseModel):
    """What is wanted.

    Attributes:
        prompt: The task in words.
        generation: Kind of BBj to write.
        surrounding: Code that the new code belongs into; may be empty.
    """

    model_config = ConfigDict(frozen=True)

    prompt: str
    generation: Generation
    surrounding: str = ""

    def text(self) -> str:
        """As the model is asked."""
        parts = [self.prompt, f"Write it for {_MEANING[self.generation]}, in one ```bbj block."]
        if self.surrounding.strip():
            parts.append(f"It belongs into this code:\n\n```bbj\n{self.surrounding.rstrip()}\n```")
        return "\n\n".join(parts)


class GeneratedCode(BaseModel):
    """What came of it.

    Attributes:
        code: The BBj of the last answer, its blocks one after the other; empty when it holds none.
        answer: The whole last answer.
        verdict: The compiler's, over all blocks.
        lines: What it refuses, e.g. ``line 3: PRINT (sysgui``, or why it didn't judge.
        attempts: How often the model was asked, the first time included.
        version: Key of the version that answered.
    """

    model_config = ConfigDict(frozen=True)

    code: str
    answer: str
    verdict: Verdict
    lines: tuple[str, ...]
    attempts: int
    version: str


def generate_code(
    context: Context,
    request: CodeRequest,
    report: Report,
    cancel: Cancel,
    *,
    model: str | None = None,
    attempts: int = MENDING_ATTEMPTS,
) -> GeneratedCode:
    """Asks an installed model for code and has it mend what the compiler refuses.

    Args:
        model: Key of an installed version; None: the active chat version.
        attempts: How often it may try again.

    Raises:
        UserInputError: The prompt is empty.
        NotFoundError: Nothing (like it) is installed.
        EngineError: The runtime fails.
        Cancelled: On request.
    """
    if not request.prompt.strip():
        raise UserInputError("There is no task to write code for.", hint="Say in the prompt what the code shall do.")
    compiler = compiler_for(context.settings.values)
    conversation = open_conversation(context, model)
    asked = count()
    reasons: list[str] = []  # why each answer ended

    def ask(text: str) -> str:
        attempt = next(asked)
        what = f"Mending the code, attempt {attempt} of {attempts}" if attempt else "Writing the code"
        report(Step("mend" if attempt else "write", what))
        events = tuple(conversation.ask(text, cancel))
        cancel.check()
        reasons.extend(event.statistics.stop_reason for event in events if isinstance(event, Finished))
        return "".join(event.text for event in events if isinstance(event, Delta))

    def check(answer: str) -> CheckedAnswer:
        report(Step("compile", "Compiling the code"))
        return check_answer(compiler, answer, cancel, cut_off=reasons[-1:] == ["length"])

    tried = list(ask_until_it_compiles(request.text(), ask, check, lambda attempt: attempt <= attempts))
    answer, checked = tried[-1]
    return GeneratedCode(
        code="\n".join(block.code for block in checked.blocks),
        answer=answer,
        verdict=checked.verdict,
        lines=_lines(checked),
        attempts=len(tried),
        version=conversation.version.key,
    )


def validate_code(context: Context, code: str, cancel: Cancel) -> CompileReport:
    """What the compiler of this machine says of a piece of code; without one it is "not judged". Raises Cancelled."""
    if not code.strip():  # it would compile
        return CompileReport(syntax=not_judged("There is no code."))
    return check_code(compiler_for(context.settings.values), code, cancel)


def lines_of(judgement: Judgement | None) -> tuple[str, ...]:
    """The refused lines, or the reason why there is no verdict."""
    if judgement is None:
        return ()
    refused = tuple(f"line {error.line}: {error.source}" for error in judgement.errors)
    return refused or tuple(filter(None, [judgement.reason]))


def _lines(checked: CheckedAnswer) -> tuple[str, ...]:
    if not checked.blocks:
        return ("The answer holds no block of BBj.",)
    return tuple(dict.fromkeys(line for block in checked.blocks for line in lines_of(block.report.syntax)))
