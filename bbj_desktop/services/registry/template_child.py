"""The process in which a model's chat template is rendered: a template is a program of somebody else's.

It is rendered as the training library does: the same sandbox, white space, functions and filters (transformers,
``utils/chat_template_utils.py``; llama.cpp's own interpreter is made to agree with it). Run as a plain file, so it
imports nothing of the program (and starts fast).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.exceptions import TemplateRuntimeError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

MEMORY_BYTES = 2**30
MAX_PROMPT_CHARACTERS = 300_000
"""Of up to twelve bytes each, as they are handed over: whoever reads them takes 4 MiB (``services.processes``)."""


class _Generation(Extension):
    """``{% generation %}`` marks what is trained on; in the prompt it is nothing."""

    tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class Clock:
    """Whether a template asked for the time: then what it renders is another text tomorrow."""

    asked = False

    def now(self, form: str) -> str:
        self.asked = True
        return form


def render(template: str, messages: Sequence[Mapping[str, str]], bos: str, eos: str, clock: Clock) -> str:
    """The prompt of a conversation, up to where the answer begins.

    Args:
        messages: Each with ``role`` and ``content``.
        bos: Text of the token that begins a text; empty for none.
        eos: Of the one that ends it.
        clock: Told whether the time was asked for.

    Raises:
        jinja2.TemplateError: The template is wrong, refuses the conversation, or would leave its sandbox.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols], autoescape=False
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {"raise_exception": _refuse, "strftime_now": clock.now}
    written: list[str] = []
    length = 0
    stream = environment.from_string(template).generate(
        messages=messages, tools=None, documents=None, add_generation_prompt=True, bos_token=bos, eos_token=eos
    )
    for piece in stream:
        length += len(piece)
        if length > MAX_PROMPT_CHARACTERS:
            raise TemplateRuntimeError(f"it makes a prompt of more than {MAX_PROMPT_CHARACTERS} characters")
        written.append(piece)
    return "".join(written)


def _refuse(message: str) -> NoReturn:
    raise TemplateError(message)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """jinja2's own would escape for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has none: there is the time limit
        return
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    most = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
    if sys.platform != "darwin":  # where it is refused
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))


def main() -> int:
    """Reads ``{"template", "messages", "bos", "eos"}`` from the file that the last argument names, and says
    ``{"prompt", "dated"}`` or ``{"refused"}``."""
    asked = json.loads(Path(sys.argv[-1]).read_bytes())
    _limit_memory()
    clock = Clock()
    try:
        prompt = render(asked["template"], asked["messages"], asked["bos"], asked["eos"], clock)
        prompt.encode()  # half of a pair of surrogates is no text
        said: dict[str, object] = {"prompt": prompt, "dated": clock.asked}
    except TemplateError as error:
        said = {"refused": f"{error.message or type(error).__name__}"}
    except MemoryError:
        said = {"refused": "it takes too much memory"}
    except RecursionError:
        said = {"refused": "it calls itself without end"}
    except Exception as error:  # noqa: BLE001 - a template can raise what Python can: 1/0, {}["a"] …
        said = {"refused": f"{type(error).__name__}: {error}"}
    sys.stdout.buffer.write(json.dumps(said).encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
