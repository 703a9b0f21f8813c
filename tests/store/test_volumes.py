"""Volumes that are full, can't be written, or have names that are hard to write."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

import pytest

from bbj_desktop.core.errors import NoSpaceError, StoreAccessError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.fetch import Fetched, Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.installed import installed
from tests.fakes.payload import digest_of, index_of
from tests.fakes.volumes import read_only_volume, small_volume

CONTENT = bytes(range(250)) * 160  # 40,000 bytes
INDEX = index_of(CONTENT, chunk_bytes=4096)


def bring(store: Store, mirror: Path, disk: Disk | None = None) -> Fetched:
    """Downloads the file of a version and installs it."""
    mirror.mkdir(exist_ok=True)
    (mirror / "blob").write_bytes(CONTENT)
    source = open_source(str(mirror), Network(proxy=DIRECT))
    destination = store.blob_path(INDEX.file.digest)
    fetched = fetch(source, "blob", INDEX, destination, silent, Cancel(), limits=Limits(streams=1), disk=disk)
    store.install(installed(destination, model="bbj-coder", size="7b"))
    return fetched


class Filling(Disk):
    """Another program takes the rest of the volume once some chunks have come."""

    def __init__(self, ballast: Path) -> None:
        self.left = 6
        self.ballast = ballast

    def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
        self.left -= 1
        if self.left == 0:
            size = self.free_bytes(self.ballast.parent)
            self.ballast.write_bytes(bytes(size))
        super().write(path, file, offset, content)


def test_a_disk_that_fills_anyway_leaves_what_can_be_taken_up(tmp_path: Path) -> None:
    with small_volume(tmp_path / "kleine Platte", kib=128) as volume:
        store = Store(volume / "store")
        with pytest.raises(NoSpaceError, match="full"):
            bring(store, tmp_path / "mirror", Filling(volume / "ballast"))
        assert Store(store.root).versions() == ()
        assert Store(store.root).problems() == ()
        (volume / "ballast").unlink()
        again = bring(store, tmp_path / "mirror")
        assert again.bytes_kept > 0
        store.verify(store.versions()[0].key, silent, Cancel())


def test_a_full_disk_changes_no_record_and_loses_none(tmp_path: Path) -> None:
    with small_volume(tmp_path / "kleine Platte", kib=128) as volume:
        store = Store(volume / "store")
        bring(store, tmp_path / "mirror")
        (key,) = [version.key for version in store.versions()]
        ballast = volume / "ballast"
        ballast.write_bytes(bytes(Disk().free_bytes(volume)))
        with pytest.raises(NoSpaceError):
            store.activate(key)
        assert [version.active for version in Store(store.root).versions()] == [False]
        ballast.unlink()
        assert store.activate(key).active


def test_a_store_that_nobody_can_write_is_read_and_says_why_it_does_not_change(tmp_path: Path) -> None:
    store = Store(tmp_path / "gemeinsam ü")
    bring(store, tmp_path / "mirror")
    with read_only_volume(store.root):
        shared = Store(store.root)
        (version,) = shared.versions()
        shared.verify(version.key, silent, Cancel())
        with pytest.raises(StoreAccessError, match="Read-only file system") as caught:
            shared.activate(version.key)
        assert caught.value.hint


@pytest.mark.parametrize(
    "name",
    ["mit Leerzeichen und Ümläuten", "日本語", "zwei  Leerzeichen", "100% #1 'quoted' & (more)", "-dash", "ü" * 60],
)
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / name)
    bring(store, tmp_path / "mirror")
    (version,) = Store(tmp_path / name).versions()
    store.activate(version.key)
    assert store.remove(version.key).bytes > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux' own")
def test_a_path_that_is_too_long_is_refused_with_the_reason(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["x" * 200] * 30)
    with pytest.raises(StoreAccessError, match="File name too long"):
        Store(deep)


def test_the_store_needs_no_names_that_differ_by_case_only(tmp_path: Path) -> None:
    """A volume that ignores case (exFAT, NTFS, APFS) keeps all of them apart."""
    store = Store(tmp_path / "store")
    for version in ("2026.1", "2026.2-rc1"):
        path = store.blob_path(digest_of(version.encode()))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(version.encode())
        store.install(installed(path, version=version, model="bbj-coder", size="7b"))
    names = [str(path.relative_to(store.root)) for path in store.root.rglob("*")]
    assert all(name == name.lower() for name in names)
    assert not [name for name in names if set(name) & set('<>:"\\|?*')]  # exFAT and NTFS refuse these
    assert not [
        path for path in store.root.rglob("*") if path.is_symlink() or (path.stat().st_nlink > 1 and path.is_file())
    ]
