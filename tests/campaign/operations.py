"""The operations of the campaign, one table: what each begins with, does, may leave behind and must reach."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.campaign import customers, makers
from tests.campaign.forking import Run
from tests.campaign.world import ADAPTED, ADAPTED_NEXT, ASIDE, FIRST, SECOND, World

Check = Callable[[World], None]
PAYLOAD = ".part"
"""In the names of the steps that fetch a file: its first one prepares a place for it."""
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
        since: Killed from the first step on whose name has this in it: before that it does what others do, too.
        every: Likewise before every n-th step only.
    """

    begins: str
    run: Run
    kept: Check
    done: Check
    since: str = ""
    every: int = 1


STATES: dict[str, tuple[str, tuple[Run, ...]]] = {
    "published once": (
        "",
        (makers.publish_aside, makers.publish_first, customers.add_registry, customers.install_aside),
    ),
    "exported": ("published once", (customers.export,)),
    "exported in volumes": ("published once", (customers.export_volumes,)),
    "staged": ("published once", (makers.stage,)),
    "signed apart": ("staged", (makers.copy_stage, makers.sign_copy)),
    "signed": ("signed apart", (makers.merge,)),
    "rotation signed": ("published once", (makers.stage_rotation, makers.sign)),
    "installed": ("published once", (customers.install,)),
    "published twice": ("installed", (makers.publish,)),
    "updated": ("published twice", (customers.update,)),
    "with an adapter": ("published once", (makers.publish_adapter,)),
    "adapter installed": ("with an adapter", (customers.install_adapter,)),
    "adapter published twice": ("adapter installed", (makers.publish_next_adapter,)),
    "with an extra": ("published once", (makers.add_extra,)),
    "damaged": ("updated", (customers.damage,)),
    "unrecorded": ("updated", (customers.lose_records,)),
}
"""Each with the one that it is made from, and how."""


def _all(*checks: Check) -> Check:
    def check(world: World) -> None:
        for each in checks:
            each(world)

    return check


def _has(*keys: str) -> Check:
    return lambda world: world.check_customer(*keys)


def _shows(*states: frozenset[str]) -> Check:
    return lambda world: world.check_registry(*states)


def _is_active(key: str, *, gone: str = "") -> Check:
    return lambda world: world.check_done(key, gone=gone)


def _offers(state: frozenset[str]) -> Check:
    return _all(_shows(state), World.check_tidy)


def _is_signed(world: World) -> None:
    assert makers.is_signed(world.place), "the stage lacks signatures"


def _is_staged(world: World) -> None:
    makers.read_stage(world.place)


def _is_rotated(world: World) -> None:
    _offers(FIRST_OFFERED)(world)
    assert makers.is_rotated(world.place), "the old key still signs"


OPERATIONS: dict[str, Operation] = {
    "install": Operation("published once", customers.install, _has(ASIDE), _is_active(FIRST)),
    "update": Operation("published twice", customers.update, _has(ASIDE, FIRST), _is_active(SECOND)),
    "install adapter": Operation(
        "with an adapter", customers.install_adapter, _has(ASIDE), _is_active(ADAPTED), since=PAYLOAD, every=6
    ),
    "update adapter": Operation(
        "adapter published twice",
        customers.update,
        _has(ASIDE, ADAPTED),
        _is_active(ADAPTED_NEXT),
        since=PAYLOAD,
        every=3,
    ),
    "fetch extras": Operation(
        "with an extra", customers.fetch_extras, _has(ASIDE), World.check_extras, since=PAYLOAD, every=2
    ),
    "activate": Operation("updated", customers.activate, _has(ASIDE, FIRST, SECOND), _is_active(FIRST)),
    "roll back": Operation("updated", customers.roll_back, _has(ASIDE, FIRST, SECOND), _is_active(FIRST)),
    "pin": Operation("updated", customers.pin, _has(ASIDE, FIRST, SECOND), World.check_pinned),
    "remove": Operation("updated", customers.remove, _has(ASIDE, FIRST), _is_active(FIRST, gone=SECOND)),
    "repair": Operation(
        "damaged", customers.repair, _has(ASIDE, SECOND), _all(_has(ASIDE, FIRST, SECOND), _is_active(SECOND))
    ),
    "rebuild": Operation(
        "unrecorded", customers.rebuild, World.check_files, _all(_has(ASIDE, FIRST, SECOND), _is_active(SECOND))
    ),
    "purge": Operation("updated", customers.purge, World.check_opens, World.check_purged),
    "export": Operation("published once", customers.export, _has(ASIDE), World.check_stick),
    "import": Operation("exported", customers.import_bundle, _has(ASIDE), World.check_imported),
    "export volumes": Operation("published once", customers.export_volumes, _has(ASIDE), World.check_sticks),
    "import volumes": Operation("exported in volumes", customers.import_volumes, _has(ASIDE), World.check_imported),
    "publish": Operation(
        "published once", makers.publish, _shows(FIRST_OFFERED, SECOND_OFFERED), _offers(SECOND_OFFERED)
    ),
    "withdraw": Operation("updated", makers.withdraw, _shows(FIRST_OFFERED, SECOND_OFFERED), _offers(FIRST_OFFERED)),
    "refresh": Operation("updated", makers.refresh, _shows(SECOND_OFFERED), _offers(SECOND_OFFERED)),
    "stage": Operation("published once", makers.stage, _shows(FIRST_OFFERED), _all(_offers(FIRST_OFFERED), _is_staged)),
    "sign": Operation("staged", makers.sign, _is_staged, _is_signed),
    "merge": Operation("signed apart", makers.merge, _is_staged, _is_signed),
    "publish staged": Operation(
        "signed", makers.publish_stage, _shows(FIRST_OFFERED, SECOND_OFFERED), _offers(SECOND_OFFERED)
    ),
    "rotate a key": Operation("rotation signed", makers.publish_stage, _shows(FIRST_OFFERED), _is_rotated),
}


def runs() -> dict[str, Run]:
    """Everything that can be asked of the forking process, by name."""
    steps = {run.__name__: run for _, making in STATES.values() for run in making}
    return steps | {name: operation.run for name, operation in OPERATIONS.items()}
