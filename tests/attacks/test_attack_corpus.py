"""Every attack over every transport, refused at the command line with an error of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.actions import registering
from bbj_desktop.actions.recommending import read_offering
from bbj_desktop.core import errors
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.layout import TIMESTAMP
from tests.attacks.conftest import STICKS, TRANSPORTS, Call, Transport
from tests.fakes.attacks import ATTACKS, Attack
from tests.fakes.published import customer
from tests.fakes.registry import RegistrySimulator, make_release
from tests.fakes.release_server import Fault


def established(transport: Transport, data: Path, *, days_ago: int = 0) -> RegistrySimulator:
    """An honest registry, and a customer who has read it so many days ago."""
    registry = RegistrySimulator(datetime.now(UTC) - timedelta(days=days_ago))
    registry.targets.version += 1
    registry.offer(make_release("2026.1"))
    transport.serve(registry.served())
    context = customer(data)
    context.now = lambda: registry.now
    registering.add_registry(context, transport.address, registry.initial_root, silent, Cancel())
    read_offering(context, Cancel())
    return registry


def exit_code_of(error: str) -> int:
    kind: type[BBjDesktopError] = getattr(errors, error)
    return kind.exit_code


WAYS = [transport for transport in TRANSPORTS if transport != "served bundle"]  # which is http and one file more
NO_ATTACK_ON_A_STICK = {
    "rollback_of_the_timestamp": "January's stick serves after February's: this machine judges by what it has seen",
    "rollback_of_the_snapshot": "the same: this machine's own newer metadata is used instead of the stick's",
    "freeze_at_what_the_customer_has": "a stick is as old as it is: whether that matters is a policy, and it is said",
    "freeze_at_something_newer": "the same",
}
"""What is refused from a network and taken from a bundle, with the reason."""
REFUSED = [
    pytest.param(attack, transport, id=f"{attack.name}-{transport}")
    for attack in ATTACKS
    for transport in WAYS
    if not (transport in STICKS and attack.name in NO_ATTACK_ON_A_STICK)
]


@pytest.mark.parametrize("transport", TRANSPORTS, indirect=True)
def test_an_honest_registry_is_read(transport: Transport, data: Path, call: Call) -> None:
    established(transport, data)
    assert call(*transport.reading).code == 0


@pytest.mark.parametrize(("attack", "transport"), REFUSED, indirect=["transport"])
def test_it_is_refused(attack: Attack, transport: Transport, data: Path, call: Call) -> None:
    registry = established(transport, data, days_ago=attack.seen_days_ago)
    honest = registry.copy("honest")
    attack.apply(registry)
    transport.serve(registry.served())
    refused = call(*transport.reading)
    assert (refused.error, refused.code) == (attack.error, exit_code_of(attack.error))
    if transport.server is None and transport.is_mirror:
        assert call("recommend").error == attack.error
    if attack.lasting:
        return
    _carry_on(honest)
    transport.serve(honest.served())
    assert call(*transport.reading).code == 0


@pytest.mark.parametrize("transport", STICKS, indirect=True)
@pytest.mark.parametrize("name", [name for name in NO_ATTACK_ON_A_STICK if "rollback" in name])
def test_an_older_stick_is_judged_by_what_this_machine_has_seen(
    name: str, transport: Transport, data: Path, call: Call
) -> None:
    registry = established(transport, data)
    apply_attack(name, registry)
    transport.serve(registry.served())
    read = call(*transport.reading)
    assert (read.code, read.document["result"]["newer_known"]) == (0, True)


@pytest.mark.parametrize("transport", STICKS, indirect=True)
@pytest.mark.parametrize("name", [name for name in NO_ATTACK_ON_A_STICK if "freeze" in name])
def test_an_expired_stick_is_read_with_a_warning_or_refused_by_policy(
    name: str, transport: Transport, data: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = established(transport, data, days_ago=40)
    apply_attack(name, registry)
    transport.serve(registry.served())
    read = call(*transport.reading)
    assert read.code == 0
    assert "has expired" in read.said
    monkeypatch.setenv("BBJ_DESKTOP_BUNDLE_EXPIRY", "block")
    assert call(*transport.reading).error == "ExpiredError"


def apply_attack(name: str, registry: RegistrySimulator) -> None:
    next(attack for attack in ATTACKS if attack.name == name).apply(registry)


def _carry_on(registry: RegistrySimulator) -> None:
    """The makers publish on, past the numbers that the attack has used, and in time."""
    days = datetime.now(UTC) - registry.now
    registry.now += days
    for role in (registry.timestamp, registry.snapshot, registry.targets, *registry.channels.values()):
        role.expires += days
        role.version += 10
    registry.offer(make_release("2026.2"))


@pytest.mark.parametrize("transport", ["http", "hub"], indirect=True)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(endless=True), "MixAndMatchError"),
        (Fault(rate_bytes_per_s=40), "StalledError"),
        (Fault(stall_after=100), "StalledError"),
        (Fault(silent_s=30), "StalledError"),
        (Fault(drop_after=100), "TransportError"),
        (Fault(status=503), "ServerError"),
        (Fault(gzipped=True), "ServerError"),
        (Fault(content=b"<html>Please sign in</html>"), "TrustError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_way_that_fails_is_told_from_an_attack(
    transport: Transport, data: Path, call: Call, fault: Fault, error: str
) -> None:
    established(transport, data)
    assert transport.server is not None
    transport.server.script(f"{transport.prefix}{TIMESTAMP}", *[fault] * 8)
    ended = call("update", "--check", "--stall-timeout", "1", "--connect-timeout", "1")
    assert (ended.error, ended.code) == (error, exit_code_of(error))
    transport.server.forget(f"{transport.prefix}{TIMESTAMP}")
    assert call("update", "--check").code == 0
