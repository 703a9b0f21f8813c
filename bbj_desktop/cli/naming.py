"""Names of models as people type them: ``7b``, ``bbj-coder:7b``, ``bbj-coder:2026.1-7b-q4_k_m``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bbj_desktop.core.errors import NotFoundError, UserInputError
from bbj_desktop.core.versions import InstalledVersion, model_name
from bbj_desktop.services.store.finding import find_version

_NAME = re.compile(
    r"(?:(?P<model>[a-z][a-z0-9-]*)[:/])?"
    r"(?:(?P<version>\d{1,6}(?:\.\d{1,6}){0,3}(?:-[a-z0-9]{1,16})?)-)?"
    r"(?P<size>\d{1,4}(?:\.\d{1,2})?[mb])"
    r"(?:-(?P<quantisation>[a-z0-9_]+))?"
)
_MODEL_ALONE = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Named:
    """The parts of a name; None for what it leaves open."""

    model: str | None = None
    version: str | None = None
    size: str | None = None
    quantisation: str | None = None

    @property
    def given(self) -> dict[str, str]:
        return {part: value for part, value in asdict(self).items() if value is not None}


def parse_name(text: str) -> Named:
    """Reads a name, in any case.

    Raises:
        UserInputError: It names no model.
    """
    text = text.strip().lower()
    if _MODEL_ALONE.fullmatch(text):
        return Named(model=text)
    match = _NAME.fullmatch(text)
    if match is None:
        raise UserInputError(f"{text!r} doesn't name a model.", hint="Write it as 7b, bbj-coder:7b or 7b-q4_k_m.")
    quantisation = match["quantisation"]
    return Named(match["model"], match["version"], match["size"], quantisation and quantisation.upper())


def find_installed(versions: Sequence[InstalledVersion], text: str) -> InstalledVersion:
    """The installed version that a text means: as the store finds it, or named as for ``install`` (``7b-q4_k_m``).

    Raises:
        NotFoundError: None is meant.
        UserInputError: Several could be meant.
    """
    try:
        return find_version(versions, text)
    except NotFoundError:
        matching = [version for version in versions if _is_named(version, text)]
        in_use = [version for version in matching if version.active] or matching
        if len(in_use) != 1:
            raise
        return in_use[0]


def _is_named(version: InstalledVersion, text: str) -> bool:
    try:
        named = parse_name(text)
    except UserInputError:
        return False
    release = version.release
    return (
        named.model in (None, release.model, model_name(release))
        and named.version in (None, release.version)
        and named.size in (None, release.size)
        and named.quantisation in (None, version.quantisation)
    )
