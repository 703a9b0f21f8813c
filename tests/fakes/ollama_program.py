"""A stand-in for the program ``ollama``: a real process that serves what ``FakeOllama`` does.

Started by its path with ``serve``, as the real one. Environment: ``STAND_IN_NOTES`` names a file that gets its own
environment as JSON; ``STAND_IN_FAULT`` is ``exit`` (complains and ends at once), ``mute`` (never listens) or ``dumb``
(listens, and never says anything); ``STAND_IN_RUNNER`` makes it start a child, as Ollama does to run a model.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

from tests.fakes.ollama import FakeOllama

ROOT = Path(__file__).parents[2]


def write_program(folder: Path) -> Path:
    """Writes the executable ``ollama`` into a folder, which is made if needed. Its process is called as the real one
    is: ``ollama serve``, where ``serve`` is a file for Python in the folder beside it."""
    beside = folder / "stand-in"
    beside.mkdir(parents=True, exist_ok=True)
    (beside / "serve").write_text(
        f"import os, sys\nos.environ.pop('PYTHONHOME')\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"sys.executable, sys.argv = {sys.executable!r}, ['ollama', 'serve']\n"
        "from tests.fakes.ollama_program import main\nmain()\n",
        encoding="utf-8",
    )
    path = folder / "ollama"
    code = (
        f"import os, sys; os.chdir({str(beside)!r}); os.environ['PYTHONHOME'] = {sys.base_prefix!r}; "
        f"os.execv({sys.executable!r}, ['ollama', *sys.argv[1:]])"
    )
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
    port = urlsplit(f"//{os.environ['OLLAMA_HOST']}").port or 0
    if fault == "dumb":
        with socket.create_server(("127.0.0.1", port)):
            ended.wait()
        return
    print("Listening", flush=True)
    with FakeOllama(port=port):
        ended.wait()
