"""``OLLAMA_HOST`` in its forms. The expected values follow ``envconfig.Host`` of Ollama's source, with addresses that
only a server can use turned into ones that a client can."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.services.runtime.ollama import OllamaRuntime, is_too_old, models_folder
from bbj_desktop.services.runtime.ollama_address import is_local, parse_ollama_host


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", "http://127.0.0.1:11434"),
        ("  ", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        ("example.com:1234", "http://example.com:1234"),
        (":1234", "http://127.0.0.1:1234"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com", "https://example.com:443"),
        ("https://example.com:1234", "https://example.com:1234"),
        ("https://example.com/ollama/", "https://example.com:443/ollama"),
        ("example.com:1234/", "http://example.com:1234"),
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),  # noqa: S104 - a value to read
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:1337", "http://[::1]:1337"),
        ("2001:db8::42", "http://[2001:db8::42]:11434"),
        ("https://[2001:db8::42]", "https://[2001:db8::42]:443"),
        ("example.com:66000", "http://example.com:11434"),
        ("example.com:port", "http://example.com:11434"),
        ("http://example.com:-1", "http://example.com:80"),
        ('"example.com:1234"', "http://example.com:1234"),
        (" 'example.com' ", "http://example.com:11434"),
        ("ollama.com", "https://ollama.com:443"),
        ("HTTP://example.com:1234", "http://example.com:1234"),
        ("example.com:0", "http://example.com:11434"),
        ("example.com:" + "9" * 5000, "http://example.com:11434"),
        ("[::1", "http://[::1]:11434"),
        ("[2001:DB8:0::42]:99", "http://[2001:db8::42]:99"),
        ("fe80::1%eth0", "http://[fe80::1%eth0]:11434"),
        ("http://[fe80::1%eth0]:99", "http://[fe80::1%eth0]:99"),
        ("gpu_server.example", "http://gpu_server.example:11434"),
        ("köln.example", "http://köln.example:11434"),
    ],
)
def test_every_form_of_ollama_host_is_understood(text: str, address: str) -> None:
    assert parse_ollama_host(text) == address


@pytest.mark.parametrize("text", ["[::1]:1337", "fe80::1%eth0", "https://example.com/ollama"])
def test_an_address_read_twice_stays_the_same(text: str) -> None:
    once = parse_ollama_host(text)
    assert parse_ollama_host(once) == once


@pytest.mark.parametrize(
    "text", ["foo bar", "a:b:c", "127.0.0.1:1:2", "*:11434", "[]", "http://[::1]x:80", "a\nb", "x?y"]
)
def test_what_can_be_no_host_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UserInputError, match=r"names no host .*http://127\.0\.0\.1:11434"):
        parse_ollama_host(text)


@pytest.mark.parametrize("text", ["a..b", "x" * 64, "x." * 130, "ä" * 63, "xn--a", "x/\x01"])
def test_what_no_network_takes_for_a_name_is_refused(text: str) -> None:
    with pytest.raises(UserInputError, match=r"http://127\.0\.0\.1:11434"):
        parse_ollama_host(text)


def test_the_package_is_imported_whatever_the_variable_says() -> None:
    """It makes a client of it while it is imported."""
    code = "import bbj_desktop.services.runtime.ollama_api, os; print(os.environ['OLLAMA_HOST'])"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(
        command, env={**os.environ, "OLLAMA_HOST": "a:b:c"}, check=True, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "a:b:c"


def test_a_password_before_the_host_is_not_repeated() -> None:
    with pytest.raises(UserInputError) as caught:
        parse_ollama_host("http://ada:secret@example.com")
    assert "secret" not in str(caught.value)


def test_another_scheme_is_refused_with_an_example() -> None:
    with pytest.raises(UserInputError, match=r"tcp://.*http://127\.0\.0\.1:11434"):
        parse_ollama_host("tcp://example.com:1234")


@pytest.mark.parametrize("text", ["tcp://example.com", "a:b:c", "http://[x"])
def test_a_wrong_address_makes_ollama_unavailable_and_nothing_else(text: str) -> None:
    status = OllamaRuntime(text).status()
    assert not status.available
    assert text in status.reason


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://[::1]:11434", True),
        ("http://localhost:11434", True),
        ("http://ollama.localhost:11434", True),
        ("http://[::ffff:127.0.0.1]:11434", True),
        ("http://192.0.2.7:11434", False),
        ("https://gpu.example.com:443", False),
    ],
)
def test_loopback_is_local_and_the_rest_is_not(address: str, local: bool) -> None:
    assert is_local(address) is local


def test_an_address_of_this_machines_network_is_local(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"eth0": [SimpleNamespace(address="192.0.2.7"), SimpleNamespace(address="02:fc:00:00:00:01")]}
    monkeypatch.setattr("psutil.net_if_addrs", lambda: there)
    assert is_local("http://192.0.2.7:11434")
    assert not is_local("http://192.0.2.8:11434")


@pytest.mark.parametrize(
    ("version", "too_old"),
    [
        ("0.8.9", True),
        ("0.5.13", True),
        ("0.9.0", False),
        ("0.10.0", False),
        ("0.33.0-rc2", False),
        ("1.0", False),
        ("0.0.0", False),  # a build without a number
    ],
)
def test_versions_are_compared_by_number(version: str, too_old: bool) -> None:
    assert is_too_old(version) is too_old


def test_the_models_folder_is_the_one_that_ollama_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "Modelle für alle"
    assert models_folder({"OLLAMA_MODELS": f'"{folder}"'}) == folder


def test_the_models_folder_is_in_the_home_folder_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setattr("bbj_desktop.services.runtime.ollama._SERVICE_MODELS", tmp_path / "not there")
    assert models_folder({}) == tmp_path / ".ollama" / "models"


def test_the_models_folder_of_the_linux_service_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setattr("bbj_desktop.services.runtime.ollama._SERVICE_MODELS", tmp_path)
    assert models_folder({}) == tmp_path
