"""A stand-in for the program ``ollama``: a real process that serves what ``FakeOllama`` does.

Started by its path with ``serve``, as the real one. Environment: ``STAND_IN_NOTES`` names a file that gets its own
environment as JSON; ``STAND_IN_FAULT`` is ``exit`` (complains and ends at once) or ``mute`` (never listens);
``STAND_IN_RUNNER`` makes it start a child, as Ollama does to run a model.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from tests.fakes.ollama import FakeOllama

ROOT = Path(__file__).parents[2]


def write_program(folder: Path) -> Path:
    """Writes the executable ``ollama`` into a folder, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "ollama"
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.fakes.ollama_program import main; main()"
    # not the interpreter's path in the first line: it may have spaces, or be too long for the kernel
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c "{code}" "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def main() -> None:
    assert sys.argv[1:] == ["serve"], sys.argv
    if notes := os.environ.get("STAND_IN_NOTES"):
        Path(notes).write_text(json.dumps(dict(os.environ)), encoding="utf-8")
    fault = os.environ.get("STAND_IN_FAULT")
    if fault == "exit":
        sys.exit("Error: listen tcp: bind: address already in use")
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    if os.environ.get("STAND_IN_RUNNER"):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    if fault == "mute":
        ended.wait()
        return
    print("Listening", flush=True)
    with FakeOllama(port=urlsplit(f"//{os.environ['OLLAMA_HOST']}").port or 0):
        ended.wait()
