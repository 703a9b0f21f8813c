"""Set-up of a fresh clone. The whole of it runs in CI, in a real fresh clone; here are its decisions and refusals."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import bootstrap, system_libraries
from scripts.bootstrap import ROOT, Recipe
from scripts.system_libraries import SetUpError

RECIPE = Recipe("demo", ("demo.txt",), ("model.txt",), {}, ("bbj_desktop", "demo"))
SCRIPTS = ("demo.py", "test.py", "freeze.py")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone's files that decide what is installed, in a place with an awkward name."""
    root = tmp_path / "mein Klön"
    (root / "requirements").mkdir(parents=True)
    (root / "bbj_desktop").mkdir()
    for name in ("requirements/demo.txt", "requirements/model.txt", "pyproject.toml", "bbj_desktop/__init__.py"):
        (root / name).write_text(name)
    return root


def make_ready(clone: Path) -> Path:
    """An environment that looks finished to `is_ready`."""
    environment = clone / ".venv"
    python = bootstrap.environment_python(environment)
    python.parent.mkdir(parents=True)
    python.touch()
    bootstrap.stamp_of(environment, RECIPE).write_text(bootstrap.fingerprint(clone, RECIPE))
    return environment


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_is_told_what_to_type(script: str) -> None:
    path = ROOT / "scripts" / script
    pretend = (
        "import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); sys.version = '3.9.2 (old)'; "
        f"runpy.run_path({str(path)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", pretend], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Python 3.11 or newer, this is 3.9.2." in done.stderr
    assert f"python3.12 scripts/{script}" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_an_old_python_can_read_the_script_that_refuses_it(script: str) -> None:
    ast.parse((ROOT / "scripts" / script).read_text(encoding="utf-8"), feature_version=(3, 7))


def test_a_finished_environment_is_taken_as_it_is(clone: Path) -> None:
    assert bootstrap.is_ready(clone, make_ready(clone), RECIPE)


def test_a_fresh_clone_is_not_ready(clone: Path) -> None:
    assert not bootstrap.is_ready(clone, clone / ".venv", RECIPE)


@pytest.mark.parametrize("changed", ["requirements/demo.txt", "requirements/model.txt", "pyproject.toml"])
def test_what_decides_the_installation_asks_for_it_again(clone: Path, changed: str) -> None:
    environment = make_ready(clone)
    (clone / changed).write_text("something else")
    assert not bootstrap.is_ready(clone, environment, RECIPE)


def test_a_moved_clone_is_set_up_again(clone: Path) -> None:
    make_ready(clone)
    moved = clone.rename(clone.with_name("elsewhere"))
    assert not bootstrap.is_ready(moved, moved / ".venv", RECIPE)


def test_an_environment_without_its_interpreter_is_not_ready(clone: Path) -> None:
    environment = make_ready(clone)
    bootstrap.environment_python(environment).unlink()
    assert not bootstrap.is_ready(clone, environment, RECIPE)


def test_the_demo_s_stamp_says_nothing_about_the_tests(clone: Path) -> None:
    environment = make_ready(clone)
    (clone / "requirements/dev.txt").write_text("more")
    assert not bootstrap.is_ready(clone, environment, bootstrap.TESTS)


def test_windows_keeps_its_interpreter_elsewhere() -> None:
    assert bootstrap.environment_python(Path("e"), "win32") == Path("e/Scripts/python.exe")
    assert bootstrap.environment_python(Path("e"), "darwin") == Path("e/bin/python")


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    environment = tmp_path / ".venv"
    environment.mkdir()
    (environment / "precious.txt").write_text("mine")
    with pytest.raises(SetUpError, match="Move it away"):
        bootstrap.make_environment(environment, tmp_path / "work")
    assert (environment / "precious.txt").read_text() == "mine"


def test_an_environment_of_ours_that_broke_is_made_anew(tmp_path: Path) -> None:
    environment = tmp_path / ".vénv"
    environment.mkdir()
    (environment / bootstrap.MARK).touch()
    (environment / "half a file").touch()
    (tmp_path / "work" / "tmp").mkdir(parents=True)
    python = bootstrap.make_environment(environment, tmp_path / "work")
    assert bootstrap.works(python)
    assert not (environment / "half a file").exists()


def test_pip_keeps_to_the_clone_and_to_the_caller_s_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment = bootstrap.clean_environment(tmp_path)
    assert "PIP_TARGET" not in environment
    assert "PYTHONPATH" not in environment
    assert environment["HTTPS_PROXY"] == "http://proxy.example:3128"
    assert {Path(environment[name]).parent for name in ("PIP_CACHE_DIR", "TMPDIR", "TEMP", "TMP")} == {tmp_path}


def test_a_failed_installation_says_how_to_go_on(tmp_path: Path) -> None:
    (tmp_path / "tmp").mkdir()
    words = ["--no-index", "bbj-no-such-package"]
    with pytest.raises(SetUpError, match="could not install the packages") as caught:
        bootstrap.pip_install(Path(sys.executable), ROOT, tmp_path, words, "the packages")
    assert "type the same line again" in str(caught.value)


def test_debian_without_venv_gets_the_exact_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(system_libraries, "may_install", lambda: False)
    with pytest.raises(SetUpError) as caught:
        bootstrap.install(ROOT, tmp_path / ".venv", RECIPE)
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    assert f"sudo apt-get install -y {package}" in str(caught.value)


def test_a_python_that_makes_environments_needs_no_package() -> None:
    assert bootstrap.venv_package() == ()


@pytest.mark.skipif(sys.platform == "win32", reason="needs exec: Windows waits for the child instead")
def test_the_exit_code_and_arguments_are_the_command_s_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os, sys; print(sys.argv[1:], os.getcwd()); sys.exit(7)", "zwei Wörter"]
    call = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from pathlib import Path; "
        f"from scripts.bootstrap import hand_over; hand_over({command!r}, Path({str(tmp_path)!r}))"
    )
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", call], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 7
    assert done.stdout.strip() == f"['zwei Wörter'] {tmp_path}"
