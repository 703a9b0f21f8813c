"""The small file server of the demo behaves as any web server does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bbj_desktop.services.registry.serve import serve_folder


@pytest.fixture
def client(tmp_path: Path) -> Iterator[httpx.Client]:
    folder = tmp_path / "registry"
    (folder / "metadata").mkdir(parents=True)
    (folder / "metadata" / "file.bin").write_bytes(bytes(range(100)))
    (tmp_path / "secret.txt").write_text("not served")
    with serve_folder(folder) as address, httpx.Client(base_url=address, trust_env=False) as made:
        yield made


def test_a_file_comes_whole(client: httpx.Client) -> None:
    answer = client.get("/metadata/file.bin")
    assert (answer.status_code, answer.content) == (200, bytes(range(100)))


@pytest.mark.parametrize(
    ("asked", "expected", "range_said"),
    [
        ("bytes=0-9", range(10), "bytes 0-9/100"),
        ("bytes=90-", range(90, 100), "bytes 90-99/100"),
        ("bytes=90-999", range(90, 100), "bytes 90-99/100"),
    ],
)
def test_a_range_comes_as_asked(client: httpx.Client, asked: str, expected: range, range_said: str) -> None:
    answer = client.get("/metadata/file.bin", headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, bytes(expected))
    assert answer.headers["Content-Range"] == range_said


def test_a_range_behind_the_end_is_refused(client: httpx.Client) -> None:
    assert client.get("/metadata/file.bin", headers={"Range": "bytes=100-"}).status_code == 416


def test_head_tells_the_length_only(client: httpx.Client) -> None:
    answer = client.head("/metadata/file.bin")
    assert (answer.headers["Content-Length"], answer.content) == ("100", b"")


@pytest.mark.parametrize("path", ["/nothing", "/metadata", "/metadata/", "/../secret.txt", "/%2e%2e/secret.txt"])
def test_nothing_else_is_served(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404
