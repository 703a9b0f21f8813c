"""The program as its user starts it: a process of its own with a real window on an X server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

NEEDED = ("Xvfb", "xdotool")
PATIENCE_S = 60

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs an X server of its own"),
    pytest.mark.skipif(
        not all(map(shutil.which, NEEDED)), reason="needs Xvfb and xdotool: apt-get install -y xvfb xdotool"
    ),
]


@pytest.fixture
def display() -> Iterator[str]:
    """An X server on the first free display, for one test."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1180x760x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def test_the_window_opens_on_a_real_screen_and_ctrl_c_closes_it(display: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
    data = tmp_path / "Daten für Müller"
    command = [sys.executable, "-m", "bbj_desktop", "--data", str(data)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        try:
            seen = subprocess.run(
                ["xdotool", "search", "--sync", "--onlyvisible", "--name", "BBj Desktop"],
                env=environment,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=True,
            )
            program.send_signal(signal.SIGINT)
            _, errors = program.communicate(timeout=PATIENCE_S)
        finally:
            program.kill()
    assert seen.stdout.split()
    assert (program.returncode, errors) == (0, "")
