"""What ``bbj-trainer data check`` costs: time, processor time and memory, by the number of examples.

    python benchmarks/data_check.py [--examples 50000]

The examples are chats of some 200 tokens at the median: a question in words, an answer with code in a fence; one in
fifty repeats another one or nearly so.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parent.parent
_NOUNS = ("customer", "order", "invoice", "item", "stock", "price", "tax", "report", "user", "window", "button", "grid")
_VERBS = ("read", "write", "print", "show", "find", "sort", "count", "check", "update", "delete", "copy", "load")


def main() -> int:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=50_000, metavar="N")
    count = parser.parse_args().examples
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "generated.jsonl")
        data.write_text("".join(f"{json.dumps(row)}\n" for row in rows(count)), encoding="utf-8")
        command = [sys.executable, "-m", "trainer", "data", "check", str(data), "--no-compiler"]
        begun = time.perf_counter()
        with subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True) as process:
            most_bytes = watched(process)
            print(process.communicate()[0])
        seconds = time.perf_counter() - begun
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = data.stat().st_size / 1e6
    cpu = used.ru_utime + used.ru_stime
    print(f"{count:,} examples ({size:.0f} MB): {seconds:.1f} s, processor {cpu:.1f} s, {most_bytes / 2**20:.0f} MiB")
    return process.returncode if process.returncode > 1 else 0


def watched(process: subprocess.Popen[str]) -> int:
    """The most memory, in bytes, that a process and its children had at once, looked at ten times a second."""
    most = 0
    while process.poll() is None:
        with suppress(psutil.Error):
            family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            most = max(most, sum(each.memory_info().rss for each in family))
        time.sleep(0.1)
    return most


def rows(count: int) -> list[dict[str, object]]:
    """Generated chats, the same each time."""
    chance = random.Random(1)  # noqa: S311 - repeatable
    made: list[dict[str, object]] = []
    for number in range(count):
        if number and chance.random() < 0.02:
            made.append(made[chance.randrange(len(made))])
            continue
        question = f"Write code number {number} that {_words(chance, 12)} for the {chance.choice(_NOUNS)}."
        made.append(
            {
                "type": "completion",
                "generation": "bbj-gui",
                "messages": [
                    {"role": "system", "content": "You are an expert BBj programmer."},
                    {"role": "user", "content": question},
                    {
                        "role": "assistant",
                        "content": f"{_words(chance, 20)}.\n\n```bbj\n{_code(chance)}\n```\n\n{_words(chance, 15)}.",
                    },
                ],
            }
        )
    return made


def _words(chance: random.Random, count: int) -> str:
    return " ".join(f"{chance.choice(_VERBS)} {chance.choice(_NOUNS)}{chance.randrange(99)}" for _ in range(count // 2))


def _code(chance: random.Random) -> str:
    lines = []
    for _ in range(chance.randint(2, 12)):
        noun, verb, number = chance.choice(_NOUNS), chance.choice(_VERBS), chance.randrange(1000)
        lines += chance.choice(
            [
                [f"rem {verb} the {noun}", f'{noun}$ = "{verb} {number}"'],
                [f"for i = 1 to {number}", f"    {noun}! = {verb}{number}!.getItem(i)", "next i"],
                [f"if {noun} > {number} then", f'    print "{noun} {verb}", {noun}', "fi"],
                [
                    f'{noun}! = window!.addButton({number},10,20,90,25,"{verb}")',
                    f'{noun}!.setCallback({noun}!.ON_BUTTON_PUSH,"{verb}")',
                ],
                [f"while {noun} < {number}", f"    {noun} = {noun} + 1", "wend"],
            ]
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
