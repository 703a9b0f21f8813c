"""Whether a release's two templates make the same prompt, and the example by which customers check it.

A conversation is rendered by the chat template that the GGUF carries, as training rendered it, and by Ollama's
template. The prompt goes into the signed release: every runtime of a customer must make the same of it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from bbj_desktop.core.differing import first_difference
from bbj_desktop.core.errors import PublishError
from bbj_desktop.core.fim import FimTemplate, fim_template
from bbj_desktop.core.gguf import GgufHeader
from bbj_desktop.core.go_syntax import GoSyntaxError, NotCheckableError, parse
from bbj_desktop.core.go_template import render_chat, render_fim
from bbj_desktop.core.release import Prompt, RenderedMessage, Rendering, Role
from bbj_desktop.core.tokenizing import tokenizer_from
from bbj_desktop.services.registry.chat_template import (
    Refused,
    Rendered,
    SpecialTokens,
    Turn,
    render_template,
    token_text,
)
from bbj_desktop.services.registry.draft import ReleaseDraft

SYSTEM: Turn = ("system", "You write BBj.\nNever say \"can't\": “Größe”, 'Maß', 漢字.")
CONVERSATION: tuple[Turn, ...] = (
    ("user", "Print \"Grüße\" & 'é' <b>\n\n\tREM {{ braces }} {% and %} \\n stay as they are"),
    ("assistant", '```bbj\nPRINT "Grüße"\n```'),
    ("user", "And backwards? → 🙂"),
)
"""Without white space at the ends: some templates cut it off, and nobody would miss it."""
PREFIX, SUFFIX = 'REM "Größe"\nfor i=1 to ', "\nnext i\n\tREM {{ braces }}\n"


@dataclass(frozen=True, slots=True)
class CheckedPrompt:
    """A prompt whose templates were compared.

    Attributes:
        prompt: With its example, where there can be one.
        unchecked: What couldn't be checked, in sentences.
    """

    prompt: Prompt
    unchecked: tuple[str, ...] = ()


def check_prompt(draft: ReleaseDraft, header: GgufHeader) -> CheckedPrompt:
    """Renders the example and compares the templates.

    Args:
        draft: Its chat template is the GGUF's.
        header: Of its model.

    Raises:
        PublishError: A template is wrong, they make different prompts, or the draft's own example isn't what the chat
            template makes of it.
    """
    _check_go_syntax(draft)
    tokens = SpecialTokens.of(header)
    if draft.role is Role.FIM:
        _check_own(draft, tokens)
        return _check_fim(draft, header)
    if not draft.prompt.jinja_template:
        return CheckedPrompt(draft.prompt, (f"{draft.name} has no chat template: nothing says how it was trained.",))
    turns = CONVERSATION if not draft.prompt.system else (SYSTEM, *CONVERSATION)
    rendered = _render(draft, turns, tokens)
    if rendered.dated:
        why = f"The prompt of {draft.name} has the time in it: customers can't compare it."
        return CheckedPrompt(draft.prompt.model_copy(update={"rendering": None}), (why,))
    unchecked = _compare_with_go(draft, turns, rendered.prompt)
    own = _check_own(draft, tokens)
    rendering = own or Rendering(messages=_messages(turns), prompt=rendered.prompt)
    return CheckedPrompt(draft.prompt.model_copy(update={"rendering": rendering}), unchecked)


def _check_go_syntax(draft: ReleaseDraft) -> None:
    """Also of templates that can't be compared, for the customer's Ollama would refuse the whole release."""
    with suppress(NotCheckableError):  # Go may know it all the same; whoever compares the prompts says so
        try:
            parse(draft.prompt.go_template)
        except GoSyntaxError as error:
            hint = "Ollama would refuse it. Mend it in the draft."
            raise PublishError(f"The Go template of {draft.name} isn't one: {error}.", hint=hint) from error


def _render(draft: ReleaseDraft, turns: tuple[Turn, ...], tokens: SpecialTokens) -> Rendered:
    rendered = render_template(draft.prompt.jinja_template, turns, tokens)
    if isinstance(rendered, Refused):
        raise PublishError(
            f"The chat template of {draft.name} can't render a conversation of {', '.join(role for role, _ in turns)}: "
            f"{rendered.why}.",
            hint="It is what the embedded engine would use. Mend the template in the GGUF and in the draft.",
        )
    return rendered


def _check_own(draft: ReleaseDraft, tokens: SpecialTokens) -> Rendering | None:
    """The draft's own example, which must be right."""
    own = draft.prompt.rendering
    if own is None:
        return None
    turns = tuple((each.role, each.content) for each in own.messages)
    rendered = _render(draft, turns, tokens)
    if rendered.prompt != own.prompt:
        raise PublishError(
            f"The chat template of {draft.name} makes another prompt of the draft's example than the draft says.",
            hint=first_difference("the draft", own.prompt, "the chat template", rendered.prompt),
        )
    return own


def _compare_with_go(draft: ReleaseDraft, turns: tuple[Turn, ...], prompt: str) -> tuple[str, ...]:
    try:
        by_go = render_chat(draft.prompt.go_template, turns)
    except NotCheckableError as error:
        return (f"Whether the Go template of {draft.name} makes the same prompt wasn't checked: {error}.",)
    if by_go != prompt:
        raise PublishError(
            f"The Go template of {draft.name} makes another prompt than its chat template.",
            hint=first_difference("the Go template", by_go, "the chat template", prompt),
        )
    return ()


def _check_fim(draft: ReleaseDraft, header: GgufHeader) -> CheckedPrompt:
    """Of a completion model only its ``.Suffix`` part is used, by Ollama for IDEs, by this program as it reads it."""
    read = fim_template(draft)
    try:
        by_go = render_fim(draft.prompt.go_template, PREFIX, SUFFIX)
    except NotCheckableError as error:
        return CheckedPrompt(draft.prompt, (f"The .Suffix part of {draft.name} wasn't checked: {error}.",))
    if read is None:
        raise PublishError(
            f"Prefix, suffix and the tokens around them can't be read from the Go template of {draft.name}.",
            hint="Write e.g. {{ if .Suffix }}<|fim_prefix|>{{ .Prompt }}<|fim_suffix|>{{ .Suffix }}<|fim_middle|>"
            "{{ else }}…{{ end }}",
        )
    _check_marks(draft, read, header)
    if by_go != read.render(PREFIX, SUFFIX):
        raise PublishError(
            f"The Go template of {draft.name} makes another completion prompt than its .Suffix part says.",
            hint=first_difference("Ollama", by_go, "the .Suffix part", read.render(PREFIX, SUFFIX)),
        )
    return CheckedPrompt(draft.prompt)


_FIM_TOKENS = ("fim_pre", "fim_suf", "fim_mid")


def _check_marks(draft: ReleaseDraft, read: FimTemplate, header: GgufHeader) -> None:
    """Prefix, suffix and middle are announced by the tokens that the model has for it, in the places for it."""
    unknown = read.unknown_marks(tokenizer_from(header.metadata))
    if unknown or "<no value>" in "".join(read.tokens):
        raise PublishError(
            f"The .Suffix part of {draft.name} names {', '.join(unknown) or 'a field that Ollama leaves empty'}, "
            "which its model has no token for.",
            hint="The model would read it as common text.",
        )
    prefix, suffix, middle = (token_text(header, name) for name in _FIM_TOKENS)
    first, second = (prefix, suffix) if read.prefix_first else (suffix, prefix)
    places = ((read.before, first), (read.between, second), (read.after, middle))
    if any(token not in text for text, token in places):
        raise PublishError(
            f"The .Suffix part of {draft.name} is {read.render('…', '…')!r}; its model's tokens for prefix, suffix and "
            f"middle are {prefix or 'not named'}, {suffix or 'not named'} and {middle or 'not named'}.",
            hint="Write them in the Go template where they belong.",
        )


def _messages(turns: tuple[Turn, ...]) -> tuple[RenderedMessage, ...]:
    return tuple(RenderedMessage.model_validate({"role": role, "content": content}) for role, content in turns)
