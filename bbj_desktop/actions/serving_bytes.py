"""Whose bytes answer, and whether anybody hashed them: our file, or one that Ollama alone has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import talk_to_ollama
from bbj_desktop.core.errors import BBjDesktopError, DigestError, EngineMissingError, NotFoundError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.release import FileReference
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.store import Store


class Bytes(StrEnum):
    """What is known of a file's bytes."""

    HASHED = "hashed"
    """All of them were read here and have the digest that was signed."""

    AS_NAMED = "as-named-by-ollama"
    """They can't be read here: Ollama says that it has a file of that name. Neither verified nor damaged."""


class Verified(BaseModel):
    """The end of a verification that found no damage.

    Attributes:
        files: Of the version's files: ours, or the only ones, in Ollama's folder.
        served: Of what Ollama reads; None for the embedded engine, and where no Ollama answers.
    """

    model_config = ConfigDict(frozen=True)

    version: InstalledVersion
    files: Bytes
    served: Bytes | None = None


def look_at_files(context: Context, store: Store, version: InstalledVersion, report: Report, cancel: Cancel) -> Bytes:
    """Reads a version's files, wherever they lie.

    Raises:
        DigestError: One is damaged.
        NotFoundError: One that only Ollama had is gone.
        StoreAccessError: One can't be read, and isn't Ollama's; or it is, and Ollama doesn't answer.
    """
    if store.keeps(version):
        store.verify(version.key, report, cancel)
        return Bytes.HASHED
    said = [_look_at(context, version, part.file, path, report, cancel) for part, path in version.files]
    return Bytes.HASHED if all(said) else Bytes.AS_NAMED


def _look_at(
    context: Context, version: InstalledVersion, file: FileReference, path: Path, report: Report, cancel: Cancel
) -> bool:
    """Whether a file in Ollama's folder was hashed and is right; False when that can't be told."""
    try:
        actual = digest_of_file(path, file, Meter(report, file.length_bytes), cancel)
    except StoreAccessError as error:
        if _ollama_has(context, file.digest, error):
            return False
        raise NotFoundError(
            f"The file of {version.key} is gone from Ollama's folder, where the only one was: {path}.",
            hint=f"bbj-desktop repair {version.key} lets Ollama fetch it again.",
        ) from error
    _demand(version, path, file.digest, actual)
    return True


def _ollama_has(context: Context, digest: str, unreadable: StoreAccessError) -> bool:
    try:
        with talk_to_ollama(context) as api:
            return api.has_blob(digest, Cancel())
    except EngineMissingError as error:
        raise StoreAccessError(
            f"{unreadable.message} It is Ollama's own file, and no Ollama answers.", hint="Start Ollama: ollama start"
        ) from error


def look_at_served(
    context: Context, store: Store, version: InstalledVersion, files: Bytes, report: Report, cancel: Cancel
) -> Bytes | None:
    """Reads what Ollama serves of a version, where that isn't the file that ``look_at_files`` has read.

    Args:
        files: What that found.

    Raises:
        DigestError: Ollama's own copy isn't what its name says.
    """
    if version.registration("ollama") is None or not _answers(context):
        return None
    if not store.keeps(version):
        return files
    said = [_hashed(served, report, cancel) for served in _copies(context, version)]
    for path, digest, actual in (each for each in said if each is not None):
        _demand(version, path, digest, actual)
    return Bytes.AS_NAMED if None in said else Bytes.HASHED


def damaged_copies(context: Context, version: InstalledVersion, report: Report, cancel: Cancel) -> tuple[str, ...]:
    """Digests of the files that Ollama has of a version and whose bytes aren't what their names say."""
    said = [_hashed(served, report, cancel) for served in _copies(context, version)]
    return tuple(digest for _, digest, actual in filter(None, said) if actual != digest)


class _Copy(BaseModel):
    """What Ollama serves of a file of ours: its digest there, its place there, and ours."""

    model_config = ConfigDict(frozen=True)

    digest: str
    theirs: Path | None
    ours: Path


def _copies(context: Context, version: InstalledVersion) -> Iterator[_Copy]:
    from bbj_desktop.services.runtime.ollama import OllamaRuntime

    runtime, registration = context.runtime("ollama"), version.registration("ollama")
    if not isinstance(runtime, OllamaRuntime) or registration is None:
        return
    for number, (part, path) in enumerate(version.files):
        rewritten = registration.served_digest if number == 0 else None
        digest = rewritten or part.file.digest
        yield _Copy(digest=digest, theirs=runtime.blob_path(digest), ours=path)


def _hashed(copy: _Copy, report: Report, cancel: Cancel) -> tuple[Path, str, str] | None:
    """Place, name and real digest of what Ollama serves; None where it can't be read."""
    if copy.theirs is None:
        return None
    with suppress(OSError, StoreAccessError):
        if copy.theirs.samefile(copy.ours):  # read already
            return copy.theirs, copy.digest, copy.digest
        length = copy.theirs.stat().st_size
        file = FileReference(digest=copy.digest, length_bytes=max(1, length))
        return copy.theirs, copy.digest, digest_of_file(copy.theirs, file, Meter(report, length), cancel)
    return None


def _answers(context: Context) -> bool:
    try:
        return context.runtime("ollama").status().available
    except BBjDesktopError:
        return False


def _demand(version: InstalledVersion, path: Path, digest: str, actual: str) -> None:
    if actual != digest:
        raise DigestError(
            f"The file of {version.key} in Ollama's folder is damaged: {path}.",
            expected=digest,
            actual=actual,
            hint=f"bbj-desktop repair {version.key} lets Ollama take it again.",
        )
