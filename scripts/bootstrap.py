"""Sets up this clone: an environment in it, with exactly the locked packages, and the project.

Standard library only; used by ``scripts/demo.py``, ``scripts/test.py`` and ``scripts/freeze.py``. Everything that it
writes lies in the clone (system packages excepted, where it may install them). A second run finds the stamp of the
first and goes straight on. Interrupted at any point, the same command goes on where it stopped. The Windows and macOS
branches were never run.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from scripts import system_libraries
from scripts.system_libraries import SetUpError

ROOT = Path(__file__).resolve().parent.parent
MARK = "made-by-bbj-desktop"  # in an environment that may be made anew when it no longer works
# Settings of the caller's that would send packages elsewhere, or other packages in.
FOREIGN = ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_REQUIRE_VIRTUALENV")


@dataclass(frozen=True)
class Recipe:
    """What one command needs.

    Attributes:
        name: Of the command and of its stamp.
        locks: Files in ``requirements/``, installed with their dependencies, which they list all.
        bare: Files in ``requirements/`` that are installed without what they depend on.
        system: Debian package -> what to look for.
        module: Run by ``python -m`` when all is there.
        environment: The folder in the clone that all is installed in.
    """

    name: str
    locks: tuple[str, ...]
    bare: tuple[str, ...]
    system: dict[str, str]
    module: tuple[str, ...]
    environment: str = ".venv"


# In a folder of the clone: killed at a bad moment, it leaves nothing elsewhere either.
_DEMO_COMMAND = ("bbj_desktop", "demo", "--folder", ".bbj-demo")
DEMO = Recipe("demo", ("demo.txt",), ("model.txt",), system_libraries.DEMO, _DEMO_COMMAND)
TESTS = Recipe("test", ("dev.txt",), ("model.txt",), system_libraries.TESTS, ("pytest",))
# In an environment of its own: the packaged program gets nothing that happens to be there for the tests.
FREEZE = Recipe(
    "freeze",
    ("freeze.txt",),
    (),
    system_libraries.FREEZE,
    ("PyInstaller", "--noconfirm", "--log-level=WARN", "build.spec"),
    environment=".venv-freeze",
)


def environment_python(environment: Path, platform: str = sys.platform) -> Path:
    """The interpreter of a virtual environment."""
    return environment / ("Scripts/python.exe" if platform == "win32" else "bin/python")


def fingerprint(root: Path, recipe: Recipe) -> str:
    """Digest of all that decides what is installed: locks, project, system packages, place and interpreter."""
    digest = hashlib.sha256(json.dumps([str(root), sys.version, recipe.locks, recipe.bare, recipe.system]).encode())
    names = [f"requirements/{name}" for name in (*recipe.locks, *recipe.bare)]
    for name in (*names, "pyproject.toml", "bbj_desktop/__init__.py"):
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def stamp_of(environment: Path, recipe: Recipe) -> Path:
    return environment / f"bbj-desktop-{recipe.name}.stamp"


def is_ready(root: Path, environment: Path, recipe: Recipe) -> bool:
    """Whether an earlier run finished installing exactly this."""
    stamp = stamp_of(environment, recipe)
    if not stamp.is_file() or not environment_python(environment).exists():
        return False
    return stamp.read_text(encoding="ascii") == fingerprint(root, recipe)


def clean_environment(work: Path) -> dict[str, str]:
    """This process's environment for pip: the caller's network settings stay, and all files go below ``work``."""
    kept = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    places = {"PIP_CACHE_DIR": str(work / "cache"), **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(work / "tmp"))}
    # WORKAROUND: pip (pypa/pip, network/session.py) asks rustc for its version; under rustup, that writes to the home.
    places["RUSTUP_HOME"] = str(work / "rustup")
    return {**kept, **places, "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def venv_package() -> tuple[str, ...]:
    """What is missing for making environments: Debian and Ubuntu split that off Python."""
    if importlib.util.find_spec("ensurepip") and importlib.util.find_spec("venv"):
        return ()
    return (f"python{sys.version_info.major}.{sys.version_info.minor}-venv",)


def works(python: Path) -> bool:
    """Whether an environment's interpreter runs, is new enough and has pip."""
    probe = [str(python), "-c", "import pip, sys; sys.exit(sys.version_info < (3, 11))"]
    return python.exists() and subprocess.run(probe, check=False, stderr=subprocess.DEVNULL).returncode == 0


def make_environment(environment: Path, work: Path) -> Path:
    """Makes the environment if it isn't there, or if ours no longer works.

    Returns:
        Its interpreter.

    Raises:
        SetUpError: It can't be made.
    """
    python = environment_python(environment)
    if works(python):
        return python
    mark = environment / MARK
    if environment.exists():
        if not mark.exists():
            raise SetUpError(f"{environment} is there, but is no environment with pip and Python 3.11 or newer.\n"
                             "Move it away or delete it, then type the same line again.")  # fmt: skip
        shutil.rmtree(environment)
    environment.mkdir()
    mark.touch()
    command = [sys.executable, "-m", "venv", str(environment)]
    if subprocess.run(command, check=False, env=clean_environment(work)).returncode != 0:
        raise SetUpError(f"The environment {environment} could not be made (the message is above).")
    return python


def pip_install(python: Path, root: Path, work: Path, words: list[str], what: str) -> None:
    """Calls pip, and says how long it took.

    Raises:
        SetUpError: pip failed; its own message is on the terminal.
    """
    print(f"Installing {what} …", end=" ", flush=True)
    start = time.monotonic()
    command = [str(python), "-m", "pip", "install", "--quiet", *words]
    done = subprocess.run(command, cwd=root, env=clean_environment(work), stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise SetUpError(
            f"pip could not install {what} (its message is above).\n"
            "If that was the network: is HTTPS_PROXY set where one is needed? "
            "What was fetched is kept; type the same line again to go on."
        )
    print(f"{time.monotonic() - start:.0f} s", flush=True)


def install(root: Path, environment: Path, recipe: Recipe) -> None:
    """Brings the environment to what the recipe asks for, and stamps it.

    Raises:
        SetUpError: Something is missing, and can't be had from here.
    """
    missing = (*venv_package(), *system_libraries.missing(recipe.system))
    system_libraries.ensure(missing, f"scripts/{recipe.name}.py", allowed=system_libraries.may_install())
    work = environment.with_name(f"{environment.name}-downloads")
    (work / "tmp").mkdir(parents=True, exist_ok=True)
    python = make_environment(environment, work)
    hashed = ["--require-hashes", "--only-binary", ":all:"]
    for name in recipe.locks:
        pip_install(python, root, work, [*hashed, "-r", f"requirements/{name}"], f"requirements/{name}")
    for name in recipe.bare:
        pip_install(python, root, work, [*hashed, "--no-deps", "-r", f"requirements/{name}"], f"requirements/{name}")
    pip_install(python, root, work, ["--no-deps", "--no-build-isolation", "-e", "."], "bbj-desktop itself")
    stamp_of(environment, recipe).write_text(fingerprint(root, recipe), encoding="ascii")
    shutil.rmtree(work)


def hand_over(command: list[str], root: Path) -> NoReturn:
    """Becomes the command, so that signals and the exit code are its own."""
    os.chdir(root)
    for name in FOREIGN:
        os.environ.pop(name, None)
    if os.name == "nt":
        # There exec would return to the shell at once; Ctrl-C is the child's to answer.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        sys.exit(subprocess.run(command, check=False).returncode)
    os.execv(command[0], command)  # noqa: S606 - a fixed program with a list of arguments, no shell


def run(recipe: Recipe, arguments: list[str]) -> NoReturn:
    """Sets up what is missing, then runs the recipe's module with further arguments."""
    environment = ROOT / recipe.environment
    try:
        if not is_ready(ROOT, environment, recipe):
            install(ROOT, environment, recipe)
    except SetUpError as error:
        sys.exit(f"\n{error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. Type the same line again to go on.")
    hand_over([str(environment_python(environment)), "-m", *recipe.module, *arguments], ROOT)
