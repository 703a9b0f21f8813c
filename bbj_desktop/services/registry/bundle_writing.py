"""Writing a bundle: the signed texts of a channel as they are in the registry, and the models that were chosen."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import ChunkIndex, Extra, Offer, Part, Release, Variant
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, VOLUME_FILE, Bundle
from bbj_desktop.services.registry.client import INITIAL_ROOT_FILE, Registry
from bbj_desktop.services.registry.layout import METADATA, TIMESTAMP
from bbj_desktop.services.registry.root import MAX_ROOT_BYTES, describe_root
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.source import ByteStream, Source

_CLUSTER_BYTES = 64 * 1024  # bytes; what a small file may take on a large stick
_SPARE_BYTES = 2**20  # bytes of each volume for folders and volume.json


class _Recorder:
    """A source that remembers every file that was read whole."""

    def __init__(self, source: Source) -> None:
        self.address = source.address
        self.files: dict[str, bytes] = {}
        self._source = source

    def read(self, path: str, *, limit_bytes: int, cancel: Cancel) -> bytes:
        self.files[path] = self._source.read(path, limit_bytes=limit_bytes, cancel=cancel)
        return self.files[path]

    @contextmanager
    def stream(
        self, path: str, *, offset: int = 0, length: int | None = None, validator: str | None = None, cancel: Cancel
    ) -> Iterator[ByteStream]:
        with self._source.stream(path, offset=offset, length=length, validator=validator, cancel=cancel) as stream:
            yield _Recorded(stream, path, self.files)

    def close(self) -> None:
        self._source.close()


class _Recorded:
    def __init__(self, stream: ByteStream, path: str, files: dict[str, bytes]) -> None:
        self.offset = stream.offset
        self.ranged = stream.ranged
        self.total_bytes = stream.total_bytes
        self.validator = stream.validator
        self._stream = stream
        self._path = path
        self._files = files

    def __iter__(self) -> Iterator[bytes]:
        parts = []
        for data in self._stream:
            parts.append(data)
            yield data
        self._files[self._path] = b"".join(parts)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A channel at one moment.

    Attributes:
        files: Everything small, as it lies in the registry, by path: metadata with the history of roots, catalogue,
            manifests; chunk indexes and tokenizers of the chosen models.
        offers: Every release that may be installed, newest first.
        indexes: The chunks of the chosen models and extras.
    """

    files: Mapping[str, bytes]
    offers: tuple[Offer, ...]
    indexes: tuple[ChunkIndex, ...]


def take_snapshot(
    registry: Registry,
    state: Path,
    channel: str,
    chosen: Sequence[tuple[Release, Variant]],
    cancel: Cancel,
    *,
    app_version: str,
    extras: Sequence[Extra] = (),
) -> Snapshot:
    """Reads a channel from its first root on, as a machine that knows nothing yet does: so all that it needs
    is in it, and all of it was verified.

    Args:
        registry: Refreshed, so that nothing older than known is taken.
        state: The folder of its trusted metadata.
        chosen: The variants whose chunk indexes and tokenizers are needed.
        extras: What is needed besides.

    Raises:
        TrustError, TransportError, NotFoundError, FormatError, Cancelled: As the registry says.
    """
    initial_root = (state / INITIAL_ROOT_FILE).read_bytes()
    recorder = _Recorder(registry.source)
    with TemporaryDirectory(prefix="bbj-desktop-bundle-") as fresh:
        reader = Registry.open(recorder, Path(fresh), initial_root=initial_root)
        reader.offering(channel, cancel, app_version=app_version)
        offers = reader.all_offers(channel, cancel, app_version=app_version)
        parts: list[Part] = [part for _, variant in chosen for part in variant.parts]
        indexes = tuple(reader.chunk_index(part, cancel) for part in (*parts, *extras))
        for release, _ in chosen:
            reader.tokenizer(release, cancel)
    files = recorder.files | _earlier_roots(registry.source, initial_root, cancel)
    unique = {index.file.digest: index for index in indexes}
    return Snapshot(files, offers, tuple(unique.values()))


def _earlier_roots(source: Source, initial_root: bytes, cancel: Cancel) -> dict[str, bytes]:
    """The root that is trusted here, and those before it: other machines began with one of them."""
    version = describe_root(initial_root).version
    roots = {f"{METADATA}/{version}.root.json": initial_root}
    for number in range(1, version):
        path = f"{METADATA}/{number}.root.json"
        try:
            roots[path] = source.read(path, limit_bytes=MAX_ROOT_BYTES, cancel=cancel)
        except NotFoundError:
            continue  # this mirror doesn't keep them; machines that trust this root don't need them
    return roots


def overhead_bytes(files: Mapping[str, bytes]) -> int:
    """Room that the small files take on each volume."""
    taken = sum(-(-len(data) // _CLUSTER_BYTES) * _CLUSTER_BYTES for data in files.values())
    return -(-taken // _SPARE_BYTES) * _SPARE_BYTES + _SPARE_BYTES


def write_texts(folder: Path, files: Mapping[str, bytes], bundle: Bundle, disk: Disk, cancel: Cancel) -> None:
    """Writes everything small; the timestamp behind all that it leads to, and the bundle's own document last.

    Raises:
        NoSpaceError, StoreAccessError, Cancelled: As the disk and the caller say.
    """
    for path in sorted(files, key=write_order):
        cancel.check()
        put(folder / path, files[path], disk)
    document = VOLUME_FILE if bundle.volume else BUNDLE_FILE
    put(folder / document, bundle.model_dump_json(indent=1).encode(), disk)


def put(place: Path, content: bytes, disk: Disk) -> None:
    """Writes a small file unless it is there already."""
    try:
        if place.read_bytes() == content:
            return
    except OSError:
        pass  # not there, or not to be read: then writing says why
    disk.make_folder(place.parent)
    disk.write_atomic(place, content)


def write_order(path: str) -> tuple[int, str]:
    """Sort key by which a mirror can be read at every moment: blobs, targets, metadata, roots, the timestamp last."""
    if path == TIMESTAMP:
        return 3, path
    if path.startswith(f"{METADATA}/"):
        return 2 if path.endswith(".root.json") else 1, path
    return 0, path
