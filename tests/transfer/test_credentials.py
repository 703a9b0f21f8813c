"""Tokens and passwords: kept in the keyring, sent to their own server when it asks, and nowhere else."""

from __future__ import annotations

import base64
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bbj_desktop.core.errors import ServerError, UserInputError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.transfer import credentials
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.release_server import Fault, Handler, ReleaseServer
from tests.fakes.vault import Vault, vault

TOKEN = "t0p-secret"


class Guarded(ReleaseServer):
    """Serves files to whoever has the credential."""

    wanted = f"Bearer {TOKEN}"

    def answer(self, handler: Handler, path: str) -> bool:
        del path
        if handler.current.headers.get("authorization") == self.wanted:
            return False
        handler.head(401, {"Content-Length": "0", "WWW-Authenticate": "Bearer"})
        return True

    @property
    def seen(self) -> list[str | None]:
        return [request.headers.get("authorization") for request in self.requests]


@pytest.fixture
def server() -> Iterator[Guarded]:
    with Guarded({"file": b"content"}) as server:
        yield server


@pytest.fixture
def keyring() -> Iterator[Vault]:
    with vault() as keyring:
        yield keyring


def read(address: str, times: int = 1) -> bytes:
    source = open_source(address, Network(proxy=DIRECT))
    try:
        return b"".join(source.read("file", limit_bytes=100, cancel=Cancel()) for _ in range(times))
    finally:
        source.close()


@pytest.mark.usefixtures("keyring")
def test_the_keyrings_credential_opens_the_server(server: Guarded) -> None:
    credentials.remember(credentials.origin_of(server.address), f"Bearer {TOKEN}")
    assert read(f"{server.address}") == b"content"


def test_it_is_looked_up_once_and_then_sent_at_once(server: Guarded, keyring: Vault) -> None:
    credentials.remember(credentials.origin_of(server.address), f"Bearer {TOKEN}")
    assert read(server.address, times=3) == b"content" * 3
    assert server.seen == [None, *[server.wanted] * 3]
    assert keyring.asked == 1


def test_a_server_that_asks_for_nothing_gets_nothing(keyring: Vault) -> None:
    with ReleaseServer({"file": b"content"}) as server:
        credentials.remember(credentials.origin_of(server.address), f"Bearer {TOKEN}")
        assert read(server.address) == b"content"
        assert keyring.asked == 0
        assert "authorization" not in server.requests[0].headers


@pytest.mark.usefixtures("keyring")
def test_another_server_that_it_redirects_to_gets_nothing(server: Guarded) -> None:
    credentials.remember(credentials.origin_of(server.address), f"Bearer {TOKEN}")
    with Guarded({"file": b"content"}) as other:
        server.script("file", Fault(redirect=f"{other.address}/file"))
        with pytest.raises(ServerError, match="401"):
            read(server.address)
        assert other.seen == [None]


def test_the_environment_serves_where_there_is_no_keyring(server: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", TOKEN)
    assert read(server.address) == b"content"


def test_a_user_and_a_password_make_basic_authentication(server: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", "jürgen:geheim")
    server.wanted = "Basic " + base64.b64encode("jürgen:geheim".encode()).decode()
    assert read(server.address) == b"content"


@pytest.mark.usefixtures("keyring")
def test_who_is_not_known_is_told_how_to_log_in(server: Guarded) -> None:
    with pytest.raises(ServerError, match="for those only who log in") as caught:
        read(server.address)
    assert f"registry login {server.address}" in caught.value.hint


def test_a_credential_that_is_refused_is_told_apart(server: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", "old")
    with pytest.raises(ServerError, match="doesn't accept the credentials") as caught:
        read(server.address)
    assert caught.value.status == 401
    assert server.seen == [None, "Bearer old"]


def test_a_locked_keyring_is_as_good_as_an_empty_one(
    server: Guarded, keyring: Vault, caplog: pytest.LogCaptureFixture
) -> None:
    keyring.locked = True
    with caplog.at_level(logging.WARNING), pytest.raises(ServerError, match="log in"):
        read(server.address)
    assert "locked" in caplog.text


def test_no_credential_gets_into_the_log(
    server: Guarded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", TOKEN)
    with caplog.at_level(logging.DEBUG):
        read(server.address)
    assert server.seen[-1] == server.wanted
    assert TOKEN not in "".join(record.getMessage() for record in caplog.records if "bbj" in record.name)


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://models.example.org/bbj", "https://models.example.org"),
        ("https://Models.Example.org:443/bbj/", "https://models.example.org"),
        ("https://models.example.org:8443", "https://models.example.org:8443"),
        ("http://[::1]:80/x", "http://[::1]"),
        ("https://user:secret@models.example.org/", "https://models.example.org"),
        ("hf://basis/bbj-coder@v1", "https://huggingface.co"),
    ],
)
def test_a_credential_belongs_to_the_origin(address: str, origin: str) -> None:
    assert credentials.origin_of(address) == origin


@pytest.mark.parametrize("address", ["/srv/models", "file:///srv/models", "https://", "https://host:port/"])
def test_what_is_on_no_server_has_no_credentials(address: str) -> None:
    with pytest.raises(UserInputError):
        credentials.origin_of(address)


@pytest.mark.parametrize(
    "origin", ["https://models.example.org", "http://127.0.0.1:8000", "http://localhost", "http://[::1]"]
)
def test_encrypted_and_local_ways_are_safe(origin: str) -> None:
    assert credentials.is_safe(origin)


@pytest.mark.usefixtures("keyring")
def test_an_unencrypted_way_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserInputError, match="isn't encrypted"):
        credentials.remember("http://models.example.org", f"Bearer {TOKEN}")
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", TOKEN)
    assert credentials.finder("http://models.example.org/bbj")() is None


@pytest.mark.parametrize(
    ("typed", "header"),
    [
        (" hf_abc \n", "Bearer hf_abc"),
        ("user:pass word", "Basic " + base64.b64encode(b"user:pass word").decode()),
        ("Bearer a:b", "Bearer a:b"),
        ("basic dTpw", "basic dTpw"),
    ],
)
def test_what_a_person_types_becomes_a_header(typed: str, header: str) -> None:
    assert credentials.authorization(typed) == header


@pytest.mark.parametrize("typed", ["", "  ", "two words", "tökén", "a\x00b", "a\nb", "x" * 2001, "Bearer tökén"])
def test_what_cannot_be_a_credential_is_refused(typed: str) -> None:
    with pytest.raises(UserInputError) as caught:
        credentials.authorization(typed)
    assert not typed.strip() or typed not in str(caught.value)


def test_without_a_keyring_the_variable_is_named() -> None:
    with pytest.raises(UserInputError, match="there is none") as caught:
        credentials.remember("https://models.example.org", f"Bearer {TOKEN}")
    assert "BBJ_DESKTOP_TOKEN" in caught.value.hint


def test_the_keyring_is_loaded_only_when_it_is_needed() -> None:
    """It looks for its backends then, which takes time and may ask the user for a password."""
    program = "import sys, bbj_desktop.services.transfer.web, bbj_desktop.services.transfer.sources as sources; "
    program += "from bbj_desktop.core.network import Network; sources.open_source('https://x.example', Network()); "
    program += "sys.exit('keyring' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_what_was_kept_can_be_removed(keyring: Vault) -> None:
    credentials.remember("https://models.example.org", f"Bearer {TOKEN}")
    assert credentials.forget("https://models.example.org")
    assert not credentials.forget("https://models.example.org")
    assert keyring.kept == {}
