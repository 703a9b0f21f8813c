"""``registry`` on the customer's side: ``add``, ``show``, ``root``, ``forget`` and ``mirror``."""

from __future__ import annotations

from pathlib import Path

from bbj_desktop.actions import registering
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.cli.results.registries import (
    RegistryAddResult,
    RegistryForgetResult,
    RegistryMirrorResult,
    RegistryRootResult,
    RegistryShowResult,
)
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.trusting import show_root, trust
from bbj_desktop.core.ollama_names import is_ollama_address
from bbj_desktop.services.configuration import full_address


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
