"""Noticing that somebody changed our names in Ollama, and putting them right again."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import EngineError, EngineMismatchError, EngineMissingError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.versions import STREAMED, InstalledVersion
from bbj_desktop.services.runtime.ollama_drift import Drift, DriftKind, alias_drift, tag_drift
from bbj_desktop.services.store.store import Store

if TYPE_CHECKING:
    from bbj_desktop.services.runtime.ollama_api import OllamaApi

log = logging.getLogger(__name__)


def find_drift(context: Context, versions: tuple[InstalledVersion, ...] | None = None) -> tuple[Drift, ...]:
    """What isn't as it was registered with Ollama; nothing is changed. Empty where no Ollama answers.

    Args:
        versions: Those to look at; None for all that are installed.

    Raises:
        EngineError: Ollama answers, and then fails.
    """
    everything = context.open_store().versions()
    concerned = [each for each in versions or everything if each.registration("ollama") is not None]
    if not concerned:
        return ()
    try:
        with talk_to_ollama(context) as api:
            tags = api.tags()
            return tuple(drift for each in concerned for drift in _drift_of(api, each, tags, everything))
    except EngineMissingError:
        return ()


def refuse_drifted(context: Context, version: InstalledVersion) -> None:
    """Refuses to let something else answer in a version's name.

    Raises:
        EngineMismatchError: What Ollama serves under the version's tag isn't what was registered.
    """
    wrong = [drift for drift in find_drift(context, (version,)) if drift.wrong_answer]
    if wrong:
        raise EngineMismatchError(
            " ".join(drift.text for drift in wrong), hint=f"To put it right: bbj-desktop repair {version.key}"
        )


def mend(
    context: Context,
    store: Store,
    version: InstalledVersion,
    report: Report,
    cancel: Cancel,
    *,
    removed: frozenset[str] = frozenset(),
) -> tuple[InstalledVersion, tuple[Drift, ...]]:
    """Registers a version again and points its aliases to it, where they aren't as they were. An alias that is the
    only name of somebody's model stays that, said aloud. Interrupted anywhere, the next time mends it.

    Args:
        removed: Names that we removed ourselves just now: that they are gone is no news.

    Returns:
        The version as recorded now, and what was found.

    Raises:
        EngineError: Ollama can't.
    """
    registration = version.registration("ollama")
    if registration is None:
        return version, ()
    with talk_to_ollama(context) as api:
        found = list(_drift_of(api, version, api.tags(), store.versions()))
        if any(drift.wrong_answer or drift.kind is DriftKind.CONTEXT for drift in found):
            _tell(_news(found, removed), report)
            report(Step("register", f"Registering {version.key} with Ollama again"))
            if store.keeps(version):  # else the only files would go with the last name: the route replaces it
                api.delete(version.key)
            again = context.runtime("ollama").register(version, report, cancel)
            route = again.route if store.keeps(version) else STREAMED
            version = store.register(version.key, again.model_copy(update={"route": route}))
            later = _drift_of(api, version, api.tags(), store.versions())
            moved = [drift for drift in later if drift not in found and not _left_behind(api, version, drift)]
            found += moved
            _tell(_news(moved, removed), report)
        else:
            _tell(_news(found, removed), report)
        _point_aliases(api, version, store)
    found = _news(found, removed)
    for drift in found:
        log.info("drift: %s", drift.text)
    return version, tuple(found)


def _news(found: list[Drift], removed: frozenset[str]) -> list[Drift]:
    return [drift for drift in found if drift.name not in removed]


def _tell(found: list[Drift], report: Report) -> None:
    for drift in found:
        report(Remark(drift.text, "info" if drift.mendable else "warning"))


def _point_aliases(api: OllamaApi, version: InstalledVersion, store: Store) -> None:
    """But for those that are the only name of somebody's model. What an interrupted pull of ours left goes now that
    all it may have brought has another name."""
    from bbj_desktop.services.runtime.ollama_pull import sweep

    tags = api.tags()
    for drift in _drift_of(api, version, tags, store.versions()):
        if not drift.wrong_answer and (drift.mendable or _left_behind(api, version, drift)):
            api.copy(version.key, drift.name)
    sweep(api, tags)


def _left_behind(api: OllamaApi, version: InstalledVersion, drift: Drift) -> bool:
    """Whether an alias still means the version as it was before somebody changed its tag."""
    registration, shown = version.registration("ollama"), api.show(drift.name)
    if drift.wrong_answer or registration is None or shown is None:
        return False
    return not any(each.wrong_answer for each in tag_drift(version, registration, shown, lambda _: True))


def _drift_of(
    api: OllamaApi, version: InstalledVersion, tags: dict[str, str], everything: tuple[InstalledVersion, ...]
) -> Iterator[Drift]:
    registration = version.registration("ollama")
    if registration is None:
        return
    shown = api.show(version.key)
    wrong = tag_drift(version, registration, shown, lambda digest: api.has_blob(digest, Cancel()))
    yield from wrong
    if version.active:
        also_ours = frozenset(each.key for each in everything if each.active and each.key != version.key)
        for drift in alias_drift(version, registration, tags, also_ours=also_ours):
            if not wrong or drift.kind is DriftKind.ALIAS_GONE:  # what an alias should mean isn't there to compare
                yield drift


@contextmanager
def talk_to_ollama(context: Context) -> Iterator[OllamaApi]:
    """Its API, while the ``with`` block runs. Raises EngineMissingError when no Ollama can be used."""
    status = context.runtime("ollama").status()
    if not status.available:
        raise EngineMissingError(status.reason, hint="See bbj-desktop doctor.")
    from bbj_desktop.services.runtime.ollama_api import OllamaApi

    api = OllamaApi(status.address, context.ollama_tls())
    try:
        yield api
    finally:
        api.close()


def drift_or_none(context: Context) -> tuple[Drift, ...]:
    """As ``find_drift``, for lists that must not fail because of Ollama."""
    try:
        return find_drift(context)
    except EngineError as error:
        log.info("drift can't be told: %s", error.message)
        return ()
