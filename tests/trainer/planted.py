"""Clean examples, and a number of examples of each flaw that are clean but for it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_WORDS = [
    f"{one}{two}" for one in ("bal", "cor", "dim", "fen", "gor", "hul") for two in ("ada", "eno", "ira", "olu", "ute")
]
_GENERATIONS = ("character", "vpro5", "bbj-gui", "dwc")
_CODE = {
    "character": 'print @({n},2),"{w}"\ninput @({n},4),{w}$',
    "vpro5": "print (sysgui)'window'({n},10,200,100,\"{w}\",$00010002$)\n{w}$ = ctrl(sysgui,{n},1)",
    "bbj-gui": '{w}! = BBjAPI().getSysGui().addWindow({n},10,200,100,"{w}")\n{w}!.setCallback({w}!.ON_CLOSE,"done")',
    "dwc": '{w}! = BBjAPI().getWebManager()\n{w}!.executeAsyncScript("x{n}")',
}
_TURN_ROUND = {"character": "dwc", "vpro5": "bbj-gui", "bbj-gui": "character", "dwc": "vpro5"}


class Planter:
    """Makes rows in which no two are alike.

    Attributes:
        flaws: By the code that the check gives it, what spoils a clean row; a flaw that takes two rows gives two.
    """

    def __init__(self, seed: int = 7) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - the same rows each time
        self._made = 0
        self.flaws: dict[str, Callable[[], list[Row]]] = {
            "literal-backslash-n": lambda: [self._answered(lambda code: code.replace("\n", "\\n"))],
            "crlf": lambda: [self._answered(lambda code: code.replace("\n", "\r\n"))],
            "control-characters": lambda: [self._said("a\x07b")],
            "lost-characters": lambda: [self._said("Gr\ufffdn")],
            "wrong-characters": lambda: [self._said("GrÃ¼n")],
            "empty-answer": lambda: [self._answered(lambda _: "")],
            "short-answer": lambda: [self._answered(lambda _: "Yes.", kind="explanation")],
            "raw-code": lambda: [self._answered(lambda code: code.split("```")[1].removeprefix("bbj\n").rstrip())],
            "no-code": lambda: [self._answered(lambda _: self._sentence(30) + ".")],
            "no-words": lambda: [self._answered(lambda code: code, kind="explanation")],
            "wrong-fence": lambda: [self._answered(lambda code: code.replace("```bbj", "```java"))],
            "unclosed-fence": lambda: [self._answered(lambda code: code.removesuffix("\n```"))],
            "unbalanced-block": lambda: [self._answered(lambda code: code.replace("```bbj", "```bbj\nwhile 1"))],
            "contradicted-generation": lambda: [self._relabelled()],
            "too-many-tokens": lambda: [self._said(self._sentence(900))],
            "secret": lambda: [self._said("AKIA" + self._letters(16))],
            "personal-data": lambda: [self._said(f"{self._sentence(1)}.smith@basis-kunde.de")],
            "repeated-prompt": self._repeated,
            "conflicting-answers": self._conflicting,
            "near-duplicate": self._nearly,
            "wrong-roles": lambda: [self._talkative()],
            "wrong-label": lambda: [self.clean() | {"difficulty": "hard"}],
            "duplicate-key": lambda: [self.clean() | {"origin": "TWICE"}],
        }

    def clean(self, kind: str = "completion") -> Row:
        """A row without any flaw."""
        self._made += 1
        generation = _GENERATIONS[self._made % 4]
        code = "\n".join(
            _CODE[generation].format(n=self._chance.randrange(9999), w=self._chance.choice(_WORDS)) for _ in range(4)
        )
        answer = f"```bbj\n{code}\n```" if kind == "completion" else f"{self._sentence(30)}."
        return {
            "id": f"p{self._made}",
            "type": kind,
            "generation": generation,
            "difficulty": "basic",
            "messages": [
                {"role": "system", "content": f"You are {self._made}."},
                {"role": "user", "content": f"{self._sentence(12)}?"},
                {"role": "assistant", "content": answer},
            ],
        }

    def _sentence(self, words: int) -> str:
        return " ".join(f"{self._chance.choice(_WORDS)}{self._chance.choice(_WORDS)}" for _ in range(words))

    def _letters(self, count: int) -> str:
        return "".join(self._chance.choice("ABCDEFGHJKLMNPQRSTUVWXYZ23456789") for _ in range(count))

    def _answered(self, spoil: Callable[[str], str], kind: str = "completion") -> Row:
        row = self.clean()
        row["messages"][2]["content"] = spoil(row["messages"][2]["content"])
        return row | {"type": kind}

    def _said(self, text: str) -> Row:
        row = self.clean("explanation")
        row["messages"][2]["content"] += f" {text}"
        return row

    def _relabelled(self) -> Row:
        row = self.clean()
        return row | {"generation": _TURN_ROUND[row["generation"]]}

    def _repeated(self) -> list[Row]:
        row = self.clean()
        return [row, row | {"id": f"{row['id']}-again"}]

    def _conflicting(self) -> list[Row]:
        one, other = self.clean(), self.clean()
        other["messages"][1] = one["messages"][1]
        return [one, other]

    def _nearly(self) -> list[Row]:
        row = self.clean("explanation")
        system, question, answer = row["messages"]
        asked = {"role": "user", "content": f"Please: {question['content']}"}
        nearly = {"role": "assistant", "content": f"{answer['content']} Indeed."}
        again = {"id": f"{row['id']}-nearly", "messages": [system, asked, nearly]}
        return [row, row | again]

    def _talkative(self) -> Row:
        row = self.clean()
        return row | {"messages": [*row["messages"], row["messages"][-1]]}


def write(path: Path, rows: list[Row]) -> Path:
    """Writes rows as JSON Lines; where ``origin`` says ``TWICE`` it stands there twice."""
    texts = [json.dumps(row).replace('"origin": "TWICE"', '"difficulty": "basic"') for row in rows]
    path.write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
    return path
