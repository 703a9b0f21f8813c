"""What a root says before it is trusted."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, NotFoundError, SignatureError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.resources import resource
from bbj_desktop.services.registry import root as roots
from bbj_desktop.services.registry.root import describe_root, fetch_root, packaged_root
from tests.fakes.registry import RegistrySimulator


def test_the_identity_is_what_sha256sum_says_of_the_file(simulator: RegistrySimulator) -> None:
    description = describe_root(simulator.initial_root)
    assert description.identity == f"sha256:{hashlib.sha256(simulator.initial_root).hexdigest()}"


def test_the_fingerprint_comes_in_groups_of_four(simulator: RegistrySimulator) -> None:
    description = describe_root(simulator.initial_root)
    groups = description.fingerprint.split(" ")
    assert [len(group) for group in groups] == [4] * 16
    assert "sha256:" + "".join(groups) == description.identity


def test_roles_are_shown_with_their_thresholds(simulator: RegistrySimulator) -> None:
    description = describe_root(simulator.initial_root)
    assert {role.name: (role.threshold, len(role.keys)) for role in description.roles} == {
        "root": (2, 2),
        "targets": (2, 2),
        "snapshot": (1, 1),
        "timestamp": (1, 1),
    }


def test_a_root_with_too_few_of_its_own_signatures_is_refused(simulator: RegistrySimulator) -> None:
    raw = json.loads(simulator.initial_root)
    raw["signatures"].pop()
    with pytest.raises(SignatureError, match="1/2"):
        describe_root(json.dumps(raw).encode())


def test_a_changed_root_is_refused(simulator: RegistrySimulator) -> None:
    with pytest.raises(SignatureError):
        describe_root(simulator.initial_root.replace(b'"threshold":2', b'"threshold":1'))


@pytest.mark.parametrize("data", [b"", b"<html></html>", b"{}", b"[1]", b"\xff\xfe"])
def test_what_is_no_root_is_said(data: bytes) -> None:
    with pytest.raises(FormatError, match="root"):
        describe_root(data)


def test_other_metadata_is_no_root(simulator: RegistrySimulator) -> None:
    with pytest.raises(FormatError, match="not a root"):
        describe_root(simulator.content("metadata/timestamp.json"))


def test_the_first_root_can_be_fetched_for_comparing(simulator: RegistrySimulator) -> None:
    simulator.rotate("root")
    assert fetch_root(simulator, Cancel()) == simulator.initial_root


def test_this_repository_ships_no_root_and_says_so() -> None:
    assert packaged_root() is None
    assert "ships no registry" in resource("trust/README.md").read_text(encoding="utf-8")


def test_a_packaged_build_brings_its_registry(
    simulator: RegistrySimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def elsewhere(name: str) -> Path:
        if not (tmp_path / name).exists():
            raise NotFoundError(name)
        return tmp_path / name

    monkeypatch.setattr(roots, "resource", elsewhere)
    (tmp_path / "trust").mkdir()
    (tmp_path / "trust" / "registry.json").write_text('{"format": 1, "address": "https://models.example"}')
    (tmp_path / "trust" / "root.json").write_bytes(simulator.initial_root)
    assert packaged_root() == ("https://models.example", simulator.initial_root)
    shutil.rmtree(tmp_path / "trust")
    assert packaged_root() is None
