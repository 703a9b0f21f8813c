"""Names of models as people type them: ``7b``, ``bbj-coder:7b``, ``bbj-coder:2026.1-7b-q4_k_m``."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from bbj_desktop.core.errors import UserInputError

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
