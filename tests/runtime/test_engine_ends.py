"""An engine's process is ended with all that it started, on every system."""

from __future__ import annotations

import subprocess
import sys

import psutil

from bbj_desktop.services.runtime.engine import kill

SLEEPER = "import time; time.sleep(600)"
WRAPPER = f"""
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", {SLEEPER!r}]).pid, flush=True)
time.sleep(600)
"""


def test_what_a_killed_engine_had_started_ends_with_it() -> None:
    with subprocess.Popen([sys.executable, "-c", WRAPPER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        computing = psutil.Process(int(process.stdout.readline()))
        kill(process)
    assert psutil.wait_procs([computing], timeout=10)[1] == [] or computing.status() == psutil.STATUS_ZOMBIE


def test_one_that_has_ended_can_be_killed_once_more() -> None:
    with subprocess.Popen([sys.executable, "-c", ""], text=True) as process:
        process.wait()
        kill(process)
        assert process.returncode == 0
