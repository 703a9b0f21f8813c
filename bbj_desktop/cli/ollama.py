"""``ollama status``, ``ollama start`` and ``ollama stop``; and the question whether to start it."""

from __future__ import annotations

from bbj_desktop.actions import connecting
from bbj_desktop.actions.ollama import (
    OllamaState,
    could_start,
    is_needed,
    look_at_ollama,
    ollama_findings,
    start_ollama,
    stop_ollama,
)
from bbj_desktop.cli.results.ollama import ConnectResult, OllamaStartResult, OllamaStatusResult, OllamaStopResult
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.errors import Cancelled
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.settings import OriginKind
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.configuration import SETTINGS_FILE
from bbj_desktop.services.runtime.ollama_starting import StartedOllama

_KINDS = {"service": "a service", "app": "the desktop app", "command": "ollama serve", "container": "a container"}


def status(session: Session) -> Outcome:
    """Who runs it, how, where its models lie, what is loaded."""
    state, profile = session.work(lambda _report, _cancel: (look_at_ollama(session.context), session.context.profile()))
    return Outcome(OllamaStatusResult(**dict(state)), lambda screen: _show(screen, state, profile))


def _show(screen: Screen, state: OllamaState, profile: HardwareProfile) -> None:
    status, finding = state.status, state.finding
    screen.line(f"Ollama {status.version or ''} at {status.address}".replace("  ", " "), "bold")
    screen.line("  It can be used." if status.available else f"  {status.reason}")
    if finding.server is not None and finding.server.kind != "unseen":
        whose = "you" if finding.server.mine else finding.server.user or "another user"
        screen.line(f"  Run by {whose} as {_KINDS[finding.server.kind]}, process {finding.server.pid}")
    if finding.models is not None and (finding.executable or finding.server):
        rights = {True: "", False: ", not writable by you", None: ""}[finding.models.writable]
        owner = f" of {finding.models.owner}" if finding.models.owner else ""
        guess = " (a guess)" if finding.models.guessed else f" (said by its {finding.models.source})"
        screen.line(f"  Models: {finding.models.path}{guess}{owner}{rights}")
    for each in ollama_findings(state, profile):
        screen.line(f"  {each.text}", "yellow" if each.state == "warning" else "")
        if each.hint:
            screen.line(f"  {each.hint}")


def start(session: Session) -> Outcome:
    """Starts the one that is installed, and waits until it answers."""
    started = session.work(lambda report, cancel: start_ollama(session.context, report, cancel))

    def show(screen: Screen) -> None:
        screen.line(f"Ollama answers at {started.address} (process {started.pid}). Its log: {started.log}")
        screen.line("It goes on until: bbj-desktop ollama stop")

    return Outcome(OllamaStartResult(started=started), show)


def stop(session: Session) -> Outcome:
    """Ends the one that this program started."""
    stopped = session.work(lambda _report, _cancel: stop_ollama(session.context))
    text = "No Ollama runs that this program started; others aren't ended."
    if stopped is not None:
        text = f"Ollama at {stopped.address} (process {stopped.pid}) has ended."
    return Outcome(OllamaStopResult(stopped=stopped), lambda screen: screen.line(text))


def connect(session: Session) -> Outcome:
    """Uses what the Ollama of the settings has already."""
    found = session.work(lambda report, cancel: connecting.connect(session.context, report, cancel))
    address = session.context.runtime("ollama").status().address
    result = ConnectResult(address=address, versions=tuple(map(VersionView.of, found)))

    def show(screen: Screen) -> None:
        for version in found:
            screen.line(_connected(version, address))
        if session.settings.origin("ollama_host").kind is not OriginKind.FLAG:
            screen.line("Talk to it: bbj-desktop chat")
            return
        screen.line(f"Talk to it: bbj-desktop chat --ollama-host {address}")
        file = session.paths.config / SETTINGS_FILE
        screen.line(f'Without the flag from now on: write ollama_host = "{address}" into {file}')

    return Outcome(result, show)


def _connected(version: InstalledVersion, address: str) -> str:
    registration = version.registration("ollama")
    if registration is not None and registration.served_digest == version.variant.file.digest:
        return f"{version.key} at {address} is as it was signed; its bytes are as named by that Ollama."
    return f"{version.key} at {address} has the signed prompt and parameters; that Ollama rewrote its file."


def offer_ollama(session: Session) -> StartedOllama | None:
    """Starts an Ollama that is installed and doesn't run: when the settings say so; when it is needed and a person at
    the terminal says so."""
    finding = could_start(session.context)
    if finding is None:
        return None
    if session.settings.values.start_ollama == "ask" and not _wanted(session, finding.executable or ""):
        return None
    return session.work(lambda report, cancel: start_ollama(session.context, report, cancel))


def _wanted(session: Session, executable: str) -> bool:
    if not is_needed(session.context):
        return False
    if session.yes or not session.interactive:
        return session.yes
    try:
        answer = session.ask(f"Ollama is installed ({executable}) and doesn't run. Start it? [Y/n] ")
    except Cancelled:
        return False
    return answer.strip().lower() in ("", "y", "yes")
