"""The files of a store as they lie on the volume: which there are, what they take, what nobody uses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.store.records import files_in


@dataclass(frozen=True, slots=True)
class Leftover:
    """Files of one blob that no installed version uses.

    Attributes:
        path: The most important of them.
        size_bytes: What they take on the volume.
        partial: Whether the blob isn't whole.
        paths: All of them.
    """

    path: Path
    size_bytes: int
    partial: bool
    paths: tuple[Path, ...]


def blob_files(root: Path) -> list[Path]:
    """The files of models, and what is left beside them of downloads and records."""
    return [path for path in files_in(root / "blobs") if path.name.startswith("sha256-")]


def names_of(versions: Iterable[InstalledVersion]) -> set[str]:
    """The names of all files that versions use."""
    return {path.name for version in versions for _, path in version.files}


def leftovers_among(paths: Iterable[Path], used: set[str]) -> tuple[Leftover, ...]:
    """By blob, what isn't the file, or the record's copy, of a blob that is used.

    Args:
        used: Names of blobs.
    """
    groups: dict[str, list[Path]] = {}
    for path in paths:
        name = path.name.partition(".")[0]
        if name not in used or not (path.name == name or path.suffix == ".json"):
            groups.setdefault(name, []).append(path)
    return tuple(_leftover(name, of_blob) for name, of_blob in groups.items())


def _leftover(name: str, paths: list[Path]) -> Leftover:
    whole = next((path for path in paths if path.name == name), None)
    main = whole or next((path for path in paths if path.suffix == ".part"), paths[0])
    return Leftover(main, sum(size_on_disk(path) for path in paths), whole is None, tuple(paths))


def size_on_disk(path: Path) -> int:
    """What removing a file frees: an unfinished download may have holes. Windows doesn't tell blocks."""
    try:
        state = path.stat()
    except OSError:
        return 0
    blocks: int | None = getattr(state, "st_blocks", None)
    return state.st_size if blocks is None else min(state.st_size, blocks * 512)


def check_files(version: InstalledVersion) -> None:
    """Raises StoreAccessError unless all of a version's files are there in their lengths."""
    for part, path in version.files:
        expected = part.file.length_bytes
        try:
            size = path.stat().st_size
        except OSError as error:
            raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error
        if size != expected:
            raise StoreAccessError(f"{path} has {size} bytes instead of {expected}.", hint="Install it again.")
