"""What has become of our names in Ollama: somebody deleted or changed them, or pruned what they need. Values only."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.versions import InstalledVersion, Registration
from bbj_desktop.services.runtime.ollama_release import differences_from, served_digest


class DriftKind(StrEnum):
    """What happened to a name."""

    GONE = "gone"
    """Our tag is no more."""
    CHANGED = "changed"
    """Template, system prompt or parameters aren't the release's."""
    CONTEXT = "context"
    """It has another context length, as another user of the same Ollama chose. Our own questions name theirs."""
    OTHER_WEIGHTS = "other-weights"
    """It serves another file."""
    NO_WEIGHTS = "no-weights"
    """The file that it names is no more in Ollama's folder."""
    ALIAS_GONE = "alias-gone"
    ALIAS_MOVED = "alias-moved"
    """An alias means another model, which has a name of its own besides."""
    ALIAS_TAKEN = "alias-taken"
    """An alias is the only name of somebody's model: it is left alone."""


class Drift(BaseModel):
    """One name that isn't as it was registered.

    Attributes:
        version: Key of the version.
        name: The tag or alias.
        text: For a person.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    kind: DriftKind
    name: str
    text: str

    @property
    def wrong_answer(self) -> bool:
        """Whether it concerns what answers under the version's own tag, not only an alias."""
        return not self.kind.startswith("alias") and self.kind is not DriftKind.CONTEXT

    @property
    def mendable(self) -> bool:
        return self.kind is not DriftKind.ALIAS_TAKEN


def tag_drift(
    version: InstalledVersion,
    registration: Registration,
    shown: Mapping[str, str] | None,
    has_blob: Callable[[str], bool],
) -> tuple[Drift, ...]:
    """How a version's own tag differs from what was registered.

    Args:
        shown: The answer of ``/api/show``; None when Ollama doesn't know the tag.
        has_blob: Asks Ollama for a file by its digest.
    """
    key = version.key
    if shown is None:
        return (_drift(version, DriftKind.GONE, key, f"Ollama doesn't know {key} any more."),)
    found = []
    different = differences_from(version, shown)
    if different == ("the parameter num_ctx",):
        text = (
            f"{key} has another context length in Ollama than the {version.context_length} tokens chosen here, which "
            "programs get that don't name one."
        )
        found.append(_drift(version, DriftKind.CONTEXT, key, text))
    elif different:
        text = f"Somebody changed {key} in Ollama: {', '.join(different)}."
        found.append(_drift(version, DriftKind.CHANGED, key, text))
    served = served_digest(shown.get("modelfile", ""))
    expected = {version.variant.file.digest, registration.served_digest}
    if served is not None and served not in expected:
        text = f"Under the name {key} Ollama serves another file: {served}."
        found.append(_drift(version, DriftKind.OTHER_WEIGHTS, key, text))
    elif served is not None and not has_blob(served):
        text = f"The file of {key} is gone from Ollama's folder."
        found.append(_drift(version, DriftKind.NO_WEIGHTS, key, text))
    return tuple(found)


def alias_drift(
    version: InstalledVersion, registration: Registration, tags: Mapping[str, str], *, also_ours: frozenset[str]
) -> tuple[Drift, ...]:
    """How the aliases of an active version differ from what was registered.

    Args:
        tags: Digest of the manifest by name, as Ollama lists them.
        also_ours: Keys of other active versions: several sizes share ``:latest``.
    """
    meant = {tags.get(version.key), *(tags.get(key) for key in also_ours)}
    found = []
    for alias in registration.aliases:
        if alias not in tags:
            text = f"Ollama doesn't know {alias} any more, which means {version.key}."
            found.append(_drift(version, DriftKind.ALIAS_GONE, alias, text))
        elif tags[alias] not in meant:
            others = sorted(name for name, digest in tags.items() if digest == tags[alias] and name != alias)
            found.append(_moved(version, alias, others))
    return tuple(found)


def _moved(version: InstalledVersion, alias: str, others: list[str]) -> Drift:
    if others or is_version_tag(alias):
        text = f"Somebody pointed {alias} to {others[0] if others else 'another model'} instead of {version.key}."
        return _drift(version, DriftKind.ALIAS_MOVED, alias, text)
    text = (
        f"Somebody gave the name {alias} to a model that has no other name; it is left alone. To have both: "
        f"ollama cp {alias} ANOTHER-NAME, then bbj-desktop repair {version.key}"
    )
    return _drift(version, DriftKind.ALIAS_TAKEN, alias, text)


def _drift(version: InstalledVersion, kind: DriftKind, name: str, text: str) -> Drift:
    return Drift(version=version.key, kind=kind, name=name, text=text)


def is_version_tag(name: str) -> bool:
    """Whether a name has the form of a version's own tag: ``bbj-coder:2026.1-7b-q4_k_m``."""
    return re.fullmatch(r"[a-z][a-z0-9-]*:\d[\w.-]*-\d[\d.]*[mb]-[a-z0-9_]+", name) is not None
