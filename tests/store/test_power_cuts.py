"""What a power cut at any moment may do to the store: nothing.

Each operation is recorded, and every prefix of what it wrote is replayed with what wasn't synced lost in every mixture.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bbj_desktop.core.errors import DigestError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import Registration
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.repair import repair
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of, index_of
from tests.fakes.power import HastyDisk, RecordingDisk, power_cuts

OLD, NEW = "bbj-coder:2026.1-7b-q4_1", "bbj-coder:2026.2-7b-q4_1"
CONTENT = bytes(range(256)) * 40
INDEX = index_of(CONTENT, chunk_bytes=3000)

State = dict[str, tuple[bool, bool, int]]


def bring(store: Store, disk: Disk, served: Path) -> None:
    """Downloads a version's file and installs it as the active one."""
    with contextlib.closing(open_source(str(served), Network(proxy=DIRECT))) as source:
        destination = store.blob_path(INDEX.file.digest)
        fetch(source, "blob", INDEX, destination, silent, Cancel(), limits=Limits(streams=1), disk=disk)
    version = installed(destination, version="2026.3", model="bbj-coder", size="7b")
    store.install(version.model_copy(update={"active": True}))


def mend(file: Path, disk: Disk, served: Path) -> None:
    with contextlib.closing(open_source(str(served), Network(proxy=DIRECT))) as source:
        repair(source, "blob", INDEX, file, silent, Cancel(), limits=Limits(streams=1), disk=disk)


@pytest.fixture
def served(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "blob").write_bytes(CONTENT)
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Path:
    """A store with two versions of a slot, the older one active, all of it safely on the disk."""
    store = Store(tmp_path / "start" / "Modelle ü")
    for version, content in (("2026.1", b"old"), ("2026.2", b"new")):
        path = store.blob_path(digest_of(content))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        store.install(installed(path, version=version, model="bbj-coder", size="7b"))
    store.activate(OLD)
    return store.root.parent


def state(store: Store) -> State:
    return {each.key: (each.active, each.pinned, len(each.registrations)) for each in store.versions()}


def whole(store: Store) -> bool:
    """Whether every version that is listed really has its file."""
    for version in store.versions():
        try:
            store.verify(version.key, silent, Cancel())
        except DigestError:
            return False
    return store.problems() == ()


OPERATIONS: dict[str, Callable[[Store], object]] = {
    "activate": lambda store: store.activate(NEW),
    "remove": lambda store: store.remove(NEW),
    "pin": lambda store: store.pin(NEW),
    "register": lambda store: store.register(NEW, Registration(runtime="ollama", tag=NEW)),
}


def test_a_power_cut_during_a_rebuild_loses_nothing(start: Path, tmp_path: Path) -> None:
    after = state(Store(start / "Modelle ü"))
    (start / "Modelle ü" / "versions" / f"{OLD.replace(':', '+')}.json").unlink()
    before = state(Store(start / "Modelle ü"))
    recorded = Path(shutil.copytree(start, tmp_path / "recorded"))
    disk = RecordingDisk(recorded)
    Store(recorded / "Modelle ü", disk=disk).rebuild(silent, Cancel())
    for done, left in power_cuts(start, disk.operations, tmp_path / "cut"):
        store = Store(left / "Modelle ü", disk=HastyDisk())
        assert state(store) in (before, after), left.name
        if done == len(disk.operations):
            assert state(store) == after, left.name
        store.rebuild(silent, Cancel())
        assert state(store) == after, left.name
        assert whole(store), left.name


def test_a_power_cut_during_a_repair_loses_nothing(start: Path, tmp_path: Path, served: Path) -> None:
    store = Store(start / "Modelle ü", disk=HastyDisk())
    bring(store, HastyDisk(), served)
    file = store.blob_path(INDEX.file.digest)
    damaged = CONTENT[:4000] + b"\0\0\0" + CONTENT[4003:]
    file.write_bytes(damaged)
    recorded = Path(shutil.copytree(start, tmp_path / "recorded"))
    disk = RecordingDisk(recorded)
    mend(recorded / file.relative_to(start), disk, served)
    for done, left in power_cuts(start, disk.operations, tmp_path / "cut"):
        place = left / file.relative_to(start)
        assert place.read_bytes() in ((CONTENT,) if done == len(disk.operations) else (damaged, CONTENT)), left.name
        mend(place, HastyDisk(), served)
        assert place.read_bytes() == CONTENT
        assert whole(Store(left / "Modelle ü", disk=HastyDisk())), left.name


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_a_power_cut_leaves_the_old_state_or_the_new_one(
    start: Path, tmp_path: Path, operation: Callable[[Store], object]
) -> None:
    before = state(Store(start / "Modelle ü"))
    recorded = Path(shutil.copytree(start, tmp_path / "recorded"))
    disk = RecordingDisk(recorded)
    operation(Store(recorded / "Modelle ü", disk=disk))
    after = state(Store(recorded / "Modelle ü"))
    assert before != after
    for done, left in power_cuts(start, disk.operations, tmp_path / "cut"):
        store = Store(left / "Modelle ü", disk=HastyDisk())
        assert state(store) in (before, after), left.name
        assert whole(store), left.name
        if done == len(disk.operations):
            assert state(store) == after, left.name  # what was said to be done is done
        if state(store) == before:
            operation(store)
        assert state(Store(left / "Modelle ü")) == after, left.name


def test_a_power_cut_while_an_interrupted_operation_is_finished_does_no_harm(start: Path, tmp_path: Path) -> None:
    recorded = Path(shutil.copytree(start, tmp_path / "recorded"))
    disk = RecordingDisk(recorded)
    Store(recorded / "Modelle ü", disk=disk).activate(NEW)
    before, after = state(Store(start / "Modelle ü")), state(Store(recorded / "Modelle ü"))
    cuts = 0
    for done, left in power_cuts(start, disk.operations, tmp_path / "cut"):
        if done % 3:  # each third moment: squares grow
            continue
        again = Path(shutil.copytree(left, tmp_path / "again"))
        second = RecordingDisk(again)
        Store(again / "Modelle ü", disk=second)
        for _, later in power_cuts(left, second.operations, tmp_path / "second cut"):
            cuts += 1
            assert state(Store(later / "Modelle ü", disk=HastyDisk())) in (before, after), f"{left.name}; {later.name}"
            assert whole(Store(later / "Modelle ü", disk=HastyDisk()))
        shutil.rmtree(again)
    assert cuts > 100


@pytest.mark.parametrize("fresh", [True, False], ids=["the first version", "a further version"])
def test_a_power_cut_during_an_install_loses_nothing(start: Path, tmp_path: Path, served: Path, fresh: bool) -> None:
    if fresh:
        shutil.rmtree(start / "Modelle ü")
    before = state(Store(start / "Modelle ü"))
    recorded = Path(shutil.copytree(start, tmp_path / "recorded"))
    disk = RecordingDisk(recorded)
    bring(Store(recorded / "Modelle ü", disk=disk), disk, served)
    after = state(Store(recorded / "Modelle ü"))
    for done, left in power_cuts(start, disk.operations, tmp_path / "cut"):
        store = Store(left / "Modelle ü", disk=HastyDisk())
        assert state(store) in (before, after), left.name
        assert whole(store), left.name
        if done == len(disk.operations):
            assert state(store) == after, left.name
        bring(store, HastyDisk(), served)
        assert state(store) == after, left.name
        assert whole(store), left.name


def test_the_replay_notices_a_file_that_was_not_synced(tmp_path: Path) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "recorded").mkdir()
    disk = RecordingDisk(tmp_path / "recorded")
    with disk.open(tmp_path / "recorded" / "new") as file:
        file.write_at(0, b"content")
    disk.replace(tmp_path / "recorded" / "new", tmp_path / "recorded" / "file")
    found = {
        path.read_bytes()
        for done, left in power_cuts(tmp_path / "start", disk.operations, tmp_path / "cut")
        if done == len(disk.operations) and (path := left / "file").exists()
    }
    assert found == {b"", bytes(7), b"con", b"content"}
