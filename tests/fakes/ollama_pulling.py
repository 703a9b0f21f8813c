"""How the stand-in Ollama pulls: the requests, parts and lines of ``docs/ollama.md``, "pull from loopback"."""

from __future__ import annotations

import hashlib
import http.client
import json
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

if TYPE_CHECKING:
    from tests.fakes.ollama import FakeOllama

_STREAMS = 4
_TRIES = 3
_PIECE_BYTES = 256 * 1024


class PullError(Exception):
    """Ends a pull with an error line."""


@dataclass
class Partial:
    """What has arrived of a blob, by the offset of its parts; survives until the blob is whole or the server starts
    anew (ollama.md:36 `resumes its own partial files`)."""

    total: int
    parts: dict[int, bytearray] = field(default_factory=dict)

    @property
    def completed(self) -> int:
        return sum(map(len, self.parts.values()))

    def whole(self) -> bytes:
        return b"".join(bytes(self.parts[offset]) for offset in sorted(self.parts))


def pulled(fake: FakeOllama, name: str, *, insecure: bool) -> Iterator[dict[str, Any]]:
    """The lines of a pull; afterwards the model is there."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    if ":" not in host:  # ollama.md:21 `the name must contain host:port`
        raise PullError(f"pull model manifest: {name} is not on loopback")
    if not insecure:  # ollama.md:21 `needed even for http`
        raise PullError("pull model manifest: http: server gave HTTP response to HTTPS client")
    yield {"status": "pulling manifest"}
    manifest = _manifest(host, f"/v2/{repository}/manifests/{tag}")
    parsed = json.loads(manifest)
    for layer in (*parsed["layers"], parsed["config"]):
        digest, total = layer["digest"], layer["size"]
        line = {"status": f"pulling {digest[7:19]}", "digest": digest, "total": total}
        if digest in fake.blobs:  # ollama.md:36 `skips verification when the blob is already there`
            yield {**line, "completed": total}
            continue
        for completed in _blob(fake, host, f"/v2/{repository}/blobs/{digest}", digest):
            yield {**line, "completed": completed}
    yield {"status": "verifying sha256 digest"}
    yield {"status": "writing manifest"}
    fake.put_manifest(name, manifest)
    yield {"status": "success"}


def _ask(host: str, method: str, path: str, **headers: str) -> tuple[http.client.HTTPConnection, Any]:
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        return connection, connection.getresponse()
    except BaseException:
        connection.close()
        raise


def _manifest(host: str, path: str) -> bytes:
    try:
        connection, response = _ask(host, "GET", path)
    except OSError as error:
        raise PullError(f'pull model manifest: Get "http://{host}{path}": {error}: connection refused') from error
    with closing(connection):
        content: bytes = response.read()
    if response.status == 404:  # ollama.md:63 `file does not exist`
        raise PullError("pull model manifest: file does not exist")
    if response.status >= 400:
        raise PullError(f"pull model manifest: {response.status}: {content.decode(errors='replace')}")
    return content


def _blob(fake: FakeOllama, host: str, path: str, digest: str) -> Iterator[int]:
    try:
        connection, head = _ask(host, "HEAD", path)
        with closing(connection):
            if head.status >= 400:
                raise PullError(f"pull model manifest: {head.status}")
        total = int(head.headers["Content-Length"])  # ollama.md:21 `Content-Length needed`
        connection, plain = _ask(host, "GET", path)
        with closing(connection):
            location = plain.headers.get("Location")
    except OSError as error:
        raise PullError(f"max retries exceeded: {error}") from error
    moved = plain.status == 307 and urlsplit(location or "").netloc.partition(":")[0] != host.partition(":")[0]
    if location is None or not (plain.status == 200 or moved):  # ollama.md:21 `must answer **200 with a`
        raise PullError("http: no Location header in response")
    partial = fake.partials.setdefault(digest, Partial(total))
    yield from _parts(fake, urljoin(f"http://{host}{path}", location), partial)
    content = partial.whole()
    del fake.partials[digest]
    if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:  # ollama.md:22 `Digest is checked at the end`
        raise PullError("digest mismatch, file must be downloaded again")
    fake.blobs[digest] = content
    fake.own.add(digest)


def _parts(fake: FakeOllama, address: str, partial: Partial) -> Iterator[int]:
    """Parallel parts (ollama.md:22 `come in parallel parts`); yields how much has arrived."""
    told: queue.Queue[int | None] = queue.Queue()
    stop = threading.Event()
    offsets = range(0, max(partial.total, 1), fake.part_bytes)
    for offset in offsets:
        partial.parts.setdefault(offset, bytearray())
    with ThreadPoolExecutor(_STREAMS) as pool:
        running = [pool.submit(_part, fake, address, partial, offset, told, stop) for offset in offsets]
        for future in running:
            future.add_done_callback(lambda _: told.put(None))
        try:
            left = len(running)
            while left:
                said = told.get()
                if said is None:
                    left -= 1
                else:
                    yield said
            for future in running:
                future.result()
        finally:
            stop.set()


def _part(
    fake: FakeOllama,
    address: str,
    partial: Partial,
    offset: int,
    told: queue.Queue[int | None],
    stop: threading.Event,
) -> None:
    end = min(offset + fake.part_bytes, partial.total)
    got = partial.parts[offset]
    last: Exception | None = None
    for _ in range(_TRIES):
        if offset + len(got) >= end or stop.is_set():
            return
        try:
            _fetch(fake, address, offset, end, got, lambda: told.put(partial.completed), stop)
        except (OSError, http.client.HTTPException) as error:
            last = error
    if offset + len(got) < end and not stop.is_set():
        raise PullError(f"max retries exceeded: {last}")


def _fetch(
    fake: FakeOllama,
    address: str,
    offset: int,
    end: int,
    got: bytearray,
    tell: Any,
    stop: threading.Event,
) -> None:
    parts = urlsplit(address)
    connection, response = _ask(parts.netloc, "GET", parts.path, Range=f"bytes={offset + len(got)}-{end - 1}")
    with closing(connection), closing(response):
        if response.status != 206:
            raise PullError(f"{response.status} for a range")
        while not stop.is_set() and (piece := response.read(min(_PIECE_BYTES, end - offset - len(got)))):
            got += piece
            fake.count_written(len(piece))
            tell()
            if offset + len(got) >= end:
                return
        if not stop.is_set():
            raise http.client.IncompleteRead(bytes(0), end - offset - len(got))
