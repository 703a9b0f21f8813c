"""``extras list`` and ``fetch``; ``registry add-extra``, ``remove-extra`` and ``list-extras``."""

from __future__ import annotations

from functools import partial

from bbj_desktop.actions import extras as actions
from bbj_desktop.cli.results.extras import ExtrasFetchResult, ExtrasListResult
from bbj_desktop.cli.results.publishing import RegistryExtraResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.signing import keys_of, passphrase_of, place, show_stage, stage_of, terms_of
from bbj_desktop.cli.trusting import with_registry
from bbj_desktop.core.units import format_bytes, parse_size
from bbj_desktop.services.registry import extras as makers
from bbj_desktop.services.registry.extras import ExtraDraft


def list_(session: Session) -> Outcome:
    """What the registry offers besides models."""
    channel = session.settings.values.channel
    found = with_registry(
        session,
        lambda: session.work(lambda report, cancel: actions.list_extras(session.context, report, cancel)),
    )
    result = ExtrasListResult(channel=channel, extras=found)
    return Outcome(result, lambda screen: _show_list(screen, result, "Fetch one: bbj-desktop extras fetch EXTRA"))


def _show_list(screen: Screen, result: ExtrasListResult, hint: str) -> None:
    if not result.extras:
        screen.message(f"There are no extras in {result.channel}.")
        return
    rows = [(format_bytes(each.file.length_bytes), each.key, each.kind, each.file_name) for each in result.extras]
    screen.table(("Size", "Extra", "Kind", "File"), rows)
    if hint:
        screen.message(hint)


def fetch(session: Session) -> Outcome:
    """Downloads extras into a folder."""
    arguments = session.arguments
    folder = place(arguments.folder) if arguments.folder else session.context.paths.extras
    fetched = with_registry(
        session,
        lambda: session.work(
            lambda report, cancel: actions.fetch_extras(session.context, arguments.extra, folder, report, cancel)
        ),
    )
    result = ExtrasFetchResult(extras=fetched)
    return Outcome(result, lambda screen: _show_fetched(screen, result))


def _show_fetched(screen: Screen, result: ExtrasFetchResult) -> None:
    for each in result.extras:
        screen.line(f"{each.key} is {each.path}: {format_bytes(each.fetched_bytes)} fetched, every byte verified.")
        if each.advice:
            screen.line(each.advice)


def add(session: Session) -> Outcome:
    """Signs an extra into a channel's catalogue."""
    arguments = session.arguments
    draft = ExtraDraft(
        path=place(arguments.file),
        name=arguments.name,
        kind=arguments.kind,
        platform=arguments.platform,
        version=arguments.version,
        note=arguments.note,
    )
    folder, keys, terms = place(arguments.folder), keys_of(session), terms_of(session)
    job = partial(makers.add_extra, folder, keys, passphrase_of(session), draft, arguments.to)
    longest = parse_size(arguments.max_file_size)
    extra = session.work(partial(job, max_file_bytes=longest, terms=terms))
    result = RegistryExtraResult(channel=arguments.to, extra=extra, stage=stage_of(terms))
    return Outcome(result, lambda screen: _show_signed(screen, result, f"{extra.key} is signed into {arguments.to}."))


def remove(session: Session) -> Outcome:
    """Takes an extra out of a channel's catalogue."""
    arguments = session.arguments
    folder, keys, terms = place(arguments.folder), keys_of(session), terms_of(session)
    if terms.stage is None:
        session.confirm(f"Remove {arguments.key} from {arguments.to}?")
    job = partial(makers.remove_extra, folder, keys, passphrase_of(session), arguments.key, arguments.to)
    extra = session.work(lambda _report, _cancel: job(terms=terms))
    result = RegistryExtraResult(channel=arguments.to, extra=extra, stage=stage_of(terms))
    return Outcome(result, lambda screen: _show_signed(screen, result, f"{extra.key} is no longer in {arguments.to}."))


def _show_signed(screen: Screen, result: RegistryExtraResult, done: str) -> None:
    if result.stage is None:
        screen.line(done)
    else:
        show_stage(screen.line, result.stage)


def list_signed(session: Session) -> Outcome:
    """The extras of a registry's folder."""
    arguments = session.arguments
    found = makers.list_extras(place(arguments.folder), arguments.to)
    result = ExtrasListResult(channel=arguments.to, extras=found)
    return Outcome(result, lambda screen: _show_list(screen, result, ""))
