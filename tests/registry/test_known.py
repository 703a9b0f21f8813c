"""The registries that a machine trusts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, NotFoundError, NoTrustedRootError, TooNewError
from bbj_desktop.services.registry.known import KnownRegistries, KnownRegistry

START = datetime(2026, 1, 14, tzinfo=UTC)


def known(digit: str, address: str, day: int = 0) -> KnownRegistry:
    return KnownRegistry(identity=f"sha256:{digit * 64}", address=address, added_at=START + timedelta(days=day))


@pytest.fixture
def registries(tmp_path: Path) -> KnownRegistries:
    return KnownRegistries(tmp_path / "Vertrauen für alle")


def test_without_any_the_hint_says_what_to_type(registries: KnownRegistries) -> None:
    assert registries.all() == ()
    with pytest.raises(NoTrustedRootError) as caught:
        registries.choose(None)
    assert "registry add" in caught.value.hint


def test_the_most_recently_added_one_is_current(registries: KnownRegistries) -> None:
    registries.remember(known("a", "https://one.example", day=2))
    registries.remember(known("b", "https://two.example", day=1))
    assert registries.choose(None).address == "https://one.example"


def test_an_address_chooses_its_registry_with_or_without_a_slash(registries: KnownRegistries) -> None:
    registries.remember(known("a", "https://one.example"))
    registries.remember(known("b", "https://two.example", day=1))
    assert registries.choose("https://one.example/").identity == "sha256:" + "a" * 64


def test_an_address_that_is_not_trusted_is_refused(registries: KnownRegistries) -> None:
    registries.remember(known("a", "https://one.example"))
    with pytest.raises(NoTrustedRootError, match=r"evil\.example"):
        registries.choose("https://evil.example")


def test_a_registry_that_moved_keeps_its_state(registries: KnownRegistries) -> None:
    first = known("a", "https://old.example")
    registries.remember(first)
    moved = known("a", "https://new.example", day=1)
    registries.remember(moved)
    assert registries.all() == (moved,)
    assert registries.state(first) == registries.state(moved)


def test_a_forgotten_one_leaves_nothing(registries: KnownRegistries) -> None:
    one = known("a", "https://one.example")
    registries.remember(one)
    (registries.state(one) / "metadata").mkdir()
    registries.forget("https://one.example/")
    assert not registries.state(one).exists()
    with pytest.raises(NotFoundError):
        registries.forget("https://one.example")


def test_a_damaged_record_is_named(registries: KnownRegistries) -> None:
    one = known("a", "https://one.example")
    registries.remember(one)
    record = registries.state(one) / "registry.json"
    record.write_text(record.read_text()[:20])
    with pytest.raises(FormatError, match=r"registry\.json"):
        registries.all()


def test_a_damaged_record_is_deleted_as_its_hint_says_and_the_registry_trusted_again(
    registries: KnownRegistries,
) -> None:
    registries.remember(known("a", "https://one.example"))
    record = registries.state(known("a", "https://one.example")) / "registry.json"
    record.write_text("{", encoding="utf-8")
    with pytest.raises(FormatError) as caught:
        registries.all()
    assert "registry add" in caught.value.hint
    record.unlink()
    registries.remember(known("a", "https://one.example"))
    assert registries.choose(None).address == "https://one.example"


def test_a_record_of_a_newer_program_says_so(registries: KnownRegistries) -> None:
    one = known("a", "https://one.example")
    registries.remember(one)
    (registries.state(one) / "registry.json").write_text('{"format": 9}')
    with pytest.raises(TooNewError):
        registries.all()
