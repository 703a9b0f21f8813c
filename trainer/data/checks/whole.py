"""What only shows in the data as a whole: one system prompt in every example, cells with too few examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from trainer.data.checks.examined import Examined
from trainer.data.example import DIFFICULTIES, GENERATIONS, TYPES
from trainer.data.finding import Finding

LEAST_IN_CELL = 5
"""Examples below which a cell is thin."""

Cell = tuple[str, str, str]
_LEAST_EXAMPLES = 10  # fewer don't show a habit


def check_system_prompts(several: Sequence[Examined]) -> Iterator[Finding]:
    """Says that all examples begin with the same system prompt."""
    counts = Counter(each.system for each in several)
    system, count = counts.most_common(1)[0] if counts else (b"", 0)
    if system and count == len(several) >= _LEAST_EXAMPLES:
        message = f"One system prompt opens all {count:,} examples: the model learns to need it."
        hint = "Train with the prompt that will be used, or without one: bbj-trainer data fix --drop-system-prompt."
        yield Finding(code="one-system-prompt", severity="info", message=message, hint=hint)


def cells(several: Sequence[Examined]) -> Counter[Cell]:
    """How many examples each cell has: one that belongs to several generations counts in each, ``all`` in all four;
    what has no label is left out."""
    counts: Counter[Cell] = Counter()
    for each in several:
        kind, generations, difficulty = each.cell
        for generation in GENERATIONS if generations == ("all",) else generations:
            if kind in TYPES and generation in GENERATIONS:
                counts[kind, generation, difficulty] += 1
    return counts


def check_cells(several: Sequence[Examined], least: int = LEAST_IN_CELL) -> Iterator[Finding]:
    """Finds thin cells of type, generation and difficulty; where no example has a difficulty, of the first two."""
    counts = cells(several)
    unlabelled = sum(each.cell[0] == "unknown" or each.cell[1] == ("unknown",) for each in several)
    if unlabelled:
        message = f"{unlabelled:,} of {len(several):,} examples lack type or generation."
        hint = "bbj-trainer data label infers them; then name its file by --labels."
        yield Finding(code="unlabelled", severity="info", message=message, hint=hint)
    if not counts:
        return
    graded = [each for each in DIFFICULTIES if any(cell[2] == each for cell in counts)]
    for kind in TYPES:
        for generation in GENERATIONS:
            for difficulty in graded or ["unknown"]:
                count = counts[kind, generation, difficulty]
                if count < least:
                    name = ", ".join((kind, generation, difficulty)[: 3 if graded else 2])
                    message = f"{name}: {count or 'no'} example{'' if count == 1 else 's'}; {least} are the least."
                    yield Finding(code="thin-cell", severity="info", message=message, hint="Write some.")
