"""What is said of templates is held against Go's own package, where Go is installed."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.go_syntax import NotCheckableError
from bbj_desktop.core.go_template import render_chat, render_fim

_OPERANDS = (
    *(".System", ".Prompt", ".Response", ".Suffix", ".Messages", ".Role", ".Content", ".Tools", ".Think", ".Foo"),
    *(".", "$", "$.System", "$.Messages", "$m", "$m.Role", "$m.Content", "$i", ".Role.Foo"),
    *(
        '"user"',
        '"assistant"',
        '"system"',
        "0",
        "1",
        "-1",
        "0x10",
        "'a'",
        "true",
        "false",
        "nil",
        "`raw`",
        '"\\n"',
        "1.5",
    ),
)
_FUNCTIONS = ("eq", "ne", "and", "or", "not", "len", "index", "slice", "lt", "le", "gt", "ge", "print", "html", "json")
_TEXTS = ("<|im_start|>", "user", "\n", "  \n ", "<|im_end|>\n", "ü {", "}", " ", "\t\n", "")
_CONVERSATIONS = (
    [("system", 'Be\n"brief"'), ("user", "What <is> 'that'?"), ("assistant", "ü\n"), ("user", "And?")],
    [("user", "a"), ("assistant", "b")],
)


class _Templates:
    """Makes templates up, sensible ones and others."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - for variety, not for secrets

    def _chance(self, share: float) -> bool:
        return self._random.random() < share

    def nodes(self, depth: int) -> str:
        return "".join(self._node(depth) for _ in range(self._random.choice((0, 1, 1, 2, 3))))

    def _node(self, depth: int) -> str:
        if self._chance(0.35):
            return self._random.choice(_TEXTS)
        if self._chance(0.4):
            return self._action(self._pipe(2))
        if self._chance(0.2):
            return self._action(self._random.choice(("/* c */", "$m := .Role", "$i := len .", "$m = .Content")))
        return self._block(depth - 1) if depth else ""

    def _block(self, depth: int) -> str:
        kind = self._random.choice(("if", "if", "range", "with"))
        head = self._pipe(2)
        if kind == "range":
            head = self._random.choice(("", "$m := ", "$i, $m := ")) + self._random.choice((".Messages", "$.Messages"))
        text = self._action(f"{kind} {head}") + self.nodes(depth)
        if kind == "if" and self._chance(0.3):
            text += self._action(f"else if {self._pipe(2)}") + self.nodes(depth)
        if self._chance(0.3):
            text += self._action("else") + self.nodes(depth)
        return text + self._action("end")

    def _action(self, inside: str) -> str:
        begin = self._random.choice(("{{", "{{ ", "{{- ", "{{-\n"))
        return begin + inside + self._random.choice(("}}", " }}", " -}}", "\n-}}"))

    def _pipe(self, depth: int) -> str:
        pipe = self._command(depth)
        return f"{pipe} | {self._command(depth)}" if self._chance(0.15) else pipe

    def _command(self, depth: int) -> str:
        if self._chance(0.5):
            return self._operand(depth)
        operands = (self._operand(depth) for _ in range(self._random.choice((0, 1, 1, 2, 2, 3))))
        return " ".join((self._random.choice(_FUNCTIONS), *operands))

    def _operand(self, depth: int) -> str:
        if depth and self._chance(0.2):
            return f"({self._pipe(depth - 1)})" + (".Role" if self._chance(0.1) else "")
        return self._random.choice(_OPERANDS)


def _cases(seed: int, count: int) -> Iterator[dict[str, Any]]:
    templates = _Templates(seed)
    for number in range(count):
        template = templates.nodes(3)
        if number % 8 == 0:
            yield {"Template": template, "Prompt": "before\n", "Suffix": "behind ü"}
            continue
        turns = _CONVERSATIONS[number % 2]
        system = "".join(content for role, content in turns if role == "system")
        # without .Messages Ollama renders turn by turn, which is Ollama's own doing
        yield {"Template": template + "{{ range .Messages }}.{{ end }}", "System": system, "Messages": turns}


def _ours(case: dict[str, Any]) -> str | None:
    try:
        if "Suffix" in case:
            return render_fim(case["Template"], case["Prompt"], case["Suffix"])
        return render_chat(case["Template"], case["Messages"])
    except NotCheckableError:
        return None


@pytest.fixture
def go(tmp_path: Path) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    found = shutil.which("go")
    if found is None:
        pytest.skip("needs Go (Debian: golang-go)")
    program = tmp_path / "render"
    source = Path(__file__).with_name("go_itself.go")
    home = {"HOME": str(tmp_path), "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-mod=mod", "GO111MODULE": "off"}
    subprocess.run([found, "build", "-o", program, source], check=True, env=home)

    def render(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        lines = "".join(json.dumps(case) + "\n" for case in cases)
        said = subprocess.run([program], input=lines, capture_output=True, check=True, encoding="utf-8")
        return [json.loads(line) for line in said.stdout.splitlines()]

    return render


def test_what_is_said_of_a_template_is_what_go_renders(
    go: Callable[[list[dict[str, Any]]], list[dict[str, Any]]],
) -> None:
    cases = list(_cases(random.getrandbits(32), 4000))
    said = [
        (case, ours, theirs) for case, theirs in zip(cases, go(cases), strict=True) if (ours := _ours(case)) is not None
    ]
    assert len(said) > 1000
    assert [each for each in said if each[2] != {"Refused": False, "Text": each[1]}] == []
