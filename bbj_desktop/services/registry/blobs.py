"""Payloads on the writer's side: hashing large files once, the tokenizer made from a model, and their places."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.gguf import GgufHeader, Tensor
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Chunk, ChunkIndex, FileReference
from bbj_desktop.services.registry.layout import blob_path
from bbj_desktop.services.registry.ledger import Ledger
from bbj_desktop.services.transfer.split import split_paths

PIECE_BYTES = 1 << 20
READABLE_BY_ALL = 0o044
_COUNTS_AT = 8  # offset of the numbers of tensors and of metadata entries, 8 bytes each
_METADATA_AT = 24


def reference_to(data: bytes) -> FileReference:
    """The name of a small file by its content."""
    return FileReference(digest=f"sha256:{hashlib.sha256(data).hexdigest()}", length_bytes=len(data))


def index_file(path: Path, lengths: Sequence[int], progress: Callable[[int], None], cancel: Cancel) -> ChunkIndex:
    """Hashes a file: the whole and each chunk, in one reading.

    Args:
        path: The file.
        lengths: The chunks' lengths in bytes, in order; they add up to the file.
        progress: Told the number of bytes done after each chunk.
        cancel: Obeyed after each megabyte.

    Raises:
        PublishError: It can't be read, or changed meanwhile.
        Cancelled: By ``cancel``.
    """
    whole, chunks, done = hashlib.sha256(), [], 0
    try:
        with path.open("rb", buffering=0) as file:
            before = os.fstat(file.fileno())
            for length in lengths:
                part = hashlib.sha256()
                for piece in _pieces(file, length, cancel):
                    whole.update(piece)
                    part.update(piece)
                chunks.append(Chunk(length_bytes=length, digest=f"sha256:{part.hexdigest()}"))
                progress(done := done + length)
            after = os.fstat(file.fileno())
    except OSError as error:
        raise PublishError(f"{path} can't be read: {error.strerror}.") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or done != after.st_size:
        raise _changed(path)
    reference = FileReference(digest=f"sha256:{whole.hexdigest()}", length_bytes=done)
    return ChunkIndex(file=reference, chunks=tuple(chunks))


def _pieces(file: BinaryIO, length: int, cancel: Cancel) -> Iterator[bytes]:
    while length:
        cancel.check()
        piece = file.read(min(length, PIECE_BYTES))
        if not piece:
            return
        length -= len(piece)
        yield piece


def tokenizer_of(path: Path, header: GgufHeader) -> bytes:
    """Makes a model's tokenizer file: its GGUF with all metadata, the vocabulary among them, and no tensors (as the
    ``ggml-vocab-*.gguf`` files of llama.cpp).

    Raises:
        PublishError: It can't be read.
        FormatError: The header isn't laid out as its own numbers say.
    """
    try:
        with path.open("rb") as file:
            head = file.read(header.data_offset)
    except OSError as error:
        raise PublishError(f"{path} can't be read: {error.strerror}.") from error
    infos = b"".join(_encoded(tensor, header.data_offset) for tensor in header.tensors)
    end = head.rfind(infos, _METADATA_AT)
    if end < 0:
        raise FormatError(f"The header of {path.name} can't be taken apart.")
    return head[:_COUNTS_AT] + struct.pack("<Q", 0) + head[_COUNTS_AT + 8 : end]


def _encoded(tensor: Tensor, data_offset: int) -> bytes:
    """A tensor's entry in the header, as it stands there (GGUF specification, ``gguf_tensor_info_t``)."""
    name = tensor.name.encode()
    dimensions = len(tensor.shape)
    layout = f"<Q{len(name)}sI{dimensions}QIQ"
    offset = tensor.offset - data_offset
    return struct.pack(layout, len(name), name, dimensions, *tensor.shape, tensor.ggml_type, offset)


def place_bytes(ledger: Ledger, data: bytes) -> FileReference:
    """Puts a small file among the blobs."""
    reference = reference_to(data)
    if not _is_there(ledger, reference):
        ledger.put(blob_path(reference.digest), data)
    return reference


def place_file(ledger: Ledger, path: Path, index: ChunkIndex, modified_ns: int, cancel: Cancel) -> None:
    """Puts a large file among the blobs: as a second name for the same bytes where the volume and its permissions allow
    it, else as a copy, which is hashed again while it is written; one that is split always so.

    Args:
        ledger: The registry.
        path: The file.
        index: What it was when it was hashed, and how it is split.
        modified_ns: When it had last changed then.
        cancel: Obeyed while copying.

    Raises:
        PublishError: It can't be written, or the file changed since it was hashed.
        Cancelled: By ``cancel``.
    """
    if not missing_files(ledger.folder, index):
        return
    if index.split:
        _place_parts(ledger, path, index, modified_ns, cancel)
        return
    with ledger.placing(ledger.folder / blob_path(index.file.digest)) as temporary:
        _demand_unchanged(path, modified_ns)
        if not _linked(path.resolve(), temporary):
            _copy(path, temporary, index.file, cancel)


def missing_files(folder: Path, index: ChunkIndex) -> tuple[str, ...]:
    """Paths of a registry's files that a payload lies in and that aren't there in their length."""
    whole = blob_path(index.file.digest)
    lengths = zip(split_paths(whole, len(index.split)), index.split, strict=True) if index.split else ()
    wanted = dict(lengths) or {whole: index.file.length_bytes}
    return tuple(path for path, length in wanted.items() if not _has_length(folder / path, length))


def _place_parts(ledger: Ledger, path: Path, index: ChunkIndex, modified_ns: int, cancel: Cancel) -> None:
    """One reading of the file; each chunk is hashed again on its way."""
    chunks = iter(index.chunks)
    with path.open("rb", buffering=0) as source:
        for name, length in zip(split_paths(blob_path(index.file.digest), len(index.split)), index.split, strict=True):
            with ledger.placing(ledger.folder / name) as temporary, temporary.open("xb") as target:
                _demand_unchanged(path, modified_ns)
                while target.tell() < length:
                    _copy_chunk(source, target, next(chunks), path, cancel)
                target.flush()
                os.fsync(target.fileno())


def _copy_chunk(source: BinaryIO, target: BinaryIO, chunk: Chunk, path: Path, cancel: Cancel) -> None:
    digest = hashlib.sha256()
    for piece in _pieces(source, chunk.length_bytes, cancel):
        digest.update(piece)
        target.write(piece)
    if f"sha256:{digest.hexdigest()}" != chunk.digest:
        raise _changed(path)


def _demand_unchanged(path: Path, modified_ns: int) -> None:
    if path.stat().st_mtime_ns != modified_ns:
        raise _changed(path)


def _is_there(ledger: Ledger, reference: FileReference) -> bool:
    return _has_length(ledger.folder / blob_path(reference.digest), reference.length_bytes)


def _has_length(place: Path, length: int) -> bool:
    return place.is_file() and place.stat().st_size == length


def _linked(path: Path, place: Path) -> bool:
    if path.stat().st_mode & READABLE_BY_ALL != READABLE_BY_ALL:
        return False  # a web server couldn't read it; a copy gets the folder's permissions
    try:
        place.hardlink_to(path)
    except OSError:
        return False  # another volume, or a file system without links
    return True


def _copy(path: Path, place: Path, reference: FileReference, cancel: Cancel) -> None:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as source, place.open("xb") as target:
        for piece in _pieces(source, reference.length_bytes, cancel):
            digest.update(piece)
            target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    if f"sha256:{digest.hexdigest()}" != reference.digest:
        raise _changed(path)


def _changed(path: Path) -> PublishError:
    return PublishError(f"{path} changed while it was published.", hint="Publish it when it is finished.")
