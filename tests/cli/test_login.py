"""``registry login`` and ``registry logout``: a secret is typed or piped, kept in the keyring, and shown nowhere."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.cli.results.registries import RegistryLoginResult, RegistryLogoutResult
from tests.cli.conftest import Call
from tests.fakes.published import Publication
from tests.fakes.release_server import Handler, ReleaseServer
from tests.fakes.vault import Vault, vault

TOKEN = "t0p-secret"
ADDRESS = "https://models.example.org/bbj"


@pytest.fixture
def keyring() -> Iterator[Vault]:
    with vault() as keyring:
        yield keyring


@pytest.fixture(autouse=True)
def piped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN + "\n"))


class Guarded(ReleaseServer):
    """A registry for those who have the token."""

    def answer(self, handler: Handler, path: str) -> bool:
        del path
        if handler.current.headers.get("authorization") == f"Bearer {TOKEN}":
            return False
        handler.head(401, {"Content-Length": "0"})
        return True


def test_a_piped_token_is_kept_for_its_server(call: Call, keyring: Vault) -> None:
    called = call("registry", "login", ADDRESS, "--json")
    login = RegistryLoginResult.model_validate(called.result).login
    assert (login.origin, login.kind) == ("https://models.example.org", "token")
    assert keyring.kept == {("bbj-desktop", "https://models.example.org"): f"Bearer {TOKEN}"}


@pytest.mark.usefixtures("keyring")
def test_nothing_shows_the_token(call: Call, data: Path) -> None:
    called = call("registry", "login", ADDRESS, "--verbose")
    assert called.code == 0
    files = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
    assert files
    assert not any(TOKEN.encode() in content for content in (*files, (called.out + called.err).encode()))


@pytest.mark.usefixtures("keyring")
def test_a_registry_that_asks_is_read_after_login(call: Call, publication: Publication, identity: str) -> None:
    with Guarded(publication.folder) as server:
        before = call("registry", "add", server.address, "--fingerprint", identity)
        assert before.code == 4
        assert f"registry login {server.address}" in before.err
        assert call("registry", "login", server.address).code == 0
        assert call("registry", "add", server.address, "--fingerprint", identity).code == 0


def test_logging_out_removes_it(call: Call, keyring: Vault) -> None:
    call("registry", "login", ADDRESS)
    first, second = (call("registry", "logout", ADDRESS, "--json").result for _ in range(2))
    assert RegistryLogoutResult.model_validate(first).removed
    assert not RegistryLogoutResult.model_validate(second).removed
    assert keyring.kept == {}


def test_without_an_address_it_is_the_registry_in_use(
    call: Call, keyring: Vault, publication: Publication, identity: str
) -> None:
    with ReleaseServer(publication.folder) as server:
        assert call("registry", "add", server.address, "--fingerprint", identity).code == 0
        assert call("registry", "login").code == 0
        assert list(keyring.kept) == [("bbj-desktop", server.address)]


def test_purging_removes_it(call: Call, keyring: Vault) -> None:
    call("registry", "login", ADDRESS)
    called = call("purge", "--yes", "--json")
    assert "credential" in {each["kind"] for each in called.result["removed"]}
    assert keyring.kept == {}


def test_purging_tells_what_a_locked_keyring_keeps(call: Call, keyring: Vault) -> None:
    call("registry", "login", ADDRESS)
    keyring.locked = True
    called = call("purge", "--yes")
    assert called.code == 9
    assert "https://models.example.org stays in the keyring" in called.out + called.err


def test_without_a_keyring_the_way_out_is_named(call: Call) -> None:
    called = call("registry", "login", ADDRESS)
    assert called.code == 2
    assert "BBJ_DESKTOP_TOKEN" in called.err


@pytest.mark.usefixtures("keyring")
@pytest.mark.parametrize("address", ["http://models.example.org", "/srv/models", "file:///srv"])
def test_where_a_secret_is_of_no_use_or_not_safe_it_is_refused(call: Call, address: str) -> None:
    assert call("registry", "login", address).code == 2


@pytest.mark.usefixtures("keyring")
def test_a_secret_on_the_command_line_is_refused(call: Call) -> None:
    assert call("registry", "login", ADDRESS, TOKEN).code == 2
