"""Reading from a folder or a file:// address."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bbj_desktop.core.errors import (
    Cancelled,
    ChangedError,
    ConnectError,
    FormatError,
    MixAndMatchError,
    NotFoundError,
    RangeError,
)
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.sources import open_source


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "Registrierung für Müller"
    (root / "blobs").mkdir(parents=True)
    (root / "blobs" / "ä b.bin").write_bytes(b"0123456789")
    return root


@pytest.fixture(params=["path", "url"])
def source(root: Path, request: pytest.FixtureRequest) -> Source:
    return open_source(str(root) if request.param == "path" else root.as_uri(), Network())


def test_a_file_is_read(source: Source) -> None:
    assert source.read("blobs/ä b.bin", limit_bytes=10, cancel=Cancel()) == b"0123456789"


def test_a_range_is_read(source: Source) -> None:
    with source.stream("blobs/ä b.bin", offset=3, length=4, cancel=Cancel()) as stream:
        assert (stream.offset, stream.ranged, stream.total_bytes) == (3, True, 10)
        assert b"".join(stream) == b"3456"


def test_a_longer_file_than_allowed_is_refused(source: Source) -> None:
    with pytest.raises(MixAndMatchError):
        source.read("blobs/ä b.bin", limit_bytes=9, cancel=Cancel())


def test_what_is_not_there_is_not_found(source: Source) -> None:
    with pytest.raises(NotFoundError):
        source.read("blobs/other", limit_bytes=9, cancel=Cancel())


def test_a_folder_is_no_file(source: Source) -> None:
    with pytest.raises(NotFoundError):
        source.read("blobs", limit_bytes=9, cancel=Cancel())


@pytest.mark.skipif(sys.platform == "win32", reason="needs named pipes in folders")
def test_a_pipe_is_refused_and_not_waited_for(source: Source, root: Path) -> None:
    os.mkfifo(root / "blobs" / "pipe")
    with pytest.raises(FormatError, match="neither a file nor a folder"):
        source.read("blobs/pipe", limit_bytes=10, cancel=Cancel())


def test_a_range_behind_the_end_is_refused(source: Source) -> None:
    with pytest.raises(RangeError), source.stream("blobs/ä b.bin", offset=11, cancel=Cancel()):
        pass


def test_a_changed_file_is_noticed(source: Source, root: Path) -> None:
    with source.stream("blobs/ä b.bin", cancel=Cancel()) as stream:
        validator = stream.validator
    (root / "blobs" / "ä b.bin").write_bytes(b"other")
    with pytest.raises(ChangedError), source.stream("blobs/ä b.bin", validator=validator, cancel=Cancel()):
        pass


@pytest.mark.parametrize("path", ["../secret", "blobs/../../secret", "/etc/passwd"])
def test_a_path_out_of_the_folder_is_refused(source: Source, root: Path, path: str) -> None:
    (root.parent / "secret").write_text("s")
    with pytest.raises(FormatError):
        source.read(path, limit_bytes=10_000, cancel=Cancel())


@pytest.mark.skipif(sys.platform == "win32", reason="needs the right to make links")
def test_a_link_out_of_the_folder_is_refused(source: Source, root: Path) -> None:
    (root.parent / "secret").write_text("s")
    (root / "link").symlink_to(root.parent / "secret")
    with pytest.raises(FormatError):
        source.read("link", limit_bytes=10_000, cancel=Cancel())


def test_a_folder_that_is_gone_may_come_back(tmp_path: Path) -> None:
    source = open_source(str(tmp_path / "stick"), Network())
    with pytest.raises(ConnectError):
        source.read("file", limit_bytes=9, cancel=Cancel())
    (tmp_path / "stick").mkdir()
    (tmp_path / "stick" / "file").write_bytes(b"x")
    assert source.read("file", limit_bytes=9, cancel=Cancel()) == b"x"


def test_cancelling_ends_a_read(source: Source) -> None:
    cancel = Cancel()
    with source.stream("blobs/ä b.bin", cancel=cancel) as stream:
        cancel.cancel()
        with pytest.raises(Cancelled):
            b"".join(stream)
