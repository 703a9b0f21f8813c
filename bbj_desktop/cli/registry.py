"""``registry …``: the customer's side (add, show, root, forget, mirror) and the makers'."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from bbj_desktop.actions import publishing, registering
from bbj_desktop.actions.publishing import ReleaseName
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.bundle import parse_size
from bbj_desktop.cli.naming import parse_name
from bbj_desktop.cli.results.publishing import (
    RegistryCreateResult,
    RegistryRefreshResult,
    RegistryReleaseResult,
    RegistryWithdrawResult,
)
from bbj_desktop.cli.results.registries import (
    RegistryAddResult,
    RegistryForgetResult,
    RegistryMirrorResult,
    RegistryRootResult,
    RegistryShowResult,
)
from bbj_desktop.cli.results.views import ReleaseView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.signing import keys_of, passphrase_of, place, show_stage, stage_of, terms_of
from bbj_desktop.cli.trusting import show_root, trust
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.ollama_names import is_ollama_address
from bbj_desktop.core.release import Release, Role, TierTable
from bbj_desktop.services.configuration import full_address
from bbj_desktop.services.registry.findings import StageView
from bbj_desktop.services.registry.publish import Terms

Result = TypeVar("Result")


def add(session: Session) -> Outcome:
    """Trusts a registry, after its fingerprint was compared."""
    arguments = session.arguments
    view, description = trust(
        session, arguments.address, arguments.root, fingerprint=arguments.fingerprint, offline=arguments.offline
    )
    result = RegistryAddResult(registry=view, root=description)
    return Outcome(result, lambda screen: screen.line(f"{view.address} is trusted. Next: bbj-desktop recommend"))


def show(session: Session) -> Outcome:
    """The trusted registries."""
    result = RegistryShowResult(registries=registering.list_registries(session.context))
    return Outcome(result, lambda screen: _show(screen, result))


def _show(screen: Screen, result: RegistryShowResult) -> None:
    if not result.registries:
        screen.message("No model registry is set up yet. Type: bbj-desktop registry add ADDRESS --root ROOT.json")
        return
    rows = [("in use" if each.current else "", each.address, each.identity) for each in result.registries]
    screen.table(("", "Address", "Identity"), rows)
    for each in result.registries:
        for mirror in each.mirrors:
            screen.line(f"Mirror of {each.address}: {mirror}")


def root(session: Session) -> Outcome:
    """What a root file says."""
    description = registering.describe(registering.read_root(Path(session.arguments.file)))
    return Outcome(RegistryRootResult(root=description), lambda screen: show_root(screen.line, description))


def forget(session: Session) -> Outcome:
    """Stops trusting a registry."""
    address = full_address(session.arguments.address)
    session.confirm(f"Stop trusting {address}?")
    view = registering.forget_registry(session.context, address)
    result = RegistryForgetResult(registry=view)
    return Outcome(result, lambda screen: screen.line(f"{view.address} isn't trusted any more."))


def add_mirror(session: Session) -> Outcome:
    """One more address for the registry in use."""
    address = full_address(session.arguments.address)
    offline = session.arguments.offline
    view = session.work(
        lambda report, cancel: registering.add_mirror(session.context, address, report, cancel, offline=offline)
    )
    return Outcome(RegistryMirrorResult(registry=view), lambda screen: _show_mirrors(screen, view))


def remove_mirror(session: Session) -> Outcome:
    """One address less."""
    view = registering.remove_mirror(session.context, full_address(session.arguments.address))
    return Outcome(RegistryMirrorResult(registry=view), lambda screen: _show_mirrors(screen, view))


def _show_mirrors(screen: Screen, view: RegistryView) -> None:
    read = [each for each in view.mirrors if not is_ollama_address(each)]
    others = f", else from {', '.join(read)}" if read else " alone"
    screen.line(f"The registry is read from {view.address}{others}.")
    for name in view.mirrors:
        if is_ollama_address(name):
            screen.line(f"At an install Ollama may fetch models itself from {name}.")


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
    job = partial(publishing.publish, folder, keys, passphrase, draft, channel)
    return _released(
        session.work(partial(job, tiers=tiers, max_file_bytes=longest, terms=terms)), channel, "published in", terms
    )


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
