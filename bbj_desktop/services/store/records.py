"""The records of installed versions: one JSON file each, readable without the others.

A copy of each lies beside each of the version's files. The copies are read only to restore records that were lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, StoreAccessError, TooNewError
from bbj_desktop.core.release import version_key
from bbj_desktop.core.versions import INSTALLED_FORMAT, InstalledVersion

_MAX_BYTES = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Contents:
    """What the records say.

    Attributes:
        versions: By slot, newest first.
        problems: A sentence for each record that can't be used and each file that isn't as it should be.
        damaged: Whether a record couldn't be read, so that nobody knows which files it needs.
        damaged_places: The records that no program can read any more.
    """

    versions: tuple[InstalledVersion, ...] = ()
    problems: tuple[str, ...] = ()
    damaged: bool = False
    damaged_places: tuple[str, ...] = ()


def blob_name(digest: str) -> str:
    """``sha256:<hex>`` → ``sha256-<hex>``: Windows allows no colon."""
    return digest.replace(":", "-")


def digest_of_blob(name: str) -> str:
    """The way back from ``blob_name``."""
    return name.replace("-", ":", 1)


def record_place(key: str) -> str:
    """``bbj-coder:2026.1-7b-q4_k_m`` → ``versions/bbj-coder+2026.1-7b-q4_k_m.json``; keys have no plus sign."""
    return f"versions/{key.replace(':', '+')}.json"


def copy_places(version: InstalledVersion) -> tuple[str, ...]:
    """``blobs/sha256-<hex>.bbj-coder+2026.1-7b-q4_k_m.json`` beside each file: a file may serve several versions."""
    record = record_place(version.key).removeprefix("versions/")
    return tuple(f"blobs/{blob_name(part.file.digest)}.{record}" for part in version.variant.parts)


def key_of_copy(name: str) -> str | None:
    """The key in a copy's name; None when it is another file's."""
    key = name.partition(".")[2].removesuffix(".json").replace("+", ":")
    return key if name.endswith(".json") and ":" in key else None


def read_copies(root: Path) -> tuple[InstalledVersion, ...]:
    """The versions whose copies can be read, each once. Raises StoreAccessError."""
    found: dict[str, InstalledVersion] = {}
    for path in files_in(root / "blobs"):
        if key_of_copy(path.name) is not None and (text := _text(path)) is not None:
            with suppress(FormatError):
                version = _parse(text, root)
                if f"blobs/{path.name}" in copy_places(version):
                    found.setdefault(version.key, version)
    return tuple(found.values())


def read_records(root: Path, pending: Mapping[str, str | None]) -> Contents:
    """Reads all records.

    Args:
        root: The store's folder.
        pending: What the journal still has to do: new content by place, None for files that go.

    Raises:
        StoreAccessError: The folder can't be read.
    """
    found: list[InstalledVersion] = []
    problems: list[str] = []
    damaged: list[FormatError] = []
    places: list[str] = []
    for place, text in sorted(_texts(root, pending).items()):
        try:
            version = _parse(text, root)
            if record_place(version.key) != place:
                raise FormatError(f"It is the record of {version.key}.")  # noqa: TRY301 - told like any other damage
        except FormatError as error:
            damaged.append(error)
            places += [] if isinstance(error, TooNewError) else [place]
            problems.append(f"{root / place}: {error.message}")
        else:
            found.append(version)
            problems += _file_problems(version)
    return Contents(_ordered(found), tuple(problems), bool(damaged), tuple(places))


def files_in(folder: Path) -> list[Path]:
    """What lies in a folder of the store, by name; nothing when it isn't there yet. Raises StoreAccessError."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreAccessError(f"{folder} can't be read: {error.strerror}.", hint="Check its permissions.") from error


def _text(path: Path) -> bytes | None:
    """A record's content; None when it isn't one, or is gone since the folder was listed."""
    if path.suffix != ".json":
        return None
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror}.", hint="Check its permissions.") from error


def _texts(root: Path, pending: Mapping[str, str | None]) -> dict[str, bytes]:
    texts = {f"versions/{path.name}": text for path in files_in(root / "versions") if (text := _text(path)) is not None}
    for place, content in pending.items():
        if content is None:
            texts.pop(place, None)
        elif place.startswith("versions/"):
            texts[place] = content.encode()
    return texts


def _parse(text: bytes, root: Path) -> InstalledVersion:
    version = parse_document(InstalledVersion, text, what="record of an installed version", newest=INSTALLED_FORMAT)
    if version.release.variant(version.quantisation) is None:
        raise FormatError(f"Its release has no variant {version.quantisation}.")
    if any("\0" in str(path) for _, path in version.files):
        raise FormatError("Its file has a name that no file can have.")
    theirs = version.streamed
    paths = [_placed(part.file.digest, path, root, theirs=theirs) for part, path in version.files]
    return version.model_copy(update=dict(zip(("path", "adapter_path"), paths, strict=False)))


def _placed(digest: str, path: Path, root: Path, *, theirs: bool) -> Path:
    """Where a file is now: the store may have been moved as a whole; what is elsewhere is a shared store's file, or
    ``theirs``, Ollama's."""
    here = root / "blobs" / blob_name(digest)
    return here if path.name == here.name and (here.exists() or not (theirs or _is_there(path))) else path


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # e.g. a name that is too long
        return False


def _file_problems(version: InstalledVersion) -> Iterable[str]:
    for part, path in version.files:
        try:
            size = path.stat().st_size
        except OSError as error:
            yield f"The file of {version.key} is missing: {path} ({error.strerror})."
            continue
        if size != part.file.length_bytes:
            yield f"The file of {version.key} has {size} bytes instead of {part.file.length_bytes}."


def _ordered(versions: list[InstalledVersion]) -> tuple[InstalledVersion, ...]:
    newest_first = sorted(versions, key=lambda each: (version_key(each.release.version), each.key), reverse=True)
    return tuple(sorted(newest_first, key=lambda each: each.slot))
