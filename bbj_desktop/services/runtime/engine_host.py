"""The process that the embedded engine lives in: llama.cpp's own server, through ``xllamacpp``.

A crash in native code ends this process and nothing else. It is run as a plain file, so it imports nothing of the
program (and starts fast).

What is said between the two processes, a JSON object a line:

- to the host on stdin, once: ``HostConfig``, with the key. Command lines and environments can be read by others.
- from the host on stdout, once: ``{"ready": true, "address": "http://127.0.0.1:PORT"}`` or
  ``{"ready": false, "missing": bool, "error": "…"}``. Everything else that native code prints goes to stderr, which is
  the engine's log.

The host ends when its stdin does: that happens also when the program is killed, on every system, and costs nothing.
(Linux's parent-death signal would come when the *thread* that started the host ends.)
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

HOST_ARGUMENT = "--engine-host"
"""What a frozen program is started with to become this host."""

MODEL_ALIAS = "bbj-desktop"
"""What answers call the model; by itself the engine gives the path of its file away."""

HTTP_THREADS = 128
"""Of the engine's server: more than there can be requests at once (of clients and behind the gateway). Each takes one,
also while it waits for its turn, and by default there are so few that nobody would be left to say that all is well."""

_FAILED = 3  # exit status


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What the engine is started with.

    Attributes:
        model: Path of the GGUF.
        context_length: Tokens.
        chat_template: Jinja; empty takes the GGUF's own.
        threads: For decoding and prefill.
        key: Asked for in every request.
        adapter: Path of a LoRA adapter over the model; empty for none.
        program: ``built-in``, ``llama-server`` or ``llama-cpp-python``.
        executable: Path of ``llama-server``; empty takes the one on the search path.
    """

    model: str
    context_length: int
    chat_template: str
    threads: int
    key: str
    adapter: str = ""
    program: str = "built-in"
    executable: str = ""

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str) -> HostConfig:
        return cls(**json.loads(line))


def engine_host_command() -> list[str]:
    """The command that starts a host. ``-P`` keeps this folder, and whatever lies in the current one, out of its
    imports."""
    if getattr(sys, "frozen", False):
        return [sys.executable, HOST_ARGUMENT]
    return [sys.executable, "-P", str(Path(__file__).resolve())]


def main() -> int:
    """Runs the host until its stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C stops an answer, which is the program's business
    answers = _own_stdout()
    line = sys.stdin.readline()
    if not line:
        return 0
    config = HostConfig.from_line(line)
    if config.program == "llama-server":
        from bbj_desktop.services.runtime.engine_executable import run_executable

        return run_executable(config, answers)
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    try:
        held, address = _start(config)
    except ImportError as error:
        return fail(answers, str(error), missing=True)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        return fail(answers, str(error), missing=False)
    say(answers, {"ready": True, "address": address})
    threading.Event().wait()
    del held
    return 0


def _start(config: HostConfig) -> tuple[object, str]:
    """Loads the model and begins to listen. Returns what must be held for that, and the address."""
    if config.program == "llama-cpp-python":
        from bbj_desktop.services.runtime.engine_binding import Binding, serve

        binding = Binding(config.model, config.context_length, config.chat_template, config.threads, config.adapter)
        return binding, serve(binding, config.key)
    import xllamacpp

    server = xllamacpp.Server(_parameters(xllamacpp, config))
    return server, server.listening_address


def _own_stdout() -> TextIO:
    """Takes stdout for the answers and gives everybody else stderr instead."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def say(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def fail(answers: TextIO, text: str, *, missing: bool) -> int:
    say(answers, {"ready": False, "missing": missing, "error": text})
    return _FAILED


def _end_with_stdin() -> NoReturn:
    while os.read(0, 4096):  # not through sys.stdin, whose lock would be missed at an orderly end
        pass
    os._exit(0)  # native threads may be busy; nothing here needs tidying up


def _parameters(xllamacpp: Any, config: HostConfig) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = config.model
    parameters.n_ctx = config.context_length
    parameters.n_parallel = 1
    if config.adapter:
        parameters.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(config.adapter, 1.0)]
    parameters.cpuparams.n_threads = config.threads
    parameters.cpuparams_batch.n_threads = config.threads
    if config.chat_template:
        parameters.chat_template = config.chat_template
    parameters.model_alias = [MODEL_ALIAS]
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0
    parameters.n_threads_http = HTTP_THREADS
    # A web page must not reach the model. By itself this server lets every Origin read its answers and allows
    # credentials; the key is what keeps pages out, and without these two a browser doesn't even show them the refusal.
    parameters.api_keys = [config.key]
    parameters.cors_origins, parameters.cors_origins_explicit = "", True
    parameters.cors_credentials = False
    parameters.ui = False
    parameters.endpoint_slots = False  # it would show prompts
    parameters.offline = True
    parameters.cache_ram_mib = 0  # the default keeps up to 8 GiB of old prompts, which no fit counts on
    parameters.cache_idle_slots = False  # wants that memory, and complains without it
    parameters.fit_params = sys.platform == "darwin"  # how much goes to the GPU; without one it only costs time
    return parameters


if __name__ == "__main__":
    sys.exit(main())
