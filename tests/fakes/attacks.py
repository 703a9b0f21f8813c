"""What a registry, a mirror or somebody in between may try: each attack changes what an honest registry serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import DelegatedRole, MetaFile

from bbj_desktop.core.release import Catalogue
from bbj_desktop.services.registry.layout import TIMESTAMP
from tests.fakes.registry import RegistrySimulator, make_release

Simulator = RegistrySimulator
PAST = timedelta(days=1)
LIMIT_BYTES = 20_000_001  # one more than any metadata may have


@dataclass(frozen=True)
class Attack:
    """One attack on a customer who has read the honest registry before.

    Attributes:
        name: For the list of tests.
        error: Code of the error that refuses it.
        apply: Makes the honest registry an attacker's.
        seen_days_ago: When the customer has read the honest registry.
        lasting: The makers themselves can't undo it by publishing on: only by a new root.
    """

    name: str
    error: str
    apply: Callable[[Simulator], None]
    seen_days_ago: int = 0
    lasting: bool = False


ATTACKS: list[Attack] = []


Apply = Callable[[Simulator], None]


def attack(error: str, *, seen_days_ago: int = 0, lasting: bool = False) -> Callable[[Apply], Apply]:
    """Puts a function into the corpus under its name."""

    def add(apply: Apply) -> Apply:
        ATTACKS.append(Attack(apply.__name__, error, apply, seen_days_ago, lasting))
        return apply

    return add


def strangers(count: int) -> list[CryptoSigner]:
    return [CryptoSigner.generate_ed25519() for _ in range(count)]


# older than what was seen


@attack("RollbackError")
def rollback_of_the_timestamp(registry: Simulator) -> None:
    registry.timestamp.version -= 1


@attack("RollbackError")
def rollback_of_the_snapshot(registry: Simulator) -> None:
    registry.snapshot.version -= 2
    registry.update()


@attack("RollbackError")
def rollback_of_the_targets(registry: Simulator) -> None:
    registry.targets.version -= 1
    registry.update()


@attack("RollbackError")
def rollback_of_a_channel(registry: Simulator) -> None:
    registry.channels["stable"].version -= 1
    registry.update()


@attack("MixAndMatchError")
def removal_of_a_channel(registry: Simulator) -> None:
    del registry.snapshot.meta["stable.json"]
    registry.snapshot.version += 1
    registry.timestamp.version += 1
    content = registry.sign("snapshot", registry.snapshot)
    registry.timestamp.snapshot_meta = MetaFile.from_data(registry.snapshot.version, content, ["sha256"])


# held back


@attack("ExpiredError", seen_days_ago=20)
def freeze_at_what_the_customer_has(registry: Simulator) -> None:
    del registry  # goes on serving what it served twenty days ago


@attack("ExpiredError", seen_days_ago=40)
def freeze_at_something_newer(registry: Simulator) -> None:
    registry.timestamp.expires += timedelta(days=7)
    registry.update("stable")


@attack("ExpiredError")
def an_expired_timestamp(registry: Simulator) -> None:
    registry.timestamp.expires = registry.now - PAST
    registry.update()


@attack("ExpiredError")
def an_expired_snapshot(registry: Simulator) -> None:
    registry.snapshot.expires = registry.now - PAST
    registry.update()


@attack("ExpiredError")
def expired_targets(registry: Simulator) -> None:
    registry.targets.expires = registry.now - PAST
    registry.targets.version += 1
    registry.update()


@attack("ExpiredError")
def an_expired_channel(registry: Simulator) -> None:
    registry.channels["stable"].expires = registry.now - PAST
    registry.update("stable")


@attack("ExpiredError", lasting=True)
def an_expired_root(registry: Simulator) -> None:
    registry.root.expires = registry.now - PAST
    registry.publish_root()


@attack("NotFoundError")
def a_snapshot_that_is_withheld(registry: Simulator) -> None:
    registry.update("stable")
    registry.withheld.add(f"metadata/{registry.snapshot.version}.snapshot.json")


# wrong keys, too few signatures


def _signed_by_a_stranger(role: str) -> Callable[[Simulator], None]:
    def apply(registry: Simulator) -> None:
        registry.signers[role] = strangers(len(registry.signers[role]))
        if role == "targets":
            registry.targets.version += 1
        registry.update(*(["stable"] if role == "stable" else []))

    return apply


ATTACKS += [
    Attack(f"a_stranger_signs_{role}", "SignatureError", _signed_by_a_stranger(role))
    for role in ("timestamp", "snapshot", "targets", "stable")
]


@attack("SignatureError")
def a_new_root_without_the_old_keys(registry: Simulator) -> None:
    for signer in registry.signers["root"]:
        registry.root.revoke_key(signer.public_key.keyid, "root")
    registry.signers["root"] = strangers(2)
    for signer in registry.signers["root"]:
        registry.root.add_key(signer.public_key, "root")
    registry.publish_root()


@attack("SignatureError")
def a_new_root_without_enough_of_its_own_keys(registry: Simulator) -> None:
    old = registry.signers["root"]
    registry.root.roles["root"].threshold = 3
    registry.signers["root"] = old
    registry.publish_root()


@attack("SignatureError")
def too_few_signatures_in_a_channel(registry: Simulator) -> None:
    registry.signers["stable"] = registry.signers["stable"][:1]
    registry.update("stable")


@attack("SignatureError")
def the_same_signature_twice(registry: Simulator) -> None:
    first = registry.signers["stable"][0]
    registry.signers["stable"] = [first, first]
    registry.update("stable")


@attack("SignatureError")
def the_keys_of_another_channel(registry: Simulator) -> None:
    registry.signers["stable"] = registry.signers["beta"]
    registry.update("stable")


@attack("SignatureError")
def unsigned_metadata(registry: Simulator) -> None:
    registry.signers["timestamp"] = []
    registry.update()


# changes of delegations


@attack("SignatureError")
def a_revoked_channel_key_for_what_is_cached(registry: Simulator) -> None:
    revoked = registry.signers["stable"]
    registry.rotate("stable")
    registry.signers["stable"] = revoked
    registry.update()


@attack("SignatureError", lasting=True)
def a_revoked_timestamp_key(registry: Simulator) -> None:
    revoked = registry.signers["timestamp"]
    registry.rotate("timestamp")
    registry.signers["timestamp"] = revoked
    registry.update()


@attack("SignatureError")
def a_raised_threshold_for_what_is_cached(registry: Simulator) -> None:
    _delegation(registry).threshold = 3
    for signer in strangers(1):
        registry.targets.add_key(signer.public_key, "stable")
    registry.targets.version += 1
    registry.update()


@attack("NotFoundError")
def a_channel_nobody_delegates_to_any_more(registry: Simulator) -> None:
    delegations = registry.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    del delegations.roles["stable"]
    registry.targets.version += 1
    registry.update()


@attack("NotFoundError")
def a_catalogue_outside_the_delegated_paths(registry: Simulator) -> None:
    _delegation(registry).paths = ["stable/releases/*"]
    registry.targets.version += 1
    registry.update()


@attack("NotFoundError")
def a_catalogue_in_the_wrong_channel(registry: Simulator) -> None:
    del registry.channels["stable"].targets["stable/catalogue.json"]
    registry.put_target("beta", "stable/catalogue.json", Catalogue(channel="stable").model_dump_json().encode())
    registry.update("stable", "beta")


def _delegation(registry: Simulator) -> DelegatedRole:
    delegations = registry.targets.delegations
    assert delegations is not None
    assert delegations.roles is not None
    return delegations.roles["stable"]


# parts that don't belong together


@attack("MixAndMatchError")
def an_older_channel_under_a_new_name(registry: Simulator) -> None:
    old = registry.sign("stable", registry.channels["stable"])
    registry.update("stable")
    registry.replaced[f"metadata/{registry.channels['stable'].version}.stable.json"] = old


@attack("MixAndMatchError")
def another_snapshot_than_announced(registry: Simulator) -> None:
    registry.update()
    registry.snapshot.version += 5


@attack("MixAndMatchError")
def one_role_in_place_of_another(registry: Simulator) -> None:
    registry.replaced[TIMESTAMP] = registry.sign("snapshot", registry.snapshot)


@attack("MixAndMatchError")
def a_skipped_root(registry: Simulator) -> None:
    registry.root.version += 1
    registry.publish_root()


@attack("MixAndMatchError")
def the_catalogue_of_another_channel(registry: Simulator) -> None:
    data = Catalogue(channel="beta").model_dump_json().encode()
    registry.put_target("stable", "stable/catalogue.json", data)
    registry.update("stable")


@attack("MixAndMatchError")
def the_manifest_of_another_release(registry: Simulator) -> None:
    registry.offer(make_release("2026.3"), manifest=make_release("2026.1").model_dump_json().encode())


# other bytes than announced


def _new_catalogue(registry: Simulator) -> str:
    """Publishes another catalogue; the path of its file."""
    before = set(registry.files)
    registry.offer(make_release("2026.2"))
    return next(path for path in set(registry.files) - before if path.endswith("catalogue.json"))


@attack("MixAndMatchError")
def a_longer_catalogue(registry: Simulator) -> None:
    registry.files[_new_catalogue(registry)] += b" "


@attack("MixAndMatchError")
def a_shorter_catalogue(registry: Simulator) -> None:
    path = _new_catalogue(registry)
    registry.files[path] = registry.files[path][:-1]


@attack("MixAndMatchError")
def a_changed_catalogue_of_the_same_length(registry: Simulator) -> None:
    path = _new_catalogue(registry)
    registry.files[path] = registry.files[path].replace(b"2026.2", b"2026.9")


@attack("MixAndMatchError")
def a_changed_manifest(registry: Simulator) -> None:
    before = set(registry.files)
    registry.offer(make_release("2026.2"))
    path = next(path for path in set(registry.files) - before if "releases" in path)
    registry.files[path] = registry.files[path].replace(b"Apache", b"Apachi")


@attack("MixAndMatchError")
def a_changed_channel(registry: Simulator) -> None:
    registry.update("stable")
    path = f"metadata/{registry.channels['stable'].version}.stable.json"
    registry.replaced[path] = registry.content(path).replace(b"stable", b"staple")


def _huge(path_of: Callable[[Simulator], str]) -> Callable[[Simulator], None]:
    def apply(registry: Simulator) -> None:
        registry.update("stable")
        registry.replaced[path_of(registry)] = b" " * LIMIT_BYTES

    return apply


ATTACKS += [
    Attack("a_huge_timestamp", "MixAndMatchError", _huge(lambda _registry: TIMESTAMP)),
    Attack(
        "a_huge_root", "MixAndMatchError", _huge(lambda registry: f"metadata/{registry.root.version + 1}.root.json")
    ),
    Attack(
        "a_huge_snapshot",
        "MixAndMatchError",
        _huge(lambda registry: f"metadata/{registry.snapshot.version}.snapshot.json"),
    ),
]


# not metadata at all


@attack("TrustError")
def a_sign_in_page(registry: Simulator) -> None:
    registry.replaced[TIMESTAMP] = b"<html>Welcome to our hotel</html>"


@attack("TrustError")
def deep_nesting(registry: Simulator) -> None:
    registry.replaced[TIMESTAMP] = b"[" * 8000 + b"]" * 8000


@attack("TrustError")
def an_empty_timestamp(registry: Simulator) -> None:
    registry.replaced[TIMESTAMP] = b""
