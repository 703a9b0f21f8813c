"""Whether the program that the embedded engine is can be had here, without running it."""

from __future__ import annotations

import importlib.metadata
import shutil
from pathlib import Path

from bbj_desktop.services.runtime.engine import INSTALL_COMMAND, EngineProgram

LLAMA_CPP_INSTALL = "pip install llama-cpp-python"
"""It is compiled on the spot, so no extra of ours names it."""


def engine_version(program: EngineProgram) -> tuple[str | None, str]:
    """Version of the engine, and why it can't be used; empty when it can. Looked up without importing it: native code
    isn't loaded into this process."""
    if program.name == "llama-server":
        return None, _why_no_executable(program.executable)
    package = "xllamacpp" if program.name == "built-in" else "llama_cpp_python"
    try:
        return importlib.metadata.version(package), ""
    except importlib.metadata.PackageNotFoundError:
        pass
    if program.name == "built-in":
        return None, f"The embedded engine isn't installed: {INSTALL_COMMAND}"
    return None, (
        f"llama-cpp-python isn't installed: {LLAMA_CPP_INSTALL} (it needs a C++ compiler and some minutes), or set "
        "engine to built-in."
    )


def _why_no_executable(executable: Path | None) -> str:
    if executable is None:
        found = shutil.which("llama-server")
        return "" if found else "There is no llama-server on the search path: name its file in llama_server."
    return "" if executable.is_file() else f"There is no llama-server at {executable}: correct llama_server."
