"""Changing a file of the user's, with a way back."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, InUseError, NotFoundError, StoreAccessError
from bbj_desktop.services import keeping

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "settings" / "change.json"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Ordner für Ada" / "config.yaml"
    path.parent.mkdir()
    path.write_text("a: 1\n", encoding="utf-8")
    path.chmod(0o640)
    return path


def test_the_old_file_stays_beside_it(file: Path, memory: Path) -> None:
    done = keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    assert file.read_text() == "a: 2\n"
    assert done.backup is not None
    assert done.backup.read_text() == "a: 1\n"


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_file_and_backup_keep_their_permissions(file: Path, memory: Path) -> None:
    done = keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    assert done.backup is not None
    assert [path.stat().st_mode & 0o777 for path in (file, done.backup)] == [0o640, 0o640]


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_a_new_file_is_its_users_alone(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "config.yaml"
    keeping.change(path, "", "apiKey: secret\n", memory, NOW)
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_made_read_only_is_left_alone(file: Path, memory: Path) -> None:
    file.chmod(0o444)
    with pytest.raises(StoreAccessError, match="read-only"):
        keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    assert file.read_text() == "a: 1\n"
    assert list(file.parent.iterdir()) == [file]


def test_a_memory_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreAccessError, match="can't be read"):
        keeping.undo(tmp_path)


def test_undo_puts_it_back_and_leaves_nothing(file: Path, memory: Path) -> None:
    keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    keeping.undo(memory)
    assert file.read_text() == "a: 1\n"
    assert list(file.parent.iterdir()) == [file]
    assert not memory.exists()


def test_undo_removes_a_file_that_was_not_there(tmp_path: Path, memory: Path) -> None:
    path = tmp_path / "new" / "config.yaml"
    keeping.change(path, "", "a: 1\n", memory, NOW)
    keeping.undo(memory)
    assert not path.exists()


def test_a_link_is_followed_not_replaced(file: Path, memory: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.yaml"
    link.symlink_to(file)
    keeping.change(link, "a: 1\n", "a: 2\n", memory, NOW)
    assert link.is_symlink()
    assert file.read_text() == "a: 2\n"


def test_a_change_by_somebody_else_meanwhile_is_not_overwritten(file: Path, memory: Path) -> None:
    with pytest.raises(InUseError, match="just now"):
        keeping.change(file, "something else", "a: 2\n", memory, NOW)
    assert file.read_text() == "a: 1\n"


def test_a_later_change_by_the_user_is_not_undone(file: Path, memory: Path) -> None:
    keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    file.write_text("a: 3\n")
    with pytest.raises(InUseError, match="changed since") as caught:
        keeping.undo(memory)
    assert file.read_text() == "a: 3\n"
    assert ".bak" in caught.value.hint


def test_without_a_backup_nothing_is_undone(file: Path, memory: Path) -> None:
    done = keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    assert done.backup is not None
    done.backup.unlink()
    with pytest.raises(NotFoundError, match="is gone"):
        keeping.undo(memory)
    assert file.read_text() == "a: 2\n"


def test_there_is_nothing_to_undo_twice(file: Path, memory: Path) -> None:
    keeping.change(file, "a: 1\n", "a: 2\n", memory, NOW)
    keeping.undo(memory)
    with pytest.raises(NotFoundError, match="no change of ours"):
        keeping.undo(memory)


def test_a_folder_that_cannot_be_written_leaves_the_file(tmp_path: Path, memory: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.touch()
    with pytest.raises(StoreAccessError, match="can't be"):
        keeping.change(blocked / "config.yaml", "", "a: 1\n", memory, NOW)


def test_what_is_no_text_is_not_touched(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FormatError, match="UTF-8"):
        keeping.read(file)
