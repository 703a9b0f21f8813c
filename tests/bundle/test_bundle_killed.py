"""Exports and imports that are killed in the middle: the next run ends them, and what was done isn't done again."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from bbj_desktop.services.registry.bundle import BUNDLE_FILE, VOLUME_FILE
from bbj_desktop.services.registry.root import identity_of
from tests.bundle.conftest import Desk
from tests.fakes.published import Publication

_CHILD = """
import os, signal, sys
from bbj_desktop.cli.main import run
from bbj_desktop.services.store.disk import Disk

left, write = int(sys.argv[1]), Disk.write

def dying(disk, path, file, offset, content):
    global left
    left -= 1
    if left == 0:
        write(disk, path, file, offset, content[: len(content) // 2])
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    write(disk, path, file, offset, content)

Disk.write = dying
sys.exit(run(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        result: Its JSON result; empty when it was killed.
    """

    killed: bool
    result: dict[str, object]
    said: str


def _run(data: Path, *arguments: str | Path, writes: int = 0) -> Ended:
    """The command line in a process of its own; killed in the middle of its write number ``writes``."""
    words = [str(word) for word in ("--data", data, "--json", *arguments)]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, str(writes), *words], capture_output=True, text=True, check=False, timeout=60
    )
    result = json.loads(done.stdout).get("result", {}) if done.stdout else {}
    return Ended(done.returncode not in (0, 21), result, done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("volumes", "writes"),
    [(None, 20), (None, 40), ("12MB", 2), ("12MB", 12)],
)
def test_a_killed_export_is_taken_up(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication, volumes: str | None, writes: int
) -> None:
    data = staff.context.paths.data
    command: list[str | Path] = ["bundle", "export", stick, "7b"]
    if volumes is not None:
        command += ["--volume-size", volumes]
    assert _run(data, *command, writes=writes).killed
    assert not list(stick.rglob(BUNDLE_FILE)) or volumes
    done = _run(data, *command)
    assert not done.killed, done.said
    assert hospital.import_(stick, root=publication.root).models[0].whole
    assert list(stick.rglob("*.writing")) == list(stick.rglob("*.part")) == list(stick.rglob("*.new")) == []
    assert len(list(stick.rglob(VOLUME_FILE))) == (2 if volumes else 0)


def test_a_killed_export_fetches_only_what_it_hadnt_verified(staff: Desk, stick: Path) -> None:
    data = staff.context.paths.data
    assert _run(data, "bundle", "export", stick, "7b", writes=30).killed
    result = _run(data, "bundle", "export", stick, "7b").result
    assert 0 < int(str(result["fetched_bytes"])) < int(str(result["size_bytes"]))


@pytest.mark.parametrize("writes", [8, 25])
def test_a_killed_import_is_taken_up(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication, writes: int
) -> None:
    staff.export(stick)
    command = ("bundle", "import", stick, "--fingerprint", identity_of(publication.root))
    data = hospital.context.paths.data
    assert _run(data, *command, writes=writes).killed
    done = _run(data, *command)
    assert not done.killed, done.said
    (model,) = hospital.import_(stick).models
    assert f"sha256:{hashlib.sha256(hospital.blob(model.digest).read_bytes()).hexdigest()}" == model.digest


def test_a_volume_whose_import_was_killed_is_imported_again_with_the_others(
    staff: Desk, hospital: Desk, stick: Path, publication: Publication
) -> None:
    staff.export(stick, volume_bytes=12 * 2**20)
    data, fingerprint = hospital.context.paths.data, identity_of(publication.root)
    second = ("bundle", "import", stick / "volume-2", "--fingerprint", fingerprint)
    assert _run(data, *second, writes=16).killed
    assert not _run(data, *second).killed
    assert hospital.import_(stick / "volume-1").models[0].whole
