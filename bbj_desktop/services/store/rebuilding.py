"""What the store says, made anew from what is really there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bbj_desktop.core.errors import StoreAccessError
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.checking import digest_of_file
from bbj_desktop.services.store.journal import Unlink, Write
from bbj_desktop.services.store.records import Contents, copy_places, read_copies, record_place

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did.

    Attributes:
        restored: Keys of the versions whose records are here again.
        lost: A sentence for each record that is gone for good.
    """

    restored: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()


def records_of(version: InstalledVersion) -> tuple[Write, ...]:
    """A version's record and its copies."""
    content = version.model_dump_json(indent=1)
    return tuple(Write(place=place, content=content) for place in (record_place(version.key), *copy_places(version)))


def plan_rebuild(
    root: Path, contents: Contents, report: Report, cancel: Cancel
) -> tuple[Rebuilt, tuple[Write | Unlink, ...]]:
    """What is to be written so that every version whose file verifies has a record, and every record a copy.

    Raises:
        StoreAccessError: The folder can't be read.
        Cancelled: By ``cancel``.
    """
    known = {version.key: version for version in contents.versions}
    copies = [
        copy for copy in read_copies(root) if copy.key not in known and _is_free(record_place(copy.key), root, contents)
    ]
    meter = Meter(report, sum(copy.variant.length_bytes for copy in copies))
    sound = [copy for copy in copies if _verifies(copy, meter, cancel)]
    restored = {record_place(copy.key) for copy in sound}
    changed = _with_one_active((*contents.versions, *sound), before=contents.versions)
    gone = [place for place in contents.damaged_places if place not in restored]
    bare = [version for version in contents.versions if not _has_copies(version, root)]
    written = {version.key: version for version in (*bare, *changed)}
    steps = [step for version in written.values() for step in records_of(version)]
    lost = [f"{place} can't be read, and has no copy whose file verifies." for place in gone]
    lost += [f"The file of {copy.key} isn't whole." for copy in copies if copy not in sound]
    gone += [place for copy in copies if copy not in sound for place in copy_places(copy) if (root / place).exists()]
    return Rebuilt(tuple(copy.key for copy in sound), tuple(lost)), (*steps, *(Unlink(place=place) for place in gone))


def _is_free(place: str, root: Path, contents: Contents) -> bool:
    """Whether nothing that can be read, by this program or a newer one, is in a record's place."""
    return place in contents.damaged_places or not (root / place).exists()


def _has_copies(version: InstalledVersion, root: Path) -> bool:
    return all((root / place).exists() for place in copy_places(version))


def _verifies(version: InstalledVersion, meter: Meter, cancel: Cancel) -> bool:
    try:
        return all(digest_of_file(path, part.file, meter, cancel) == part.file.digest for part, path in version.files)
    except StoreAccessError:
        return False


def _with_one_active(
    versions: Iterable[InstalledVersion], *, before: Iterable[InstalledVersion]
) -> list[InstalledVersion]:
    """What differs from ``before`` once each slot has one active version: of several the one activated last."""
    latest: dict[str, InstalledVersion] = {}
    versions = list(versions)
    for version in versions:
        held = latest.get(version.slot)
        if version.active and (held is None or (version.activated_at or _NEVER) > (held.activated_at or _NEVER)):
            latest[version.slot] = version
    settled = [
        version.model_copy(update={"active": False})
        if version.active and latest[version.slot].key != version.key
        else version
        for version in versions
    ]
    unchanged = list(before)
    return [version for version in settled if version not in unchanged]
