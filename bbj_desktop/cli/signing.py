"""``registry stage``, ``sign``, ``merge``, ``publish-staged``, ``renew``, ``rotate``, ``key``, ``status``, ``verify``:
the makers' work with several people, keys and mirrors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bbj_desktop.actions import publishing, registering
from bbj_desktop.actions.publishing import KeyChange
from bbj_desktop.cli.results.publishing import (
    RegistryKeyResult,
    RegistryMergeResult,
    RegistryPublishStagedResult,
    RegistryRenewResult,
    RegistrySignResult,
    RegistryStageResult,
    RegistryStatusResult,
    RegistryVerifyResult,
    SignatureView,
)
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.units import format_bytes
from bbj_desktop.services.registry.findings import Demand, RoleLife, StageView
from bbj_desktop.services.registry.publish import Terms

NEEDS_WORK = 1
"""Exit code of ``status`` and ``verify`` where something has to be done."""

SHORT_ID_DIGITS = 8
ID_DIGITS = 16
"""Digits of a key id that are shown; enough to tell keys apart."""


def stage(session: Session) -> Outcome:
    """What a stage changes, and who has signed it."""
    return staged(publishing.view_stage(place(session.arguments.stage)))


def sign(session: Session) -> Outcome:
    """Adds one's own signatures to a stage, after showing what they are for."""
    folder, keys = place(session.arguments.stage), place(session.arguments.keys)
    view = publishing.view_stage(folder)
    show_stage(session.screen.message, view)
    session.confirm("Sign this?")
    passphrase = session.passphrase()
    signed = session.work(lambda _report, _cancel: publishing.sign_stage(folder, keys, passphrase))
    result = RegistrySignResult(signed=_signatures(signed), stage=publishing.view_stage(folder))
    return Outcome(result, lambda screen: _show_signed(screen, result))


def _show_signed(screen: Screen, result: RegistrySignResult) -> None:
    for each in result.signed:
        screen.line(f"Signed {each.role} with the key {each.keyid[:ID_DIGITS]}.")
    if not result.signed:
        screen.line("These keys have signed it already.")
    _show_missing(screen.line, result.stage)


def merge(session: Session) -> Outcome:
    """Takes over the signatures of copies of a stage."""
    folder = place(session.arguments.stage)
    added = publishing.merge_stages(folder, [place(other) for other in session.arguments.others])
    result = RegistryMergeResult(added=_signatures(added), stage=publishing.view_stage(folder))
    return Outcome(result, lambda screen: _show_merged(screen, result))


def _show_merged(screen: Screen, result: RegistryMergeResult) -> None:
    screen.line(f"Signatures added to {result.stage.folder}: {len(result.added)}")
    _show_missing(screen.line, result.stage)


def publish_staged(session: Session) -> Outcome:
    """Makes a signed stage visible."""
    arguments = session.arguments
    folder, keys, staging = place(arguments.folder), place(arguments.keys), place(arguments.stage)
    passphrase = session.passphrase()
    sure = arguments.clock_is_right
    job = partial(publishing.publish_stage, folder, keys, passphrase, staging, clock_is_right=sure)
    roles = session.work(lambda _report, _cancel: job())
    result = RegistryPublishStagedResult(folder=folder, roles=roles)
    return Outcome(result, lambda screen: screen.line(f"{', '.join(roles)}: signed by enough people, and live."))


def renew(session: Session) -> Outcome:
    """Signs long-lived roles anew."""
    folder, keys, roles = place(session.arguments.folder), keys_of(session), tuple(session.arguments.role)
    terms, passphrase = terms_of(session), passphrase_of(session)
    session.work(lambda _report, _cancel: publishing.renew(folder, keys, passphrase, roles, terms=terms))
    result = RegistryRenewResult(folder=folder, roles=roles, stage=stage_of(terms))
    if result.stage is not None:
        return Outcome(result, partial(_show_staged, result.stage))
    return Outcome(result, lambda screen: screen.line(f"{', '.join(roles)}: signed anew."))


def rotate(session: Session) -> Outcome:
    """Stages a change of a role's keys."""
    arguments = session.arguments
    folder, staging = place(arguments.folder), place(arguments.stage)
    added = tuple(place(path) for path in arguments.add)
    change = KeyChange(arguments.role, added, tuple(arguments.remove), arguments.threshold)
    publishing.rotate(folder, staging, change, clock_is_right=arguments.clock_is_right)
    return staged(publishing.view_stage(staging))


def key(session: Session) -> Outcome:
    """Makes a key of one's own for a role."""
    keys, role = place(session.arguments.keys), session.arguments.role
    passphrase = session.new_passphrase()
    made = session.work(lambda _report, _cancel: publishing.make_key(keys, passphrase, role))
    result = RegistryKeyResult(role=role, keyid=made.keyid, private=made.private, public=made.public)
    return Outcome(result, lambda screen: _show_key(screen, result))


def _show_key(screen: Screen, result: RegistryKeyResult) -> None:
    screen.line(f"The key {result.keyid}")
    screen.line(f"  stays with you:   {result.private}")
    screen.line(f"  to be handed out: {result.public}")


def status(session: Session) -> Outcome:
    """How long each role is still good."""
    folder = place(session.arguments.folder)
    roles = publishing.lives(folder, session.context.now())
    result = RegistryStatusResult(folder=folder, roles=roles, fine=all(each.fine for each in roles))
    return Outcome(result, lambda screen: _show_status(screen, result), exit_code=0 if result.fine else NEEDS_WORK)


def _show_status(screen: Screen, result: RegistryStatusResult) -> None:
    rows = [
        (each.role, str(each.version), f"{each.expires:%Y-%m-%d}", str(each.days_left), _keys(each), each.what_to_do)
        for each in result.roles
    ]
    screen.table(
        ("Role", "Version", "Good until", "Days left", "Keys that must sign", "To do"), rows, right=frozenset({1, 3})
    )


def _keys(role: RoleLife) -> str:
    return f"{role.threshold} of {' '.join(keyid[:SHORT_ID_DIGITS] for keyid in role.keys)}"


def verify(session: Session) -> Outcome:
    """Reads a whole mirror and compares it with what is signed."""
    arguments = session.arguments
    root = registering.read_root(place(arguments.root)) if arguments.root else None
    found = session.work(partial(publishing.verify, session.context, arguments.address, root))
    result = RegistryVerifyResult(mirror=found, sound=found.sound)
    return Outcome(result, lambda screen: _show_mirror(screen, result), exit_code=0 if result.sound else NEEDS_WORK)


def _show_mirror(screen: Screen, result: RegistryVerifyResult) -> None:
    found = result.mirror
    for each in found.problems:
        screen.line(f"{each.trouble:<11}  {each.path}: {each.text}")
    read = f"{found.files} files ({format_bytes(found.read_bytes)}), releases: {found.releases}"
    screen.line(f"{found.address}: {'sound' if result.sound else 'NOT SOUND'}; {read}")
    if found.identity:
        screen.line(f"Identity: {found.identity}")


def staged(view: StageView) -> Outcome:
    """The end of a command that made or showed a stage."""
    return Outcome(RegistryStageResult(stage=view), partial(_show_staged, view))


def _show_staged(view: StageView, screen: Screen) -> None:
    show_stage(screen.line, view)


def show_stage(line: Callable[[str], None], view: StageView) -> None:
    """What is to be signed, and who has signed."""
    line(f"Stage {view.folder}")
    line(f"for the registry {view.registry}")
    line(f"said to be: {view.purpose}")
    for change in view.changes:
        line(f"  {change}")
    _show_missing(line, view)


def _show_missing(line: Callable[[str], None], view: StageView) -> None:
    for each in view.demands:
        line(f"{each.role} {each.version} by the keys of {each.by}: {_count(each)}")
        for keyid in () if each.met else each.missing:
            line(f"  may sign: {keyid[:ID_DIGITS]}")
    if view.complete:
        line("It can be published: registry publish-staged")


def _count(demand: Demand) -> str:
    return f"{len(demand.signed)} of {demand.threshold} signatures"


def _signatures(pairs: tuple[tuple[str, str], ...]) -> tuple[SignatureView, ...]:
    return tuple(SignatureView(role=role, keyid=keyid) for role, keyid in pairs)


def terms_of(session: Session) -> Terms:
    """How the command's new state is to be signed."""
    path = session.arguments.stage
    return Terms(stage=place(path) if path else None, clock_is_right=session.arguments.clock_is_right)


def keys_of(session: Session) -> Path:
    """The folder of the keys; a stage needs none.

    Raises:
        UserInputError: Neither is named.
    """
    keys, staging = session.arguments.keys, session.arguments.stage
    if keys is None and staging is None:
        raise UserInputError("The keys' folder is missing.", hint="Add --keys DIR, or --stage DIR to have others sign.")
    return place(keys or staging)


def passphrase_of(session: Session) -> str:
    """The keys' passphrase; a stage needs none."""
    return session.passphrase() if session.arguments.stage is None else ""


def stage_of(terms: Terms) -> StageView | None:
    """The stage that a command wrote; None where it signed by itself, or had nothing to do."""
    if terms.stage is None or not terms.stage.is_dir():
        return None
    return publishing.view_stage(terms.stage)


def place(path: str) -> Path:
    """A path of the command line, whole."""
    return Path(path).expanduser().absolute()
