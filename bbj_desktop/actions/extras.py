"""Extras: installers and IDE extensions that a registry signs. They are verified and put into a folder; none is run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import NoSpaceError, NotFoundError
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.release import ChunkIndex, Extra
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.registry.bundle import BundleSource
from bbj_desktop.services.registry.bundle_reading import names_of_missing, take_what_is_here
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.store.disk import Disk, existing_folder
from bbj_desktop.services.transfer.fetch import Limits, bytes_missing, fetch

ALL = "all"
_ADVICE = {
    "ollama-installer": "Installs or updates Ollama. Run it yourself, then: bbj-desktop doctor",
    "app-installer": "Installs or updates this program. End the program, then run it yourself.",
    "ide-extension": "Extends your IDE. For VS Code type: code --install-extension {path}",
}


class FetchedExtra(BaseModel):
    """An extra that was put into a folder.

    Attributes:
        key: Name, version and platform.
        path: The verified file.
        advice: What to do with it, for a person.
        fetched_bytes: What came over the network; 0 when it was there.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    kind: str
    path: Path
    advice: str
    fetched_bytes: int


class ImportedExtra(BaseModel):
    """An extra of a bundle, as far as it is here.

    Attributes:
        key: Name, version and platform.
        path: Where the verified file is, or will be once all of it came.
        advice: What to do with it, for a person.
        missing_bytes: What of it isn't here yet.
        missing: Names of the pieces that are to be brought, with their volumes.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    kind: str
    path: Path
    advice: str
    length_bytes: int
    copied_bytes: int = 0
    missing_bytes: int = 0
    missing: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.missing_bytes


def advice_for(extra: Extra, path: Path) -> str:
    """What its makers say to do with it, else what is right for its kind."""
    return extra.note or _ADVICE.get(extra.kind, "").format(path=_typed(path))


def _typed(path: Path) -> str:
    """A path as one types it into a shell."""
    return f'"{path}"' if os.name == "nt" else shlex.quote(str(path))


def place_of(extra: Extra, folder: Path) -> Path:
    """Where an extra is put below a folder."""
    return folder / extra.key / extra.file_name


def list_extras(context: Context, report: Report, cancel: Cancel) -> tuple[Extra, ...]:
    """What the registry offers besides models. Raises TrustError, TransportError, NotFoundError as it says."""
    registry = context.open_registry()
    try:
        return _offered(context, registry, report, cancel)
    finally:
        registry.close()


def _offered(context: Context, registry: Registry, report: Report, cancel: Cancel) -> tuple[Extra, ...]:
    report(Step("catalogue", "Reading the registry"))
    registry.refresh(cancel)
    for remark in registry.remarks:
        report(remark)
    return registry.extras(context.settings.values.channel, cancel)


def choose_extras(extras: Sequence[Extra], words: Sequence[str]) -> tuple[Extra, ...]:
    """Those that words name: ``all``, or a name, kind, platform, version or key; several with ``:`` between them must
    all fit (``ollama:windows-x86_64``). Of each name and platform the newest, unless a version is named.

    Raises:
        NotFoundError: A word fits none.
    """
    found: dict[str, Extra] = {}
    for word in words:
        fitting = [extra for extra in extras if word == ALL or all(_fits(extra, part) for part in word.split(":"))]
        if not fitting:
            offered = ", ".join(extra.key for extra in extras)
            raise NotFoundError(f"The registry has no extra {word!r}.", hint=f"It has: {offered or 'none'}.")
        newest: dict[tuple[str, str], Extra] = {}
        for extra in sorted(fitting, key=lambda each: _version_key(each.version)):
            newest[extra.name, extra.platform] = extra
        found |= {extra.key: extra for extra in newest.values()}
    return tuple(found[key] for key in sorted(found))


def _fits(extra: Extra, word: str) -> bool:
    return word in (extra.name, extra.kind, extra.platform, extra.version, extra.key)


def _version_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key of anybody's version: numbers by value, ``1.10`` after ``1.9``; ``1.0-rc1`` before ``1.0``."""
    release, dash, before = version.partition("-")
    parts = [(1, int(part), "") if part.isdecimal() else (0, 0, part) for part in release.split(".")]
    return (*parts, (-1, 0, before) if dash else (0, 0, ""))


def fetch_extras(
    context: Context, words: Sequence[str], folder: Path, report: Report, cancel: Cancel
) -> tuple[FetchedExtra, ...]:
    """Downloads extras into a folder, verified. Interrupted anywhere, doing it again takes up where it ended.

    Args:
        words: As for ``choose_extras``.
        folder: Gets a folder for each.

    Raises:
        NotFoundError: The registry has no such extra.
        TrustError, TransportError, StoreError, Cancelled: As the services say.
    """
    registry, limits = context.open_registry(), Limits(bytes_per_s=context.settings.values.bandwidth_limit)
    try:
        chosen = choose_extras(_offered(context, registry, report, cancel), words)
        indexes = [registry.chunk_index(extra, cancel) for extra in chosen]
        places = [place_of(extra, folder) for extra in chosen]
        _check_space(folder, sum(map(bytes_missing, indexes, places)))
        fetched = []
        for extra, index, place in zip(chosen, indexes, places, strict=True):
            report(Step("download", f"Downloading and verifying {extra.key}"))
            sources, path = registry.payload_sources(index), blob_path(index.file.digest)
            came = fetch(sources, path, index, place, report, cancel, limits=limits)
            fetched.append(_fetched(extra, place, came.bytes_fetched))
    finally:
        registry.close()
    return tuple(fetched)


def _fetched(extra: Extra, place: Path, fetched_bytes: int) -> FetchedExtra:
    advice = advice_for(extra, place)
    return FetchedExtra(key=extra.key, kind=extra.kind, path=place, advice=advice, fetched_bytes=fetched_bytes)


def _check_space(folder: Path, needed: int) -> None:
    free = Disk().free_bytes(folder)
    if free < needed:
        raise NoSpaceError(
            f"{format_bytes(needed)} are needed in {folder}; {format_bytes(free)} are free.",
            needed_bytes=needed,
            free_bytes=free,
            path=folder,
            hint="Make room there, or name another folder.",
        )


@dataclass(frozen=True, slots=True)
class ExtrasImport:
    """The extras of a bundle that the newest catalogue known here names.

    Attributes:
        folder: Where they are put.
        wanted: With their chunks.
    """

    source: BundleSource
    folder: Path
    wanted: tuple[tuple[Extra, ChunkIndex], ...]

    @classmethod
    def plan(cls, source: BundleSource, registry: Registry, channel: str, folder: Path, cancel: Cancel) -> ExtrasImport:
        """Raises as the registry says."""
        listed = {content.digest for each in source.folders for content in each.bundle.extras}
        wanted = [extra for extra in registry.extras(channel, cancel) if extra.file.digest in listed]
        return cls(source, folder, tuple((extra, registry.chunk_index(extra, cancel)) for extra in wanted))

    @property
    def digests(self) -> set[str]:
        return {extra.file.digest for extra, _ in self.wanted}

    def check_space(self, store: Path, for_models: int) -> None:
        """Before the first byte; with what the models take, where both go onto one volume. Raises NoSpaceError."""
        missing = sum(bytes_missing(index, place_of(extra, self.folder)) for extra, index in self.wanted)
        if missing:
            _check_space(self.folder, missing + (for_models if _same_volume(store, self.folder) else 0))

    def take(self, report: Report, cancel: Cancel) -> tuple[ImportedExtra, ...]:
        """Copies every part that the bundle has and the folder lacks. Raises as ``take_what_is_here``."""
        imported = []
        for extra, index in self.wanted:
            report(Step("extra", f"Copying and verifying {extra.key}"))
            place = place_of(extra, self.folder)
            taken = take_what_is_here(self.source, index, place, report, cancel)
            imported.append(
                ImportedExtra(
                    key=extra.key,
                    kind=extra.kind,
                    path=place,
                    advice=advice_for(extra, place),
                    length_bytes=extra.file.length_bytes,
                    copied_bytes=taken.copied_bytes,
                    missing_bytes=taken.missing_bytes,
                    missing=names_of_missing(self.source, extra.file.digest, taken),
                )
            )
        return tuple(imported)


def _same_volume(one: Path, other: Path) -> bool:
    try:
        return os.stat(existing_folder(one)).st_dev == os.stat(existing_folder(other)).st_dev  # noqa: PTH116 - the number
    except OSError:
        return True
