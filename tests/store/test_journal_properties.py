"""Any operation, cut off anywhere: wholly done or never begun."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import BinaryIO

from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.journal import Entry, Journal, Unlink, Write, parse_entry

PLACES = st.sampled_from(["versions/a.json", "versions/b.json", "versions/c+2026.1-7b-q4_k_m.json", "blobs/sha256-ab"])
WRITES = st.builds(Write, place=PLACES, content=st.text(st.characters(codec="utf-8"), max_size=40))
STEPS = st.lists(WRITES | st.builds(Unlink, place=PLACES), max_size=5).map(tuple)


class _Killed(BaseException):
    """No handler may stop it."""


class _Dying(Disk):
    """Lets so many changes through; the last write is torn."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def _step(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise _Killed

    def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
        if self.left == 0:
            super().write(path, file, offset, bytes(content)[: len(content) // 2])
        self._step()
        super().write(path, file, offset, content)

    def replace(self, source: Path, target: Path) -> None:
        self._step()
        super().replace(source, target)

    def unlink(self, path: Path) -> None:
        self._step()
        super().unlink(path)


def _files(root: Path) -> dict[str, str]:
    """What the folder holds, temporary files left out."""
    found = [path for path in sorted(root.glob("*/*")) if path.suffix != ".new"]
    return {path.relative_to(root).as_posix(): path.read_bytes().decode() for path in found}


def _after(files: dict[str, str], steps: tuple[Write | Unlink, ...]) -> dict[str, str]:
    result = dict(files)
    for step in steps:
        if isinstance(step, Write):
            result[step.place] = step.content
        else:
            result.pop(step.place, None)
    return result


@settings(deadline=None, max_examples=40)
@given(first=STEPS, second=STEPS, changes=st.integers(0, 20))
def test_an_operation_cut_off_anywhere_is_done_or_never_began(
    first: tuple[Write | Unlink, ...], second: tuple[Write | Unlink, ...], changes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("versions", "blobs"):
            (root / name).mkdir()
        Journal(root, Disk()).perform("first", first)
        before = _files(root)
        try:
            Journal(root, _Dying(changes)).perform("second", second)
            ended = True
        except _Killed:
            ended = False
        Journal(root, Disk()).recover()
        after = _after(before, second)
        assert _files(root) == after or (not ended and _files(root) == before)


@given(sequence=st.integers(0, 2**60), operation=st.text(st.characters(codec="utf-8")), steps=STEPS)
def test_a_journal_reads_what_it_wrote(sequence: int, operation: str, steps: tuple[Write | Unlink, ...]) -> None:
    entry = Entry(sequence=sequence, operation=operation, steps=steps)
    assert parse_entry(entry.model_dump_json()) == entry
