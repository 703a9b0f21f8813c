"""What a crash at any moment may do to the store: nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.errors import FormatError, NoSpaceError, StoreAccessError, StoreBusyError
from bbj_desktop.core.versions import Registration
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.journal import parse_entry
from bbj_desktop.services.store.store import Store
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of

NEW, OLD = "bbj-coder:2026.2-7b-q4_1", "bbj-coder:2026.1-7b-q4_1"


class _PowerCut(BaseException):
    """The process ends here: no handler of the program may stop it."""


class _Dying(Disk):
    """Lets so many changes through, then the process is dead. The last write is torn."""

    def __init__(self, changes: int) -> None:
        self.left = changes
        self.count = 0

    def _step(self) -> None:
        self.count += 1
        self.left -= 1
        if self.left < 0:
            raise _PowerCut

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

    def truncate(self, path: Path, file: BinaryIO, length: int) -> None:
        self._step()
        super().truncate(path, file, length)


def prepared(root: Path) -> Path:
    """A store with two versions of a slot, the older one active."""
    store = Store(root)
    for version, content in (("2026.1", b"old"), ("2026.2", b"new")):
        path = store.blob_path(digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        store.install(installed(path, version=version, model="bbj-coder", size="7b"))
    store.activate(OLD)
    return root


def state(root: Path) -> dict[str, tuple[bool, int]]:
    return {version.key: (version.active, len(version.registrations)) for version in Store(root).versions()}


def install_active(store: Store) -> None:
    path = store.blob_path(digest_of(b"newest"))
    path.write_bytes(b"newest")
    newest = installed(path, version="2026.3", model="bbj-coder", size="7b")
    store.install(newest.model_copy(update={"active": True}))


OPERATIONS: dict[str, Callable[[Store], object]] = {
    "activate": lambda store: store.activate(NEW),
    "remove": lambda store: store.remove(NEW),
    "register": lambda store: store.register(NEW, Registration(runtime="ollama", tag=NEW)),
    "install": install_active,
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_an_operation_is_done_or_never_began(tmp_path: Path, operation: Callable[[Store], object]) -> None:
    before = state(prepared(tmp_path / "plain"))
    operation(Store(tmp_path / "plain"))
    after = state(tmp_path / "plain")
    assert before != after
    outcomes = []
    for changes in range(1000):
        root = prepared(tmp_path / f"dies after {changes}")
        try:
            operation(Store(root, disk=_Dying(changes)))
        except _PowerCut:
            assert state(root) in (before, after), changes
            outcomes.append(state(root))
            operation(Store(root)) if state(root) == before else None
            assert state(root) == after
            assert Store(root).problems() == ()
        else:
            break
    assert outcomes.count(before) > 0
    assert outcomes.count(after) > 0
    assert outcomes == sorted(outcomes, key=lambda each: each == after)


def test_a_reader_between_the_steps_sees_the_operation_done(tmp_path: Path) -> None:
    root = prepared(tmp_path / "store")
    disk = _Dying(5)  # dies after the journal is written, before the second record is
    with pytest.raises(_PowerCut):
        Store(root, disk=disk).activate(NEW)
    reader = Store(root, lock_timeout_s=0)
    assert [version.key for version in reader.versions() if version.active] == [NEW]


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    class Full(Disk):
        def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
            del file, offset
            raise NoSpaceError("full", needed_bytes=len(content), free_bytes=0, path=path)

    root = prepared(tmp_path / "store")
    with pytest.raises(NoSpaceError):
        Store(root, disk=Full()).activate(NEW)
    assert state(root) == {NEW: (False, 0), OLD: (True, 0)}


def test_a_file_that_an_engine_holds_stays_as_a_leftover(tmp_path: Path) -> None:
    class Held(Disk):
        def unlink(self, path: Path) -> None:
            if path.parent.name == "blobs" and not path.suffix:
                raise StoreAccessError(f"{path} is in use.")
            super().unlink(path)

    store = Store(prepared(tmp_path / "store"), disk=Held())
    assert store.remove(NEW).bytes == 0
    assert list(state(store.root)) == [OLD]
    assert [leftover.path for leftover in store.leftovers()] == [store.blob_path(digest_of(b"new"))]


@pytest.mark.parametrize("text", ["", "{", '{"format": 1, "steps": [{"kind": "unlink", "place": "../x"}]}'])
def test_a_damaged_journal_is_told_and_stops_nobody(tmp_path: Path, text: str) -> None:
    root = prepared(tmp_path / "store")
    (root / "journal.json").write_text(text)
    store = Store(root)
    assert "journal" in store.problems()[0]
    store.activate(NEW)
    assert store.problems() == ()
    assert state(root) == {NEW: (True, 0), OLD: (False, 0)}


@given(st.text() | st.sampled_from(["[]", '{"format":1,"steps":[{"kind":"write","place":"versions/a"}]}']))
def test_any_journal_is_read_or_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_entry(text)


@pytest.mark.parametrize(
    "place", ["../x", "versions/../x", "versions/.hidden", "/etc/passwd", "blobs/a/b", "blobs/a\\b", "store.json"]
)
def test_no_journal_reaches_other_files(place: str) -> None:
    with pytest.raises(FormatError):
        parse_entry(f'{{"format": 1, "steps": [{{"kind": "unlink", "place": "{place}"}}]}}'.replace("\\", "\\\\"))


HOLDER = """
import sys
from pathlib import Path
from bbj_desktop.services.store.store import Store
with Store(Path(sys.argv[1])).lock():
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_process_writes_and_others_read(tmp_path: Path) -> None:
    root = prepared(tmp_path / "store")
    with hold(root) as holder:
        store = Store(root, lock_timeout_s=0.05)
        assert len(store.versions()) == 2
        with pytest.raises(StoreBusyError):
            store.activate(NEW)
        holder.communicate()
    store.activate(NEW)
    assert store.get(NEW).active


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    root = prepared(tmp_path / "store")
    with hold(root) as holder:
        holder.kill()
    Store(root, lock_timeout_s=0.5).activate(NEW)


def test_a_lock_may_be_taken_again_by_its_holder(tmp_path: Path) -> None:
    store = Store(prepared(tmp_path / "store"))
    with store.lock(), store.lock():
        store.activate(NEW)
    assert store.get(NEW).active


def test_readers_always_see_exactly_one_active_version(tmp_path: Path) -> None:
    root = prepared(tmp_path / "store")
    done = threading.Event()

    def switch() -> None:
        writer = Store(root)
        for number in range(40):
            writer.activate((NEW, OLD)[number % 2])
        done.set()

    thread = threading.Thread(target=switch)
    thread.start()
    reader = Store(root)
    seen = []
    while not done.is_set():
        seen.append(sum(version.active for version in reader.versions()))
    thread.join()
    assert set(seen) == {1}
