"""A failed answer as the makers' training data take it in: question, answer, the compiler's lines, a correction.

Nothing is sent: a Markdown file is written, redacted, that its author reads and hands on if they want to.
"""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.compiling import CheckedAnswer, Verdict, code_blocks
from bbj_desktop.core.errors import StoreAccessError, UserInputError
from bbj_desktop.services.redacting import Redactor

MAX_TITLE = 80  # characters
_PASSWORD = re.compile(
    r"(?i)(\b\w*(?:password|passwd|passwort|kennwort|pwd|secret|token|api_?key)\w*[$!]?\s*=\s*)\"(?:[^\"]|\"\")*\""
)
_PATH = re.compile(
    r"(?<![\w.:/\\~<-])(?:[A-Za-z]:[\\/]|~/|/(?=[\w.-]+/)|\\\\)(?:[\w. -]*[\w.-][\\/])*(?P<name>[\w.-]+)"
)


class FieldReport(BaseModel):
    """A report, not yet written.

    Attributes:
        text: The Markdown file's content.
        verdict: What the compiler says of the answer.
    """

    model_config = ConfigDict(frozen=True)

    text: str
    verdict: Verdict

    def write(self, path: Path) -> None:
        """Writes a new file.

        Raises:
            UserInputError: There is a file already.
            StoreAccessError: It can't be written.
        """
        try:
            with path.open("x", encoding="utf-8", newline="\n") as file:
                file.write(self.text)
        except FileExistsError as error:
            raise UserInputError(f"There is a file {path} already.", hint="Name another one.") from error
        except OSError as error:
            raise StoreAccessError(f"{path} can't be written: {error.strerror or error}.") from error


def field_report(
    question: str, answer: str, checked: CheckedAnswer, redactor: Redactor, *, correction: str = "", generation: str
) -> FieldReport:
    """Puts a report together.

    Args:
        question: What was asked.
        answer: What the model said, as Markdown.
        checked: What the compiler says of the answer.
        redactor: Takes names of people and machines out.
        correction: The right code; empty when nobody knows it.
        generation: ``all``, ``character``, ``vpro5``, ``bbj-gui`` or ``dwc``.

    Raises:
        UserInputError: There is no question or no answer.
    """
    asked, said, right = (_clean(text, redactor) for text in (question, answer, correction))
    if not asked or not said:
        raise UserInputError("A report needs the question and the answer.", hint="Give both.")
    title = asked.split("\n", 1)[0]
    matter = {
        "title": title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…",
        "type": "completion",
        "generation": generation,
        "tags": ["field-report"],
        "description": asked,
    }
    parts = [
        "---",
        *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in matter.items()),  # JSON is YAML
        "---\n\n## Code\n",
        *([_fenced(_code(right), "bbj") + "\n"] if right else []),
        "## Failed Answer\n",
        _fenced(said, "markdown") + "\n",
        "## Compiler\n",
        _fenced(_clean(_said(checked), redactor), "text"),
    ]
    return FieldReport(text="\n".join(parts) + "\n", verdict=checked.verdict)


def _said(checked: CheckedAnswer) -> str:
    lines = [f"{checked.verdict}"]
    for block in checked.blocks:
        judgement = block.report.syntax
        lines += [f"answer line {block.line + each.line - 1}: {each.source}" for each in judgement.errors]
        lines += [judgement.reason] if judgement.reason else []
    return "\n".join(lines)


def _clean(text: str, redactor: Redactor) -> str:
    """Without secrets, people, machines, folders and control characters."""
    text = "".join(
        sign for sign in text.replace("\r\n", "\n") if sign in "\n\t" or unicodedata.category(sign) not in ("Cc", "Cs")
    )
    text = _PASSWORD.sub(r'\1"…secret…"', text)
    return _PATH.sub(r"…/\g<name>", redactor.text(text)).strip()


def _code(text: str) -> str:
    """The code of a correction, which may come in a fence."""
    blocks = code_blocks(text)
    return blocks[0].code.rstrip("\n") if blocks else text


def _fenced(text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"
