"""The operations of the campaign, one table: what each begins with, does, may leave behind and must reach."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from bbj_desktop.actions import bundling, installing, recommending, repairing, updating, versions
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.recommend import judge
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services.registry import publish as writer
from tests.campaign.forking import Place, Run
from tests.campaign.world import ASIDE, FIRST, SECOND, World, customer_at, cut_small, publication_at
from tests.fakes.published import PASSPHRASE, trust

Check = Callable[[World], None]
FIRST_OFFERED = frozenset({"bbj-aside:2026.1", "bbj-coder:2026.1"})
SECOND_OFFERED = frozenset({"bbj-aside:2026.1", "bbj-coder:2026.2"})


@dataclass(frozen=True)
class Operation:
    """One row.

    Attributes:
        begins: The state that it begins with, a key of ``STATES``.
        run: Does it, in a process of its own; done again, it takes up where it ended.
        kept: Holds after every kill.
        done: Holds when it has run to its end.
    """

    begins: str
    run: Run
    kept: Check
    done: Check


def add_registry(place: Place) -> None:
    with closing(customer_at(place)) as context:
        trust(context, place.server, publication_at(place))


def install_aside(place: Place) -> None:
    _install(place, ASIDE)


def install(place: Place) -> None:
    _install(place, FIRST)


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


def publish_first(place: Place) -> None:
    _publish(place, "2026.1", seed=1)


def publish_aside(place: Place) -> None:
    cut_small()
    publication_at(place).publish("2026.1", model="bbj-aside", size="3b", seed=11, hidden=128)


def publish(place: Place) -> None:
    _publish(place, "2026.2", seed=2)


def _publish(place: Place, version: str, *, seed: int) -> None:
    cut_small()
    publication_at(place).publish(version, seed=seed, hidden=256)


def withdraw(place: Place) -> None:
    publication_at(place).withdraw("2026.2", "It answers in Pascal.")


def export(place: Place) -> None:
    with closing(customer_at(place)) as context:
        wish = Wishes(roles=(Role.CHAT,), model="bbj-coder")
        chosen = bundling.choose_variants(context, (wish,), silent, Cancel())
        bundling.export_bundle(context, place.folder / "stick", chosen, silent, Cancel())


def import_bundle(place: Place) -> None:
    with closing(customer_at(place)) as context:
        folders = bundling.open_bundles([place.folder / "stick"])
        imported = bundling.import_bundle(context, folders, silent, Cancel())
        assert all(model.whole for model in imported.models)


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


def refresh(place: Place) -> None:
    publication = publication_at(place)
    writer.refresh_timestamp(publication.folder, publication.keys, PASSPHRASE)


STATES: dict[str, tuple[str, tuple[Run, ...]]] = {
    "published once": ("", (publish_aside, publish_first, add_registry, install_aside)),
    "exported": ("published once", (export,)),
    "installed": ("published once", (install,)),
    "published twice": ("installed", (publish,)),
    "updated": ("published twice", (update,)),
    "damaged": ("updated", (damage,)),
}
"""Each with the one that it is made from, and how."""


def _customer_has(*keys: str) -> Check:
    return lambda world: world.check_customer(*keys)


def _registry_shows(*states: frozenset[str]) -> Check:
    return lambda world: world.check_registry(*states)


def _is_active(key: str, *, gone: str = "") -> Check:
    return lambda world: world.check_done(key, gone=gone)


def _is_here() -> Check:
    """What was imported is on this machine, whole: an install fetches nothing."""

    def check(world: World) -> None:
        with closing(customer_at(world.place)) as context:
            offering = recommending.read_offering(context, Cancel())
            release = next(offer.release for offer in offering.offers if offer.release.model == "bbj-coder")
            file = release.variants[0].file
            assert context.open_store().held_bytes()[file.digest] >= file.length_bytes

    return check


def _is_whole(*keys: str) -> Check:
    def check(world: World) -> None:
        world.check_customer(*keys)
        world.check_done(SECOND)

    return check


def _offers(state: frozenset[str]) -> Check:
    def check(world: World) -> None:
        world.check_registry(state)
        world.check_tidy()

    return check


OPERATIONS: dict[str, Operation] = {
    "install": Operation("published once", install, _customer_has(ASIDE), _is_active(FIRST)),
    "update": Operation("published twice", update, _customer_has(ASIDE, FIRST), _is_active(SECOND)),
    "activate": Operation("updated", activate, _customer_has(ASIDE, FIRST, SECOND), _is_active(FIRST)),
    "roll back": Operation("updated", roll_back, _customer_has(ASIDE, FIRST, SECOND), _is_active(FIRST)),
    "remove": Operation("updated", remove, _customer_has(ASIDE, FIRST), _is_active(FIRST, gone=SECOND)),
    "repair": Operation("damaged", repair, _customer_has(ASIDE, SECOND), _is_whole(ASIDE, FIRST, SECOND)),
    "export": Operation("published once", export, _customer_has(ASIDE), _customer_has(ASIDE)),
    "import": Operation("exported", import_bundle, _customer_has(ASIDE), _is_here()),
    "publish": Operation(
        "published once", publish, _registry_shows(FIRST_OFFERED, SECOND_OFFERED), _offers(SECOND_OFFERED)
    ),
    "withdraw": Operation("updated", withdraw, _registry_shows(FIRST_OFFERED, SECOND_OFFERED), _offers(FIRST_OFFERED)),
    "refresh": Operation("updated", refresh, _registry_shows(SECOND_OFFERED), _offers(SECOND_OFFERED)),
}


def runs() -> dict[str, Run]:
    """Everything that can be asked of the forking process, by name."""
    steps = {run.__name__: run for _, making in STATES.values() for run in making}
    return steps | {name: operation.run for name, operation in OPERATIONS.items()}
