"""Free disk where this program will write."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bbj_desktop.core.hardware import ProbeNote, Volume, VolumePurpose
from bbj_desktop.services.probe.interpreting.cgroups import MOUNTS, parse_mounts
from bbj_desktop.services.probe.raw import RawInputs

# Their subvolumes and datasets have device numbers of their own and share one pool of space.
_POOLED = {"btrfs", "zfs"}


def volumes(raw: RawInputs, places: Mapping[VolumePurpose, Path]) -> tuple[tuple[Volume, ...], tuple[ProbeNote, ...]]:
    """One volume for all purposes that share it; two only where one of the folders may be written and the other not.

    Args:
        raw: The machine's answers.
        places: The folders that were asked for.
    """
    found: list[Volume] = []
    notes: list[ProbeNote] = []
    for purpose, path in places.items():
        answer = raw.answer("volumes").get(str(path.absolute())) or raw.answer("volumes").get(str(path))
        if not answer or "error" in answer:
            notes.append(ProbeNote(probe="volumes", message=_why(raw, path, answer)))
        _merge(found, _volume(raw, purpose, path, answer or {}))
    return tuple(found), tuple(notes)


def _merge(found: list[Volume], new: Volume) -> None:
    for at, volume in enumerate(found):
        if (volume.device, volume.writable) == (new.device, new.writable):
            found[at] = volume.model_copy(update={"purposes": volume.purposes + new.purposes})
            return
    found.append(new)


def _volume(raw: RawInputs, purpose: VolumePurpose, path: Path, answer: Mapping[str, Any]) -> Volume:
    if "existing" not in answer:
        return Volume(purposes=(purpose,), path=path, device=f"unknown:{path}", writable=False)
    filesystem, source = _mounted(raw, str(answer["existing"]))
    pooled = source and filesystem in _POOLED
    return Volume(
        purposes=(purpose,),
        path=path,
        device=source.split("/")[0] if pooled and filesystem == "zfs" else source if pooled else str(answer["device"]),
        filesystem=filesystem,
        total_bytes=answer["total"],
        free_bytes=answer["free"],
        writable=bool(answer["writable"]),
    )


def _mounted(raw: RawInputs, folder: str) -> tuple[str | None, str]:
    """File system and device of the mount point nearest above a folder; on one point, the last mount hides the rest."""
    table = [(it.point, it.filesystem, it.source) for it in parse_mounts(raw.files.get(MOUNTS, ""))]
    table += [
        (it["mountpoint"], it["filesystem"], it["device"]) for it in raw.answer("volumes").get("partitions") or []
    ]
    best: tuple[int, str | None, str] = (-1, None, "")
    for point, filesystem, source in table:
        if len(point) >= best[0] and _is_below(folder, point):
            best = (len(point), filesystem.lower() or None, source)
    return best[1], best[2]


def _is_below(folder: str, point: str) -> bool:
    """Also for drives of Windows, whose letter case and slashes vary."""
    inside = folder.replace("\\", "/") + "/"
    outside = point.replace("\\", "/").rstrip("/") + "/"
    if ":" in outside[:2]:
        inside, outside = inside.lower(), outside.lower()
    return inside.startswith(outside)


def _why(raw: RawInputs, path: Path, answer: Mapping[str, Any] | None) -> str:
    if answer:
        return f"Free space at {path} can't be read: {answer['error']}."
    failure = raw.failures.get("volumes")
    if failure and failure.kind == "timeout":
        return f"The volume of {path} did not answer within {failure.detail} s. If it is a network drive, check it."
    return f"Free space at {path} can't be read: the probe of volumes failed."
