"""Servers that let only those in who show a certificate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import ConnectError, SettingsError, UserInputError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.settings import Settings
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.certificates import Authority
from tests.fakes.release_server import ReleaseServer


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority) -> Iterator[ReleaseServer]:
    with ReleaseServer({"file": b"content"}, tls=authority.server(clients=True)) as server:
        yield server


def read(server: ReleaseServer, network: Network) -> bytes:
    source = open_source(server.address, network)
    try:
        return source.read("file", limit_bytes=100, cancel=Cancel())
    finally:
        source.close()


def test_the_settings_certificate_opens_the_server(server: ReleaseServer, authority: Authority) -> None:
    settings = Settings(proxy=DIRECT, ca_file=authority.file, client_certificate=authority.client())
    assert read(server, settings.network()) == b"content"


def test_its_key_may_lie_in_a_file_of_its_own(server: ReleaseServer, authority: Authority, tmp_path: Path) -> None:
    key, sign, certificate = authority.client().read_text().partition("-----BEGIN CERTIFICATE-----")
    (tmp_path / "schlüssel.pem").write_text(key)
    (tmp_path / "zertifikat.pem").write_text(sign + certificate)
    settings = Settings(
        proxy=DIRECT,
        ca_file=authority.file,
        client_certificate=tmp_path / "zertifikat.pem",
        client_key=tmp_path / "schlüssel.pem",
    )
    assert read(server, settings.network()) == b"content"


def test_without_one_the_server_stays_closed(server: ReleaseServer, authority: Authority) -> None:
    with pytest.raises(ConnectError) as caught:
        read(server, Network(proxy=DIRECT, ca_file=authority.file))
    assert "--client-certificate" in caught.value.hint
    assert server.requests == []


def test_a_file_that_holds_no_certificate_is_refused(server: ReleaseServer, tmp_path: Path) -> None:
    (tmp_path / "no certificate.pem").write_text("hello")
    with pytest.raises(UserInputError, match="client certificate"):
        read(server, Network(proxy=DIRECT, client_certificate=tmp_path / "no certificate.pem"))


def test_a_file_that_is_not_there_is_named(server: ReleaseServer, tmp_path: Path) -> None:
    with pytest.raises(UserInputError, match=r"missing\.pem"):
        read(server, Network(proxy=DIRECT, client_certificate=tmp_path / "missing.pem"))


def test_a_key_with_a_passphrase_is_refused_without_asking(server: ReleaseServer, authority: Authority) -> None:
    with pytest.raises(UserInputError) as caught:
        read(server, Network(proxy=DIRECT, client_certificate=authority.client("geheim")))
    assert "without a passphrase" in caught.value.hint


def test_a_key_without_a_certificate_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="client_certificate"):
        Settings(client_key=tmp_path / "key.pem").network()
