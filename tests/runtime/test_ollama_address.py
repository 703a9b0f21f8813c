"""``OLLAMA_HOST`` in its forms. The expected values follow ``envconfig.Host`` of Ollama's source, with addresses that
only a server can use turned into ones that a client can."""

from __future__ import annotations

from pathlib import Path

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
    ],
)
def test_every_form_of_ollama_host_is_understood(text: str, address: str) -> None:
    assert parse_ollama_host(text) == address


def test_an_address_read_twice_stays_the_same() -> None:
    once = parse_ollama_host("[::1]:1337")
    assert parse_ollama_host(once) == once


def test_another_scheme_is_refused_with_an_example() -> None:
    with pytest.raises(UserInputError, match=r"tcp://.*http://127\.0\.0\.1:11434"):
        parse_ollama_host("tcp://example.com:1234")


def test_a_wrong_address_makes_ollama_unavailable_and_nothing_else() -> None:
    status = OllamaRuntime("tcp://example.com").status()
    assert not status.available
    assert "tcp://" in status.reason


@pytest.mark.parametrize(
    ("address", "local"),
    [
        ("http://127.0.0.1:11434", True),
        ("http://[::1]:11434", True),
        ("http://localhost:11434", True),
        ("http://192.0.2.7:11434", False),
        ("https://gpu.example.com:443", False),
    ],
)
def test_loopback_is_local_and_the_rest_is_not(address: str, local: bool) -> None:
    assert is_local(address) is local


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
