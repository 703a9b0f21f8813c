"""The seam through which store and transfer write."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.core.errors import NoSpaceError, StoreAccessError
from bbj_desktop.services.store.disk import Disk, pieces_of
from tests.fakes.permissions import closed

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_device_is_no_space() -> None:
    with Disk().open(FULL) as file, pytest.raises(NoSpaceError) as caught:
        file.write_at(0, b"12345")
    assert caught.value.needed_bytes == 5
    assert "what has arrived is kept" in caught.value.hint


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "ä b.json"
    for content in (b"a long first content", b"short"):
        Disk().write_atomic(path, content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_a_leftover_of_a_torn_write_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "file.new").write_bytes(b"torn, and longer than what comes")
    Disk().write_atomic(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_bytes_go_where_they_belong(tmp_path: Path) -> None:
    with Disk().open(tmp_path / "file") as file:
        file.write_at(6, b"world")
        file.write_at(0, b"hello ")
    with Disk().open(tmp_path / "file") as file:  # opening again cuts nothing
        file.write_at(0, b"H")
    Disk().append(tmp_path / "file", b"!")
    assert (tmp_path / "file").read_bytes() == b"Hello world!"


def test_a_range_of_a_file_is_read_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    assert b"".join(pieces_of(tmp_path / "file", 3, 4)) == b"3456"
    assert b"".join(pieces_of(tmp_path / "file", 8, 4)) == b"89"


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    Disk().unlink(tmp_path / "gone")


def test_free_room_is_known_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert Disk().free_bytes(tmp_path / "a" / "b") > 0


def test_free_room_is_told_of_a_place_in_a_closed_folder(tmp_path: Path) -> None:
    (tmp_path / "closed" / "models").mkdir(parents=True)
    with closed(tmp_path / "closed"):
        assert Disk().free_bytes(tmp_path / "closed" / "models" / "blobs") > 0


def test_every_refusal_says_what_and_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for refused in (
        lambda: Disk().make_folder(tmp_path / "file" / "folder"),
        lambda: Disk().open(tmp_path / "nowhere" / "file"),
        lambda: Disk().rename(tmp_path / "nothing", tmp_path / "target"),
        lambda: Disk().unlink(tmp_path / "file" / "below"),
        lambda: list(pieces_of(tmp_path / "nothing", 0, 1)),
    ):
        with pytest.raises(StoreAccessError, match=str(tmp_path)):
            refused()
