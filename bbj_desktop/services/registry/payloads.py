"""The large files of a release on their way into a registry: hashed, then placed among the blobs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.chunks import plan_chunks, plan_split
from bbj_desktop.core.progress import Cancel, Report, Transfer
from bbj_desktop.core.release import ADAPTER_SUFFIX, Adapter, ChunkIndex, FitRow, Variant
from bbj_desktop.services.registry.adapters import AdapterFile
from bbj_desktop.services.registry.blobs import index_file, place_bytes, place_file, reference_to
from bbj_desktop.services.registry.draft import ModelFile
from bbj_desktop.services.registry.ledger import Ledger


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file with its digests, not yet among the blobs."""

    source: ModelFile | AdapterFile
    index: ChunkIndex
    index_bytes: bytes

    def place(self, ledger: Ledger, cancel: Cancel) -> None:
        """Puts the file and its chunk index among the blobs. Raises as ``place_file``."""
        place_file(ledger, self.source.path, self.index, self.source.modified_ns, cancel)
        place_bytes(ledger, self.index_bytes)


@dataclass(frozen=True, slots=True)
class HashedVariant:
    """The hashed files of a variant.

    Attributes:
        model: What the whole, or the base, is.
        file: The same, hashed.
        adapter: What is laid over it.
        adapter_file: The same, hashed.
    """

    model: ModelFile
    file: HashedFile
    adapter: AdapterFile | None = None
    adapter_file: HashedFile | None = None

    @property
    def files(self) -> tuple[HashedFile, ...]:
        return (self.file,) if self.adapter_file is None else (self.file, self.adapter_file)

    def variant(self, fit_table: tuple[FitRow, ...] = ()) -> Variant:
        adapter = self._adapter()
        return Variant(
            quantisation=self.model.quantisation + (ADAPTER_SUFFIX if adapter else ""),
            file=self.file.index.file,
            chunk_index=reference_to(self.file.index_bytes),
            architecture=self.model.architecture,
            adapter=adapter,
            fit_table=fit_table,
        )

    def _adapter(self) -> Adapter | None:
        if self.adapter is None or self.adapter_file is None:
            return None
        return Adapter(
            file=self.adapter_file.index.file,
            chunk_index=reference_to(self.adapter_file.index_bytes),
            weights_bytes=self.adapter.weights_bytes,
            rank=self.adapter.rank,
        )


def hash_variants(
    wholes: Sequence[ModelFile],
    bases: Sequence[ModelFile],
    adapters: Sequence[AdapterFile],
    max_file_bytes: int,
    report: Report,
    cancel: Cancel,
) -> list[HashedVariant]:
    """Reads every file once.

    Args:
        wholes: Models without adapters.
        bases: Models with one each.
        adapters: These, in the same order.
        max_file_bytes: What is longer is split into files of at most this length.
        report: Told the bytes that are hashed.
        cancel: Obeyed within files.

    Raises:
        PublishError: A file can't be read, or changes meanwhile.
        Cancelled: By ``cancel``.
    """
    sources: list[ModelFile | AdapterFile] = [*wholes, *bases, *adapters]
    unique = {source.path: source for source in sources}
    hashed = _hash(list(unique.values()), max_file_bytes, report, cancel)
    found = [HashedVariant(model, hashed[model.path]) for model in wholes]
    for base, adapter in zip(bases, adapters, strict=True):
        found.append(HashedVariant(base, hashed[base.path], adapter, hashed[adapter.path]))
    return found


def _hash(
    sources: Sequence[ModelFile | AdapterFile], max_file_bytes: int, report: Report, cancel: Cancel
) -> dict[Path, HashedFile]:
    total, before = sum(source.length_bytes for source in sources), 0
    hashed: dict[Path, HashedFile] = {}
    for source in sources:
        base = before

        def progress(done: int, base: int = base) -> None:
            report(Transfer(done_bytes=base + done, total_bytes=total))

        lengths = plan_chunks(source.header, source.length_bytes)
        index = index_file(source.path, lengths, progress, cancel)
        index = index.model_copy(update={"split": plan_split(lengths, max_file_bytes)})
        hashed[source.path] = HashedFile(source, index, index.model_dump_json().encode())
        before += source.length_bytes
    return hashed
