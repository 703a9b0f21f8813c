"""``bundle export`` and ``bundle import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bbj_desktop.actions import exporting, importing, installing, machine, registering
from bbj_desktop.actions import extras as extras_of_registry
from bbj_desktop.actions.extras import ImportedExtra
from bbj_desktop.actions.importing import Imported, ImportedModel
from bbj_desktop.actions.installing import Installed
from bbj_desktop.cli.install import installed_view, show_installed
from bbj_desktop.cli.naming import parse_name
from bbj_desktop.cli.recommend import wishes_of
from bbj_desktop.cli.results.bundles import BundleExportResult, BundleImportResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.cli.trusting import agree, with_registry
from bbj_desktop.core.release import Extra
from bbj_desktop.core.units import format_bytes, format_seconds, parse_size
from bbj_desktop.services.registry.bundle import BundleFolder, BundleSource, find_bundles

EXIT_INCOMPLETE = 21


def export(session: Session) -> Outcome:
    """Writes models and everything signed about them into a folder, or onto volumes."""
    arguments = session.arguments
    volume_bytes = parse_size(arguments.volume_size) if arguments.volume_size else None
    profile = machine.read_profile(Path(arguments.profile)) if arguments.profile else None
    given = wishes_of(session)
    wishes = [given.model_copy(update=parse_name(text).given) for text in arguments.model] or [given]
    chosen = with_registry(
        session,
        lambda: session.work(
            lambda report, cancel: exporting.choose_variants(
                session.context, wishes, report, cancel, everything=arguments.all, profile=profile
            )
        ),
    )
    for release, variant in chosen:
        session.screen.message(
            f"{format_bytes(variant.length_bytes)}  {release.title} {release.version} {variant.quantisation}"
        )
    extras = _chosen_extras(session)
    folder = Path(arguments.folder).expanduser().absolute()
    exported = session.work(
        lambda report, cancel: exporting.export_bundle(
            session.context, folder, chosen, report, cancel, volume_bytes=volume_bytes, extras=extras
        )
    )
    result = BundleExportResult(**dict(exported))
    return Outcome(result, lambda screen: _show_exported(screen, result))


def _chosen_extras(session: Session) -> tuple[Extra, ...]:
    words = session.arguments.extras
    if not words:
        return ()
    offered = session.work(lambda report, cancel: extras_of_registry.list_extras(session.context, report, cancel))
    chosen = extras_of_registry.choose_extras(offered, words)
    for extra in chosen:
        session.screen.message(f"{format_bytes(extra.file.length_bytes)}  {extra.key}")
    return chosen


def _show_exported(screen: Screen, result: BundleExportResult) -> None:
    names = ", ".join(content.name for content in (*result.contents, *result.extras))
    written = f"{format_bytes(result.fetched_bytes)} written in {format_seconds(result.seconds)}"
    screen.line(f"{names}: {written}, every byte verified.")
    if result.volumes:
        last = result.folder / f"volume-{result.volumes}"
        screen.line(f"Copy each of {result.folder / 'volume-1'} … {last.name} onto a stick of its own.")
    else:
        screen.line(f"The bundle is {result.folder}: carry it over, or serve it with any web server as a mirror.")
    screen.line("There: bbj-desktop bundle import FOLDER")


def import_(session: Session) -> Outcome:
    """Takes over a bundle, or the volumes that are there."""
    arguments, context = session.arguments, session.context
    paths = [Path(text).expanduser().absolute() for text in arguments.folder]
    folders = session.work(lambda _report, _cancel: find_bundles(paths))
    root = None
    if session.work(lambda _report, _cancel: importing.trusted_registry_of(context, folders)) is None:
        root = _agreed_root(session, folders)
    named = arguments.extras_folder
    extras_folder = Path(named).expanduser().absolute() if named else None
    imported = session.work(
        lambda report, cancel: importing.import_bundle(
            context, folders, report, cancel, root=root, extras_folder=extras_folder
        )
    )
    whole = all(model.whole for model in imported.models)
    installed = (
        _install(session, imported) if arguments.install and whole and (imported.models or not imported.extras) else ()
    )
    result = BundleImportResult(**dict(imported), installed=tuple(map(installed_view, installed)))
    channel, code = session.settings.values.channel, 0 if _is_whole(result) else EXIT_INCOMPLETE
    return Outcome(result, lambda screen: _show_imported(screen, result, channel), code)


def _is_whole(result: BundleImportResult) -> bool:
    return all(model.whole for model in result.models) and all(extra.whole for extra in result.extras)


def _agreed_root(session: Session, folders: Sequence[BundleFolder]) -> bytes:
    """The first root to trust: from the file that was named, else the bundle's own, after its fingerprint was
    compared."""
    arguments = session.arguments
    if arguments.root:
        root = registering.read_root(Path(arguments.root).expanduser())
    else:
        address = BundleSource(folders).address
        root = session.work(lambda _report, cancel: registering.fetch_root(session.context, address, cancel))
    agree(session, root, arguments.fingerprint)
    return root


def _install(session: Session, imported: Imported) -> tuple[Installed, ...]:
    context, older = session.context, session.arguments.allow_older
    plans = session.work(
        lambda report, cancel: importing.plan_imported(context, imported, report, cancel, allow_older=older)
    )
    return session.work(
        lambda report, cancel: tuple(
            installing.install(importing.reading(context, imported), plan, report, cancel) for plan in plans
        )
    )


def _show_imported(screen: Screen, result: BundleImportResult, channel: str) -> None:
    """``channel``: the one in use."""
    if result.newer_known:
        screen.line("This machine knows a newer state of the registry than the bundle, and judged by that.")
    for name in result.refused:
        screen.line(
            f"{name} isn't taken: the registry doesn't offer it any more, or this version can't read it.", "yellow"
        )
    for model in result.models:
        _show_one(screen, model, "here")
    for extra in result.extras:
        _show_one(screen, extra, str(extra.path))
        if extra.whole and extra.advice:
            screen.line(extra.advice)
    if not _is_whole(result):
        screen.line("Import the missing volumes, in any order: what is here stays.")
    elif result.installed:
        show_installed(screen, result.installed)
    elif result.models:
        other = "" if result.channel == channel else f" --channel {result.channel}"
        for model in result.models:  # by its name: the registry may offer better ones that no bundle brought
            screen.line(f"Install it: bbj-desktop install {model.key}{other}")


def _show_one(screen: Screen, imported: ImportedModel | ImportedExtra, where: str) -> None:
    if imported.whole:
        screen.line(f"{imported.key} is {where}, every byte verified.")
        return
    screen.line(f"{format_bytes(imported.missing_bytes)} of {imported.key} are missing:", "yellow")
    for name in imported.missing:
        screen.line(f"  {name}")
