"""Checks a whole mirror: every metadata file, every signed file and every blob, by signature, length and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import TargetFile, Targets

from bbj_desktop.core.errors import (
    DigestError,
    FormatError,
    MixAndMatchError,
    NotFoundError,
    StoreAccessError,
    TrustError,
)
from bbj_desktop.core.progress import Cancel, Report, Step, Transfer
from bbj_desktop.core.release import (
    ChunkIndex,
    FileReference,
    Release,
    parse_catalogue,
    parse_chunk_index,
    parse_release,
)
from bbj_desktop.services.registry.chain import Chain, channel_names, parsed, read_channel, read_roots, read_state
from bbj_desktop.services.registry.findings import MirrorProblem, Trouble, Verified
from bbj_desktop.services.registry.layout import BLOBS, METADATA, TARGETS, TIMESTAMP, blob_path, catalogue_target
from bbj_desktop.services.registry.ledger import versioned
from bbj_desktop.services.registry.root import identity_of
from bbj_desktop.services.registry.staging import target_path
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.split import split_paths

MAX_METADATA_BYTES = 20_000_000  # bytes; as the client accepts at most
MAX_TARGET_BYTES = 16_000_000  # bytes; the same
MAX_INDEX_BYTES = 64 * 2**20  # bytes; the same
REPORT_BYTES = 1 << 22


T = TypeVar("T")


def verify_mirror(
    source: Source,
    folder: Path | None,
    report: Report,
    cancel: Cancel,
    *,
    now: datetime,
    initial_root: bytes | None = None,
) -> Verified:
    """Reads all of a mirror. It takes as long as fetching all of it.

    Args:
        source: The mirror.
        folder: The same as a folder of this machine, to look for superfluous files; None over a network.
        report: Told what is done, and the bytes that are hashed.
        cancel: Obeyed within files.
        now: Expiry is judged at this time (UTC).
        initial_root: The root that is trusted; None takes the mirror's own, whose identity is then to be compared.

    Raises:
        TransportError: The way failed: nothing is said about the mirror.
        Cancelled: By ``cancel``.
    """
    check = _Check(source, report, cancel, now)
    identity = check.run(initial_root)
    searched = folder is not None and check.knows_all_names
    if folder is not None and searched:
        check.search(folder)
    return Verified(
        address=source.address,
        identity=identity,
        timestamp_version=check.timestamp_version,
        releases=check.releases,
        files=len(check.seen),
        read_bytes=check.read_bytes,
        problems=tuple(check.problems),
        searched=searched,
    )


class _Check:
    """One run: what was read, and what was wrong with it."""

    def __init__(self, source: Source, report: Report, cancel: Cancel, now: datetime) -> None:
        self._source = source
        self._report = report
        self._cancel = cancel
        self._now = now
        self.problems: list[MirrorProblem] = []
        self.seen: set[str] = set()
        self.named: set[str] = set()
        self.read_bytes = 0
        self._releases: set[tuple[str, str, str, str]] = set()
        self.timestamp_version: int | None = None
        self._reading = TIMESTAMP
        self._total_bytes = self._done_bytes = 0
        self._blobs: dict[str, FileReference] = {}
        self._payloads: dict[str, tuple[FileReference, FileReference]] = {}

    def run(self, initial_root: bytes | None) -> str:
        """Returns the identity; empty when there isn't even a root."""
        self._report(Step("metadata", "Checking signatures"))
        chain = self._tried(TIMESTAMP, lambda: read_roots(self._metadata, initial_root))
        if chain is None:
            return ""
        if self._tried(TIMESTAMP, lambda: read_state(self._metadata, chain)):
            self.timestamp_version = chain.timestamp.version
            for name in channel_names(chain.targets):
                self._channel(chain, name)
            self._expiry(chain)
        self._all_blobs()
        return identity_of(chain.initial_root)

    def _channel(self, chain: Chain, name: str) -> None:
        if self._tried(METADATA, lambda: read_channel(self._metadata, chain, name)):
            for target, info in sorted(chain.channels[name].targets.items()):
                path = target_path(info)
                self.named.add(path)
                self._tried(path, partial(self._target, path, info, is_catalogue=target == catalogue_target(name)))

    def _target(self, path: str, info: TargetFile, *, is_catalogue: bool) -> None:
        data = self._file(path, MAX_TARGET_BYTES)
        _demand_target(info, data)
        if is_catalogue:
            for extra in parse_catalogue(data).extras:
                self._payloads.setdefault(extra.chunk_index.digest, (extra.file, extra.chunk_index))
        else:
            self._release(parse_release(data))

    def _release(self, release: Release) -> None:
        self._releases.add((release.model, release.role, release.size, release.version))
        for part in (part for variant in release.variants for part in variant.parts):
            self._payloads.setdefault(part.chunk_index.digest, (part.file, part.chunk_index))
        if release.tokenizer is not None:
            self._blobs.setdefault(release.tokenizer.digest, release.tokenizer)

    def _all_blobs(self) -> None:
        indexes = {digest: index for digest, (_, index) in self._payloads.items()}
        files = [*self._blobs.values(), *indexes.values(), *(file for file, _ in self._payloads.values())]
        self._total_bytes = sum(file.length_bytes for file in files)
        self._report(Step("blobs", f"Reading {len(files)} blobs"))
        for file in self._blobs.values():
            self._tried(blob_path(file.digest), partial(self._blob, file))
        parsed_indexes = {
            file.digest: self._tried(blob_path(file.digest), partial(self._index, file)) for file in indexes.values()
        }
        for file, reference in self._payloads.values():
            index = parsed_indexes[reference.digest]
            self._tried(blob_path(file.digest), partial(self._payload, file, index))

    def _index(self, file: FileReference) -> ChunkIndex:
        if file.length_bytes > MAX_INDEX_BYTES:
            raise MixAndMatchError(f"{file.length_bytes} bytes are too long for a chunk index.")
        kept = bytearray()
        self._blob(file, keep=kept.extend)
        return parse_chunk_index(bytes(kept))

    def _payload(self, file: FileReference, index: ChunkIndex | None) -> None:
        """Where its index can't be read, it is looked for in one piece."""
        if index is not None and index.file != file:
            raise MixAndMatchError("its chunk index is of another file.")
        self._blob(file, split=index.split if index is not None else ())

    def _blob(
        self, file: FileReference, *, split: Sequence[int] = (), keep: Callable[[bytes], None] = lambda _: None
    ) -> None:
        whole, digest = blob_path(file.digest), hashlib.sha256()
        lengths = dict(zip(split_paths(whole, len(split)), split, strict=True)) or {whole: file.length_bytes}
        self.named.update(lengths)
        before = self._done_bytes
        try:
            for path, length in lengths.items():
                self._reading = path
                for piece in self._pieces(path, length):
                    digest.update(piece)
                    keep(piece)
        finally:
            self._done_bytes = before + file.length_bytes
            self._report(Transfer(done_bytes=self._done_bytes, total_bytes=self._total_bytes))
        self._reading = whole
        actual = f"sha256:{digest.hexdigest()}"
        if actual != file.digest:
            raise DigestError("its bytes aren't the signed ones.", expected=file.digest, actual=actual)

    def _pieces(self, path: str, expected: int) -> Iterator[bytes]:
        """The content of a file, which must be so long."""
        length = 0
        with self._source.stream(path, cancel=self._cancel) as stream:
            for piece in stream:
                self._cancel.check()
                if (length + len(piece)) // REPORT_BYTES != length // REPORT_BYTES:
                    self._report(Transfer(done_bytes=self._done_bytes + length, total_bytes=self._total_bytes))
                length += len(piece)
                if length > expected:
                    break
                yield piece
        self.seen.add(path)
        self.read_bytes += length
        self._done_bytes += min(length, expected)
        if length != expected:
            said = "longer than" if length > expected else f"{length} bytes instead of"
            raise MixAndMatchError(f"{said} {expected} bytes.")

    def _expiry(self, chain: Chain) -> None:
        signed = [
            ("root", chain.root.version, chain.root.expires),
            ("targets", chain.targets.version, chain.targets.expires),
        ]
        signed += [(name, each.version, each.expires) for name, each in chain.channels.items()]
        signed.append(("snapshot", chain.snapshot.version, chain.snapshot.expires))
        for role, version, expires in signed:
            self._note_expired(versioned(role, version), expires)
        self._note_expired(TIMESTAMP, chain.timestamp.expires)

    def _note_expired(self, path: str, expires: datetime) -> None:
        if expires <= self._now:
            self._note(path, Trouble.EXPIRED, f"It ended on {expires:%Y-%m-%d}.")

    def _metadata(self, path: str) -> bytes:
        self._reading = path
        return self._file(path, MAX_METADATA_BYTES)

    def _file(self, path: str, limit_bytes: int) -> bytes:
        data = self._source.read(path, limit_bytes=limit_bytes, cancel=self._cancel)
        self.seen.add(path)
        self.named.add(path)
        self.read_bytes += len(data)
        return data

    def _tried(self, path: str, job: Callable[[], T]) -> T | None:
        """What the job returns. What is wrong with a file is written down, and None returned; what is wrong with the
        way to it goes on upwards."""
        self._reading = path
        try:
            return job()
        except NotFoundError:
            self._note(self._reading, Trouble.MISSING, "It isn't there.")
        except (MixAndMatchError, DigestError, FormatError, StoreAccessError) as error:
            self._note(self._reading, Trouble.DAMAGED, error.message)
        except TrustError as error:
            self._note(self._reading, Trouble.UNTRUSTED, error.message)
        return None

    def _note(self, path: str, trouble: Trouble, text: str) -> None:
        self.problems.append(MirrorProblem(path=path, trouble=trouble, text=text))

    @property
    def releases(self) -> int:
        """How many there are; one of two channels counts once."""
        return len(self._releases)

    @property
    def knows_all_names(self) -> bool:
        """The metadata was read whole, so that it is known what is named."""
        return not any(
            each.path.startswith((f"{METADATA}/", f"{TARGETS}/")) and each.trouble is not Trouble.EXPIRED
            for each in self.problems
        )

    def search(self, folder: Path) -> None:
        """Notes files that neither the current state nor a former one names."""
        former = _former(folder)
        for top in (METADATA, TARGETS, BLOBS):
            for place in sorted((folder / top).rglob("*")):
                path = place.relative_to(folder).as_posix()
                if place.is_file() and path not in self.named and path not in former:
                    self._note(path, Trouble.SUPERFLUOUS, "Nothing that is signed names it.")


def _former(folder: Path) -> set[str]:
    """Metadata of former states, and the signed files that it named: readers in the middle of a check need them."""
    paths = set()
    for place in (folder / METADATA).glob("*.json"):
        if not place.name.split(".")[0].isdecimal():
            continue
        paths.add(f"{METADATA}/{place.name}")
        try:
            signed = parsed(place.read_bytes(), Targets, place.name).signed
        except (FormatError, OSError):
            continue
        paths |= {target_path(info) for info in signed.targets.values()}
    return paths


def _demand_target(info: TargetFile, data: bytes) -> None:
    try:
        info.verify_length_and_hashes(data)
    except LengthOrHashMismatchError as error:
        raise MixAndMatchError(f"{error}.") from error
