"""With ``update_checks`` off nothing leaves the machine by itself: every connection of the program is watched.

An audit hook in each Python process of the program writes down whom it connects to and which names it looks up; the
registry's server counts who comes, whatever opened the connection. Only the Ollama of the settings may be asked.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

from bbj_desktop.actions.context import Context
from tests.fakes.ollama import FakeOllama
from tests.fakes.release_server import ReleaseServer

WATCH = """
import os, sys
_file = os.open(os.environ["WATCHED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def _note(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        if isinstance(address, tuple):
            os.write(_file, f"{address[0]}:{address[1]}\\n".encode())
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        os.write(_file, f"name {arguments[0]}\\n".encode())
sys.addaudithook(_note)
"""
"""As ``sitecustomize``: every Python process that inherits PYTHONPATH runs it first."""

PATIENCE_S = 60
SETTLED_S = 1.5  # seconds after the window's last connection


@dataclass
class Watched:
    """The program in processes of its own.

    Attributes:
        environment: Of the program.
        file: What its processes did.
    """

    environment: dict[str, str]
    file: Path

    def runs(self, *arguments: str, stdin: str = "") -> set[str]:
        """Runs a command to its end; says whom it connected to."""
        command = [sys.executable, "-m", "bbj_desktop", *arguments]
        done = subprocess.run(
            command, env=self.environment, input=stdin, text=True, capture_output=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return self.seen

    def opens_the_window(self, until: Callable[[], bool]) -> set[str]:
        """Opens the window, waits until it has asked whom it wants to, and closes it; says whom."""
        with subprocess.Popen([sys.executable, "-m", "bbj_desktop"], env=self.environment) as process:
            try:
                _wait(until, process)
                time.sleep(SETTLED_S)
                process.send_signal(signal.SIGINT)
                process.wait(PATIENCE_S)
            finally:
                process.kill()
        return self.seen

    @property
    def seen(self) -> set[str]:
        return set(self.file.read_text(encoding="utf-8").splitlines()) if self.file.exists() else set()


def _wait(until: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not until():
        assert process.poll() is None, "the window has closed by itself"
        assert time.monotonic() < end, "the window asks nobody"
        time.sleep(0.05)


@pytest.fixture
def watched(installed: Context, ollama: FakeOllama, tmp_path: Path) -> Watched:
    """Update checks are off."""
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(WATCH, encoding="utf-8")
    data = installed.settings.values.data_folder
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(folder), str(Path(__file__).parents[2]))),
        "WATCHED": str(tmp_path / "watched.txt"),
        "QT_QPA_PLATFORM": "offscreen",
        "HOME": str(tmp_path / "home"),
        "BBJ_DESKTOP_DATA": str(data),
        "BBJ_DESKTOP_RUNTIME": "ollama",
        "BBJ_DESKTOP_OLLAMA_HOST": ollama.address,
        "BBJ_DESKTOP_UPDATE_CHECKS": "off",
    }
    return Watched(environment, Path(environment["WATCHED"]))


def allowed(ollama: FakeOllama) -> set[str]:
    """The Ollama of the settings, by its address."""
    host = ollama.address.removeprefix("http://")
    return {host, f"name {host.rpartition(':')[0]}"}


def of(registry: ReleaseServer) -> str:
    return registry.address.removeprefix("http://")


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("doctor",), ""),
        (("versions",), ""),
        (("settings", "show"), ""),
        (("registry", "show"), ""),
        (("chat",), "What is BBj?\n/quit\n"),
        (("ask", "What is BBj?"), ""),
        (("activate", "2026.1"), ""),
    ],
)
def test_commands_that_work_here_ask_nobody_elsewhere(
    watched: Watched, registry: ReleaseServer, ollama: FakeOllama, arguments: tuple[str, ...], stdin: str
) -> None:
    assert watched.runs(*arguments, stdin=stdin) - allowed(ollama) == set()
    assert registry.requests == []


def test_the_watch_sees_whom_the_program_asks(watched: Watched, registry: ReleaseServer) -> None:
    """Otherwise the tests above and below couldn't fail."""
    watched.environment["BBJ_DESKTOP_UPDATE_CHECKS"] = "on"
    assert of(registry) in watched.runs("doctor")
    assert registry.requests


def test_doctor_asks_when_it_is_told_to(watched: Watched, registry: ReleaseServer) -> None:
    assert of(registry) in watched.runs("doctor", "--online")


needs_window = pytest.mark.skipif(
    find_spec("PySide6") is None or sys.platform == "win32", reason="needs PySide6 and POSIX signals"
)


@needs_window
def test_the_window_asks_nobody_elsewhere(watched: Watched, registry: ReleaseServer, ollama: FakeOllama) -> None:
    seen = watched.opens_the_window(until=lambda: bool(watched.seen & allowed(ollama)))
    assert seen - allowed(ollama) == set()
    assert registry.requests == []


@needs_window
def test_the_watch_sees_whom_the_window_asks(watched: Watched, registry: ReleaseServer) -> None:
    watched.environment["BBJ_DESKTOP_UPDATE_CHECKS"] = "on"
    assert of(registry) in watched.opens_the_window(until=lambda: bool(registry.requests))
