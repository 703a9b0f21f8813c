"""The report of ``data check`` as one HTML page: plots in SVG, nothing from the network, in light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

from trainer.data.checking import CheckedData, Kind
from trainer.data.example import DIFFICULTIES, GENERATIONS, TYPES
from trainer.data.saving import save_new

LISTED = 200
"""Findings of a kind that the page lists; the JSON has more."""

_WORDS = {"error": "error", "warning": "warning", "info": "remark"}
_WIDTH, _NAMES, _ROW, _GAP = 760, 190, 22, 6  # pixels
_CELL_WIDTH, _CELL_HEIGHT = 92, 30
_STYLE = """
:root{color-scheme:light dark;--text:#1b1f24;--quiet:#57606a;--page:#fff;--line:#d0d7de;--bar:#3b6fb5;--error:#b3261e;
--warning:#9a6700;--info:#3b6fb5;--heat:59,111,181}
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--quiet:#9aa4af;--page:#0f1419;--line:#30363d;--bar:#6ea8fe;
--error:#ff8a80;--warning:#e3b341;--info:#6ea8fe;--heat:110,168,254}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--text);background:var(--page);max-width:60rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2.2rem}p.quiet,figcaption{color:var(--quiet)}
figure{margin:0;overflow-x:auto}svg{max-width:100%;height:auto;font:13px system-ui,sans-serif}svg text{fill:var(--text)}
.bar{fill:var(--bar)}.error{fill:var(--error);color:var(--error)}.warning{fill:var(--warning);color:var(--warning)}
.info{fill:var(--info);color:var(--info)}.grid{stroke:var(--line);fill:none}.heat{fill:rgb(var(--heat))}
.thin{stroke:var(--error);stroke-width:2;fill:none}
table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{border-bottom:1px solid var(--line);padding:.3rem .5rem;
text-align:left;vertical-align:top;overflow-wrap:anywhere}td.n,th.n{text-align:right;white-space:nowrap}
summary{cursor:pointer;padding:.3rem 0}dl{display:flex;flex-wrap:wrap;gap:1rem 2.5rem}dt{color:var(--quiet)}
dd{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}
"""


def write_page(path: Path, checked: CheckedData, *, least_in_cell: int) -> None:
    """Writes the page into a new file.

    Raises:
        UserInputError: There is something of that name.
        StoreAccessError: It can't be written.
    """
    save_new(path, page(checked, least_in_cell=least_in_cell))


def page(checked: CheckedData, *, least_in_cell: int) -> str:
    """The page's text."""
    parts = [
        _summary(checked),
        _section("Problems by kind", _problem_bars(checked.kinds), _kinds_table(checked.kinds)),
        _section("Tokens of an example", _token_bars(checked), f"<p class=quiet>{escape(_counted(checked))}</p>"),
        _section("What answers are", _shape_bars(checked)),
        _section("Type, generation and difficulty", _cells(checked, least_in_cell)),
        _section("All findings", *_findings(checked)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>Training data: {checked.errors:,} errors, {checked.warnings:,} warnings</title>"
        f"<style>{_STYLE}</style></head>\n<body><main>\n" + "\n".join(parts) + "\n</main></body></html>\n"
    )


def _summary(checked: CheckedData) -> str:
    compiled = ", ".join(f"{name} {count:,}" for name, count in checked.compiled.items() if count)
    numbers = {
        "Examples": checked.examples,
        "Errors": checked.errors,
        "Warnings": checked.warnings,
        "Remarks": checked.remarks,
        "Groups of near-duplicates": checked.clusters,
    }
    shown = "".join(f"<div><dt>{name}</dt><dd>{count:,}</dd></div>" for name, count in numbers.items())
    judged = f"Compiler: {compiled or 'nothing to judge'}" if checked.compiler else "No compiler: code was not judged"
    return f"<h1>Training data</h1>\n<dl>{shown}</dl>\n<p class=quiet>{escape(judged)}.</p>"


def _section(title: str, *contents: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(contents) + "</section>"


def _problem_bars(kinds: Sequence[Kind]) -> str:
    rows = [(f"{each.code} ({_WORDS[each.severity]})", each.count, each.severity) for each in kinds]
    return _bars("How often each kind of problem was found", rows)


def _token_bars(checked: CheckedData) -> str:
    rows, below = [], 0
    longest = checked.lengths.max_seq_length
    for bound, count in checked.lengths.buckets:
        name = f"{below + 1:,} to {bound:,}" if bound else f"above {below:,}"
        rows.append((name, count, "warning" if not bound or below >= longest else "bar"))
        below = bound
    return _bars(f"How many examples have how many tokens; more than {longest:,} is too long", rows)


def _counted(checked: CheckedData) -> str:
    lengths = checked.lengths
    return (
        f"Median {lengths.median:,}, longest {lengths.longest:,} tokens, max_seq_length {lengths.max_seq_length:,}; "
        f"{'' if lengths.counted_by.startswith('estimated') else 'counted by '}{lengths.counted_by}."
    )


def _shape_bars(checked: CheckedData) -> str:
    return _bars(
        "How many answers are of which shape", [(name, count, "bar") for name, count in checked.shapes.items()]
    )


def _bars(title: str, rows: Sequence[tuple[str, int, str]]) -> str:
    """A bar for each row (name, count, class), with the count behind it."""
    if not rows:
        return "<p>Nothing was found.</p>"
    most = max(count for _, count, _ in rows) or 1
    room = _WIDTH - _NAMES - 80
    drawn = []
    for number, (name, count, kind) in enumerate(rows):
        top, width = number * (_ROW + _GAP), max(round(room * count / most, 1), 2 if count else 0)
        middle = top + _ROW - 6
        drawn.append(
            f'<text x="{_NAMES - 8}" y="{middle}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="{kind}" x="{_NAMES}" y="{top}" width="{width}" height="{_ROW}" rx="3"/>'
            f'<text x="{_NAMES + width + 6}" y="{middle}">{count:,}</text>'
        )
    return _figure(title, "".join(drawn), _WIDTH, len(rows) * (_ROW + _GAP))


def _figure(title: str, drawn: str, width: int, height: int) -> str:
    return (
        f'<figure><svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}">'
        f"<title>{escape(title)}</title>{drawn}</svg><figcaption>{escape(title)}.</figcaption></figure>"
    )


def _cells(checked: CheckedData, least: int) -> str:
    counts = {(each.type, each.generation, each.difficulty): each.count for each in checked.cells}
    if not counts:
        return "<p>No example has a type and a generation: bbj-trainer data label infers them.</p>"
    graded = [each for each in (*DIFFICULTIES, "unknown") if any(cell[2] == each for cell in counts)]
    most = max(counts.values())
    return "\n".join(_heat(difficulty, counts, most, least) for difficulty in graded)


def _heat(difficulty: str, counts: dict[tuple[str, str, str], int], most: int, least: int) -> str:
    top, left = 24, 130
    drawn = [
        f'<text x="{left + column * _CELL_WIDTH + _CELL_WIDTH / 2}" y="16" text-anchor="middle">{name}</text>'
        for column, name in enumerate(GENERATIONS)
    ]
    for row, kind in enumerate(TYPES):
        y = top + row * _CELL_HEIGHT
        drawn.append(f'<text x="{left - 8}" y="{y + 20}" text-anchor="end">{kind}</text>')
        for column, generation in enumerate(GENERATIONS):
            count = counts.get((kind, generation, difficulty), 0)
            x, width, height = left + column * _CELL_WIDTH + 2, _CELL_WIDTH - 4, _CELL_HEIGHT - 4
            place = f'x="{x}" y="{y + 2}" width="{width}" height="{height}"'
            drawn.append(
                f'<rect class="heat" {place} fill-opacity="{0.5 * count / most:.2f}"/>'
                f'<rect class="{"thin" if count < least else "grid"}" {place}/>'
                f'<text x="{left + (column + 0.5) * _CELL_WIDTH}" y="{y + 20}" text-anchor="middle">{count:,}</text>'
            )
    name = "without a difficulty" if difficulty == "unknown" else difficulty
    title = f"Examples, {name}; framed where there are fewer than {least}"
    return _figure(title, "".join(drawn), left + 4 * _CELL_WIDTH, top + 4 * _CELL_HEIGHT)


def _kinds_table(kinds: Sequence[Kind]) -> str:
    if not kinds:
        return ""
    rows = "".join(
        f"<tr><td class={each.severity}>{_WORDS[each.severity]}</td><td>{escape(each.code)}</td>"
        f"<td class=n>{each.count:,}</td><td>{escape(each.first)}</td></tr>"
        for each in kinds
    )
    head = '<tr><th scope="col">Severity</th><th scope="col">Problem</th><th scope="col" class=n>Count</th>'
    return f'<details><summary>As a table</summary><table>{head}<th scope="col">First</th></tr>{rows}</table></details>'


def _findings(checked: CheckedData) -> Iterable[str]:
    by_kind = sorted(checked.findings, key=lambda each: each.code)
    grouped = {code: list(several) for code, several in groupby(by_kind, key=lambda each: each.code)}
    for kind in checked.kinds:
        several = grouped[kind.code]
        rows = "".join(
            f"<tr><td>{escape(each.where)}</td><td>{escape(each.message)}</td><td>{escape(each.hint)}</td></tr>"
            for each in several[:LISTED]
        )
        more = f"<p class=quiet>The first {LISTED} are listed.</p>" if kind.count > LISTED else ""
        yield (
            f"<details><summary><span class={kind.severity}>{_WORDS[kind.severity]}</span> {escape(kind.code)}: "
            f'{kind.count:,}</summary><table><tr><th scope="col">Where</th><th scope="col">What</th>'
            f'<th scope="col">What to do</th></tr>{rows}</table>{more}</details>'
        )
