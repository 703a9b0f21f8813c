"""Making Ollama let go of a damaged file, so that it takes it anew: while it is there, no pull looks at it again."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_drift import tag_drift
from bbj_desktop.services.runtime.ollama_loopback import left_over
from bbj_desktop.services.runtime.ollama_release import served_adapters, served_digest


def let_go(
    api: OllamaApi, digests: Collection[str], versions: Sequence[InstalledVersion], cancel: Cancel
) -> frozenset[str]:
    """Removes our names of models that have one of some files; the files go with the last of them. Where a model of
    somebody else's has one, too, nothing is removed.

    Args:
        digests: Of the files.
        versions: All that are installed: their tags and aliases are ours, as long as they mean what was registered.

    Returns:
        The names that were removed.

    Raises:
        EngineRefusedError: Somebody else's model needs a file, or Ollama keeps one all the same.
    """
    tags = api.tags()
    named = dict(_naming(api, tags, digests))
    mine = {name for name, shown in named.items() if _is_ours(name, shown, tags, versions)}
    if others := sorted(named.keys() - mine):
        raise EngineRefusedError(
            f"Ollama's model {others[0]} has the same damaged file: it isn't ours to remove.",
            hint=f"If it may go: ollama rm {' '.join(others)}, then repair again.",
        )
    for name in sorted(mine):
        cancel.check()
        api.delete(name)
    if any(api.has_blob(digest, cancel) for digest in digests):
        raise EngineRefusedError(
            "Ollama keeps the damaged file although no model needs it.",
            hint="Restart Ollama an hour from now at the earliest: then it removes it. Repair again afterwards.",
        )
    return frozenset(mine)


def _naming(api: OllamaApi, names: Iterable[str], digests: Collection[str]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """The models that have one of some files, with what Ollama shows of them."""
    for name in names:
        shown = api.show(name) or {}
        modelfile = shown.get("modelfile", "")
        if {served_digest(modelfile), *served_adapters(modelfile)} & set(digests):
            yield name, shown


def _is_ours(
    name: str, shown: Mapping[str, str], tags: Mapping[str, str], versions: Sequence[InstalledVersion]
) -> bool:
    if left_over(name) is not None:
        return True
    for version in versions:
        registration = version.registration("ollama")
        if registration is None:
            continue
        drift = tag_drift(version, registration, shown, lambda _: True)
        means_it = tags[name] == tags.get(version.key) or not any(each.wrong_answer for each in drift)
        if name == version.key or (name in registration.aliases and means_it):
            return True
    return False
