"""What customers do in the campaign. Done again after a kill, each takes up where it ended."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from bbj_desktop.actions import (
    exporting,
    extras,
    importing,
    installing,
    purging,
    recommending,
    repairing,
    updating,
    versions,
)
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommend import judge
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services.registry.bundle import find_bundles
from tests.campaign.forking import Place
from tests.campaign.world import ADAPTED, ASIDE, EXTRAS, FIRST, SECOND, customer_at, publication_at
from tests.fakes.published import trust

VOLUME_BYTES = 2 * 2**20 + 500_000
"""A volume's: 2 MiB are reckoned for what is small, so the model takes several."""


def add_registry(place: Place) -> None:
    with closing(customer_at(place)) as context:
        trust(context, place.server, publication_at(place))


def install_aside(place: Place) -> None:
    _install(place, ASIDE)


def install(place: Place) -> None:
    _install(place, FIRST)


def install_adapter(place: Place) -> None:
    _install(place, ADAPTED)


def fetch_extras(place: Place) -> None:
    with closing(customer_at(place)) as context:
        extras.fetch_extras(context, [extras.ALL], place.folder / EXTRAS, silent, Cancel())


def _install(place: Place, key: str) -> None:
    with closing(customer_at(place)) as context:
        offering = recommending.read_offering(context, Cancel())
        offer = next(offer for offer in offering.offers if offer.release.model == key.partition(":")[0])
        candidate = judge(
            context.profile(),
            offer,
            offer.release.variants[0],
            tuple(each.status() for each in context.runtimes()),
            context_length=None,
            runtime=None,
            tiers=recommending.tiers_of(offering),
            tables=recommending.hardware_tables(),
            here=context.open_store().held_bytes(),
        )
        plan = installing.plan_install(context, candidate, Cancel())
        installing.install(context, plan, silent, Cancel(), force=True)


def update(place: Place) -> None:
    with closing(customer_at(place)) as context:
        found = updating.check(context, silent, Cancel())
        updating.update(context, found, silent, Cancel(), force=True)


def activate(place: Place) -> None:
    with closing(customer_at(place)) as context:
        versions.activate(context, FIRST, silent, Cancel())


def roll_back(place: Place) -> None:
    with closing(customer_at(place)) as context:
        if not context.open_store().get(FIRST).active:  # done again, it would go forward
            versions.rollback(context, None, silent, Cancel())


def remove(place: Place) -> None:
    with closing(customer_at(place)) as context:
        if any(version.key == SECOND for version in versions.list_versions(context)):
            versions.remove(context, SECOND, silent, Cancel())


def pin(place: Place) -> None:
    with closing(customer_at(place)) as context:
        versions.pin(context, FIRST)


def lose_records(place: Place) -> None:
    """The store's records, not the files."""
    with closing(customer_at(place)) as context:
        for path in sorted((context.paths.store / "versions").iterdir()):
            path.unlink()


def rebuild(place: Place) -> None:
    with closing(customer_at(place)) as context:
        assert not versions.rebuild(context, silent, Cancel()).lost


def purge(place: Place) -> None:
    with closing(customer_at(place)) as context:
        purging.purge(context, silent, Cancel())


def export(place: Place) -> None:
    _export(place, place.folder / "stick", volume_bytes=None)


def export_volumes(place: Place) -> None:
    _export(place, place.folder / "sticks", volume_bytes=VOLUME_BYTES)


def _export(place: Place, folder: Path, *, volume_bytes: int | None) -> None:
    with closing(customer_at(place)) as context:
        wish = Wishes(roles=(Role.CHAT,), model="bbj-coder")
        chosen = exporting.choose_variants(context, (wish,), silent, Cancel())
        exporting.export_bundle(context, folder, chosen, silent, Cancel(), volume_bytes=volume_bytes)


def import_bundle(place: Place) -> None:
    _import(place, [place.folder / "stick"])


def import_volumes(place: Place) -> None:
    """The last stick first, one at a time."""
    sticks = sorted((place.folder / "sticks").glob("volume-*"), reverse=True)
    assert len(sticks) > 1, "one volume only"
    for stick in sticks[:-1]:
        _import(place, [stick], whole=False)
    _import(place, sticks[-1:])


def _import(place: Place, sticks: Sequence[Path], *, whole: bool = True) -> None:
    with closing(customer_at(place)) as context:
        imported = importing.import_bundle(context, find_bundles(sticks), silent, Cancel())
        assert not whole or all(model.whole for model in imported.models)


def damage(place: Place) -> None:
    """Of an installed version that isn't active, a few bytes in the middle."""
    with closing(customer_at(place)) as context:
        path = context.open_store().get(FIRST).path
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"damage")


def repair(place: Place) -> None:
    with closing(customer_at(place)) as context:
        repairing.repair(context, FIRST, silent, Cancel())
