"""Data files that come with the program: ``resources/`` beside the package in a checkout, inside it when installed."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.core.errors import NotFoundError

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Path of a data file.

    Args:
        name: Relative to ``resources/``, e.g. ``tiers.json``.

    Raises:
        NotFoundError: It isn't there: the installation is incomplete.
    """
    for folder in (_PACKAGE / "resources", _PACKAGE.parent / "resources"):
        path = folder / name
        if path.exists():
            return path
    raise NotFoundError(f"The data file resources/{name} is missing.", hint="Install BBj Desktop again.")
