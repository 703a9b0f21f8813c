"""A ``llama-server`` executable as the engine: started, watched, and ended with the program that wanted it.

Runs in the engine's process, which dies as the executable died, so that the reason is told in the same words.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, TextIO

from bbj_desktop.services.runtime.engine_host import HTTP_THREADS, MODEL_ALIAS, HostConfig, fail, say

_POLL_S = 0.05
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


_NEWER_OPTIONS = {
    "LLAMA_ARG_CACHE_RAM": "0",  # the default keeps up to 8 GiB of old prompts, which no fit counts on
    "LLAMA_ARG_CACHE_IDLE_SLOTS": "0",  # wants that memory, and complains without it
    "LLAMA_ARG_ENDPOINT_SLOTS": "0",  # it would show prompts
    "LLAMA_ARG_OFFLINE": "1",
    "LLAMA_ARG_THREADS_HTTP": str(HTTP_THREADS),
    "LLAMA_ARG_UI": "0",
    "LLAMA_ARG_CORS_CREDENTIALS": "0",
    "LLAMA_ARG_CORS_ORIGINS": "http://127.0.0.1",  # of no page; without this it lets every one read its answers
}
"""By variable, because an older llama-server refuses an option that it doesn't know, and ignores a variable. What the
user has set there counts."""


def run_executable(config: HostConfig, answers: TextIO) -> int:
    """Runs it until it ends or stdin does. Returns the exit status; dies by the signal that it died by."""
    executable = config.executable or shutil.which("llama-server")
    if not executable or not Path(executable).is_file():
        where = config.executable or "on the search path"
        return fail(answers, f"there is no llama-server {where}", missing=True)
    with _secret_files(config) as (key_file, template_file):
        port = _free_port()
        try:
            process = subprocess.Popen(
                _command(executable, config, port, key_file, template_file),
                stdin=subprocess.DEVNULL,
                env=_NEWER_OPTIONS | os.environ,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads yet
            )
        except OSError as error:
            return fail(answers, f"{executable} can't be started: {error}", missing=True)
        threading.Thread(target=_end_both_with_stdin, args=(process,), daemon=True).start()
        ready = _wait_until_ready(process, port)
    if ready:
        say(answers, {"ready": True, "address": f"http://127.0.0.1:{port}"})
    elif process.poll() is not None and process.returncode > 0:
        return fail(answers, f"llama-server ended with status {process.returncode}", missing=False)
    return _as_it_ended(process.wait())


def _command(executable: str, config: HostConfig, port: int, key_file: Path, template_file: Path) -> list[str]:
    """Options that llama-server has had for long. The key goes by file: others could read a command line."""
    threads = str(config.threads)
    command = [executable, "--model", config.model, "--ctx-size", str(config.context_length), "--parallel", "1"]
    command += ["--threads", threads, "--threads-batch", threads, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--api-key-file", str(key_file), "--alias", MODEL_ALIAS]
    if config.chat_template:
        command += ["--jinja", "--chat-template-file", str(template_file)]
    if config.adapter:
        command += ["--lora", config.adapter]
    return command


@contextmanager
def _secret_files(config: HostConfig) -> Iterator[tuple[Path, Path]]:
    """Files that only this user can read, gone when the engine is ready."""
    with tempfile.TemporaryDirectory(prefix="bbj-desktop-") as folder:  # made with mode 0700
        key_file, template_file = Path(folder) / "key", Path(folder) / "template.jinja"
        descriptor = os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(config.key + "\n")
        template_file.write_text(config.chat_template, encoding="utf-8")
        yield key_file, template_file


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> bool:
    """llama-server listens at once and answers 503 while it loads. Whoever started us limits the time."""
    while process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/health")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return True
        except (OSError, http.client.HTTPException):
            pass  # it doesn't listen yet
        finally:
            connection.close()
        time.sleep(_POLL_S)
    return False


def _die_with_parent() -> None:
    """Also when this process is killed: it could not pass that on."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_both_with_stdin(process: subprocess.Popen[bytes]) -> NoReturn:
    while os.read(0, 4096):
        pass
    process.kill()
    os._exit(0)


def _as_it_ended(status: int) -> int:
    if status < 0:
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status
