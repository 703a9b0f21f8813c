"""From what somebody types to the installed version that is meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from bbj_desktop.core.errors import NotFoundError, UserInputError
from bbj_desktop.core.versions import InstalledVersion, model_name


def find_version(versions: Sequence[InstalledVersion], text: str) -> InstalledVersion:
    """Takes a key, a slot (``bbj-coder:7b``), a model's name, or a beginning of a key that only one has.

    A slot or a name stands for its active version, else for its newest one.

    Raises:
        NotFoundError: Nothing is meant; the hint names what is similar.
        UserInputError: Several could be meant; the hint lists them.
    """
    wanted = text.strip().lower().removesuffix(":latest")
    for matches in (
        [version for version in versions if version.key == wanted],
        _of_slots([version for version in versions if version.slot == wanted]),
        _of_slots([version for version in versions if model_name(version.release) == wanted]),
        [version for version in versions if wanted and _begins(version, wanted)],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise UserInputError(
                f"{text!r} could be any of {len(matches)} versions.", hint=f"Say which: {_list(matches)}."
            )
    raise NotFoundError(f"No version {text!r} is installed.", hint=_suggestion(versions, wanted))


def _begins(version: InstalledVersion, wanted: str) -> bool:
    return version.key.startswith(wanted) or version.key.partition(":")[2].startswith(wanted)


def _of_slots(versions: Sequence[InstalledVersion]) -> list[InstalledVersion]:
    """One version for each slot: the active one, else the first, which is the newest."""
    chosen: dict[str, InstalledVersion] = {}
    for version in versions:
        if version.slot not in chosen or version.active:
            chosen[version.slot] = version
    return list(chosen.values())


def _suggestion(versions: Sequence[InstalledVersion], wanted: str) -> str:
    if not versions:
        return "Nothing is installed yet: bbj-desktop install."
    names = {name: None for version in versions for name in (version.key, version.slot, model_name(version.release))}
    close = difflib.get_close_matches(wanted, list(names), n=2, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    return f"Installed: {_list(versions)}."


def _list(versions: Sequence[InstalledVersion]) -> str:
    return ", ".join(version.key for version in versions)
