"""``registry`` on the makers' side, but for signing: ``create``, ``publish``, ``refresh``, ``promote`` and more."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bbj_desktop.actions import publishing
from bbj_desktop.actions.publishing import ReleaseName
from bbj_desktop.cli.naming import parse_name
from bbj_desktop.cli.results.publishing import (
    RegistryCreateResult,
    RegistryRefreshResult,
    RegistryReleaseResult,
    RegistryWithdrawResult,
)
from bbj_desktop.cli.results.views import ReleaseView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.signing import keys_of, passphrase_of, place, show_stage, stage_of, terms_of
from bbj_desktop.cli.trusting import show_root
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.release import Release, Role, TierTable
from bbj_desktop.core.units import parse_size
from bbj_desktop.services.registry.findings import StageView
from bbj_desktop.services.registry.publish import Terms

Result = TypeVar("Result")


def create(session: Session) -> Outcome:
    """An empty registry and its keys."""
    folder, keys = _folders(session)
    passphrase = session.new_passphrase()
    description = session.work(lambda _report, _cancel: publishing.create(folder, keys, passphrase))
    result = RegistryCreateResult(folder=folder, keys=keys, root=description)
    return Outcome(result, lambda screen: _show_created(screen, result))


def _show_created(screen: Screen, result: RegistryCreateResult) -> None:
    screen.line(f"The registry is in {result.folder}: serve it with any web server.")
    screen.line(f"Its keys are in {result.keys}: keep them offline, and never serve them.")
    show_root(screen.line, result.root)
    screen.line(f"Customers trust it with: bbj-desktop registry add ADDRESS --fingerprint {result.root.identity}")


def publish(session: Session) -> Outcome:
    """Signs and publishes a release."""
    folder, keys = place(session.arguments.folder), keys_of(session)
    draft = publishing.read_draft(Path(session.arguments.draft))
    channel, tiers, terms = session.arguments.to, _tiers(session), terms_of(session)
    longest = parse_size(session.arguments.max_file_size)
    passphrase = passphrase_of(session)
    job = partial(publishing.publish, folder, keys, passphrase, draft, channel, ollama_mirrors=_mirrors(session))
    return _released(
        session.work(partial(job, tiers=tiers, max_file_bytes=longest, terms=terms)), channel, "published in", terms
    )


def _mirrors(session: Session) -> list[str] | None:
    named = session.arguments.ollama_mirror
    return [] if named == ["none"] else named


def promote(session: Session) -> Outcome:
    """Takes a release from beta over to stable."""
    name, tiers, terms = _name(session), _tiers(session), terms_of(session)
    job = partial(publishing.promote, name=name, tiers=tiers, terms=terms)
    return _released(_write(session, job), "stable", "promoted to", terms)


def _tiers(session: Session) -> TierTable | None:
    path = session.arguments.tiers
    return publishing.read_tiers(Path(path)) if path else None


def withdraw(session: Session) -> Outcome:
    """Never offers a release again."""
    name, channel, reason = _name(session), session.arguments.to, session.arguments.reason
    terms = terms_of(session)
    if terms.stage is None:
        session.confirm(f"Withdraw {session.arguments.release} from {channel}?")
    _write(session, partial(publishing.withdraw, channel=channel, name=name, reason=reason, terms=terms))
    result = RegistryWithdrawResult(
        channel=channel, name=session.arguments.release, reason=reason, stage=stage_of(terms)
    )
    return Outcome(result, _showing(result.stage, f"{result.name} is withdrawn from {channel}."))


def refresh(session: Session) -> Outcome:
    """Signs a new timestamp."""
    folder, keys = _folders(session)
    passphrase, sure = session.passphrase(), session.arguments.clock_is_right
    job = partial(publishing.refresh, folder, keys, passphrase, clock_is_right=sure)
    expires = session.work(lambda _report, _cancel: job())
    result = RegistryRefreshResult(folder=folder, expires=expires)
    return Outcome(result, lambda screen: screen.line(f"Refreshed: good until {expires:%Y-%m-%d}."))


def _write(session: Session, job: Callable[[Path, Path, str], Result]) -> Result:
    folder, keys = place(session.arguments.folder), keys_of(session)
    passphrase = passphrase_of(session)
    return session.work(lambda _report, _cancel: job(folder, keys, passphrase))


def _folders(session: Session) -> tuple[Path, Path]:
    return place(session.arguments.folder), place(session.arguments.keys)


def _showing(stage: StageView | None, done: str) -> Callable[[Screen], None]:
    """What a person sees: the stage that waits for signatures, or what was done."""
    if stage is None:
        return lambda screen: screen.line(done)
    return lambda screen: show_stage(screen.line, stage)


def _name(session: Session) -> ReleaseName:
    """RELEASE of the command line: model, version and size. Raises UserInputError when one is missing."""
    text = session.arguments.release
    name = parse_name(text)
    if not name.model or not name.version or not name.size:
        raise UserInputError(f"{text!r} doesn't name one release.", hint="Write it as bbj-coder:2026.1-7b.")
    return ReleaseName(name.model, Role(session.arguments.role), name.size, name.version)


def _released(release: Release, channel: str, verb: str, terms: Terms) -> Outcome:
    result = RegistryReleaseResult(
        channel=channel,
        name=f"{release.model}:{release.version}-{release.size}",
        release=ReleaseView.of(release),
        quantisations=tuple(variant.quantisation for variant in release.variants),
        stage=stage_of(terms),
    )
    quantisations = ", ".join(result.quantisations)
    return Outcome(result, _showing(result.stage, f"{result.name} ({quantisations}) is {verb} {channel}."))
