"""Findings as people read them: ``file:line: severity: message`` as compilers say it, and what to do below."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.cli.screen import Screen
from trainer.data.finding import SEVERITIES, Finding

SHOWN = 20  # findings, before the rest is only counted


def has_error(findings: Sequence[Finding]) -> bool:
    """Whether one of them is an error, which makes a command end with 1."""
    return any(each.severity == "error" for each in findings)


def show_findings(screen: Screen, findings: Sequence[Finding], *, limit: int = SHOWN) -> None:
    """Prints findings, the worst first, then how many of each severity there are."""
    worst_first = sorted(findings, key=lambda each: SEVERITIES.index(each.severity))
    for each in worst_first[:limit]:
        where = f"{each.where}: " if each.where else ""
        screen.line(f"{where}{each.severity}: {each.message}")
        if each.hint:
            screen.line(f"    {each.hint}")
    if len(findings) > limit:
        screen.line(f"… and {len(findings) - limit:,} more; --json lists all.")
    if findings:
        screen.line(counted(findings))


def counted(findings: Sequence[Finding]) -> str:
    """``2 errors, 1 warning``."""
    counts = [(name, sum(each.severity == name for each in findings)) for name in SEVERITIES]
    named = {"error": ("error", "errors"), "warning": ("warning", "warnings"), "info": ("remark", "remarks")}
    return ", ".join(f"{count:,} {named[name][count != 1]}" for name, count in counts if count)
