"""What a machine answered, before anybody made sense of it.

The text form is that of ``tail -n +1 FILE…`` with a header before it, so that most of a recording can be made with that
command alone::

    source: where it comes from
    platform: linux
    ==> /proc/cpuinfo <==
    processor : 0
    ==> $ sysctl hw <==
    hw.memsize: 17179869184
    ==> answer nvml <==
    {"driver_version": "550.54.14"}
    ==> failure nvml <==
    timeout 3
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bbj_desktop.core.errors import FormatError

FailureKind = Literal["missing", "timeout", "crash", "garbage", "exit"]

_SECTION = re.compile(r"^==> (?P<name>.+) <==$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Failure:
    """A child or a tool that gave no full answer.

    Attributes:
        kind: ``missing`` could not be started; ``timeout`` took too long; ``crash`` ended by a signal or an exception
            code; ``garbage`` answered what can't be read; ``exit`` ended early with an exit status.
        detail: Seconds for ``timeout``, the signal's name or the status for ``crash`` and ``exit``.
    """

    kind: FailureKind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RawInputs:
    """Attributes:
    platform: ``sys.platform``: ``linux``, ``darwin``, ``win32`` …
    files: Text of files by absolute path; one that couldn't be read is not there.
    tools: Standard output by command line.
    answers: What a reader (``process``, ``nvml``, ``drm``, ``volumes``, ``windows``) got from an API, by question.
    failures: What went wrong, by reader or command line. Partial answers may be there beside it.
    """

    platform: str
    files: Mapping[str, str] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    failures: Mapping[str, Failure] = field(default_factory=dict)

    def answer(self, reader: str) -> Mapping[str, Any]:
        """The reader's answers; empty when it wasn't asked."""
        return self.answers.get(reader, {})

    def text(self, path: str) -> str | None:
        """A file's text without white space around it."""
        text = self.files.get(path)
        return None if text is None else text.strip()

    def number(self, path: str) -> int | None:
        """A file that holds one whole number (decimal or ``0x…``); None when it doesn't."""
        try:
            return int(self.text(path) or "", 0)
        except ValueError:
            return None


def dump_recording(raw: RawInputs, *, source: str) -> str:
    """Writes the text form."""
    parts = [f"source: {source}\nplatform: {raw.platform}\n"]
    sections = [*raw.files.items(), *((f"$ {command}", text) for command, text in raw.tools.items())]
    sections += [(f"answer {name}", json.dumps(answer, indent=1)) for name, answer in raw.answers.items()]
    sections += [(f"failure {name}", f"{it.kind} {it.detail}".strip()) for name, it in raw.failures.items()]
    parts += [f"==> {name} <==\n{text.rstrip()}\n" for name, text in sections]
    return "".join(parts)


def load_recording(text: str) -> RawInputs:
    """Reads the text form.

    Raises:
        FormatError: It isn't one.
    """
    header, *rest = _SECTION.split(text)
    platform = re.search(r"^platform: *(\S+)$", header, re.MULTILINE)
    if platform is None:
        raise FormatError("This recording of a machine doesn't say its platform.")
    files: dict[str, str] = {}
    tools: dict[str, str] = {}
    answers: dict[str, Mapping[str, Any]] = {}
    failures: dict[str, Failure] = {}
    for name, body in zip(rest[::2], rest[1::2], strict=True):
        content = body.removeprefix("\n")
        if name.startswith("$ "):
            tools[name.removeprefix("$ ")] = content
        elif name.startswith("answer "):
            answers[name.removeprefix("answer ")] = _object(content, name)
        elif name.startswith("failure "):
            failures[name.removeprefix("failure ")] = _failure(content)
        else:
            files[name] = content
    return RawInputs(platform[1], files, tools, answers, failures)


def _object(text: str, section: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise FormatError(f"The section {section!r} of this recording isn't valid JSON: {error}.") from error
    if not isinstance(value, dict):
        raise FormatError(f"The section {section!r} of this recording isn't a JSON object.")
    return value


def _failure(text: str) -> Failure:
    kind, _, detail = text.strip().partition(" ")
    for known in get_args(FailureKind):
        if kind == known:
            return Failure(known, detail)
    raise FormatError(f"This recording knows a failure {kind!r} that doesn't exist.")
