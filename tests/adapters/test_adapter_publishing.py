"""Publishing adapters: what is signed, and what is refused before anybody signs it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bbj_desktop.core.errors import FormatError, PublishError
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import Adapter, Release, parse_chunk_index
from bbj_desktop.services.registry.changes import changes_of
from bbj_desktop.services.registry.draft import AdapterDraft, load_draft
from bbj_desktop.services.registry.keys import KeyFolder
from bbj_desktop.services.registry.layout import blob_path
from bbj_desktop.services.registry.publish import Terms, publish, publish_staged
from bbj_desktop.services.registry.staging import Stage
from bbj_desktop.services.registry.verify import verify_mirror
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.adapter_makers import HIDDEN, AdapterMakers
from tests.fakes.adapters import adapter_gguf
from tests.fakes.gguf import Value, tiny_gguf, write_gguf
from tests.fakes.published import PASSPHRASE, unmeasured


def _adapter(release: Release) -> Adapter:
    variant = release.variant("Q4_0_LORA")
    assert variant is not None
    assert variant.adapter is not None
    return variant.adapter


def test_the_base_and_the_adapter_are_both_signed(makers: AdapterMakers) -> None:
    release = makers.publish(makers.draft())
    assert release.format == 2
    assert [part.file.length_bytes for part in release.variants[0].parts] == [
        makers.base.stat().st_size,
        makers.adapter().stat().st_size,
    ]


def test_the_chunks_of_the_adapter_are_signed_too(makers: AdapterMakers) -> None:
    adapter = _adapter(makers.publish(makers.draft()))
    index = parse_chunk_index((makers.publication.folder / blob_path(adapter.chunk_index.digest)).read_bytes())
    assert index.file == adapter.file


def test_what_an_adapter_takes_of_memory_is_read_from_it(makers: AdapterMakers) -> None:
    path = makers.adapter(content=adapter_gguf(makers.base.read_bytes(), rank=8, targets=("attn_q.weight",)))
    adapter = _adapter(makers.publish(makers.draft(adapter=path)))
    assert adapter.rank == 8
    assert adapter.weights_bytes == 2 * (8 * HIDDEN + 8 * HIDDEN) * 4  # two blocks, two matrices each, F32


def test_a_release_may_offer_the_whole_beside_the_adapter(makers: AdapterMakers) -> None:
    release = makers.publish(makers.draft(whole=True))
    assert [(each.quantisation, each.adapter is None) for each in release.variants] == [
        ("Q4_0", True),
        ("Q4_0_LORA", False),
    ]


def test_two_releases_share_the_base_in_the_registry(makers: AdapterMakers) -> None:
    first = makers.publish(makers.draft("2026.1"))
    second = makers.publish(makers.draft("2026.2", makers.adapter(seed=2)))
    assert first.variants[0].file == second.variants[0].file
    assert _adapter(first).file != _adapter(second).file


def test_publishing_the_same_again_changes_nothing(makers: AdapterMakers) -> None:
    first = makers.publish(makers.draft())
    before = sorted(path for path in makers.publication.folder.rglob("*"))
    assert makers.publish(makers.draft()) == first
    assert sorted(path for path in makers.publication.folder.rglob("*")) == before


def test_another_adapter_under_the_same_version_is_refused(makers: AdapterMakers) -> None:
    makers.publish(makers.draft())
    with pytest.raises(PublishError, match="with other content"):
        makers.publish(makers.draft(adapter=makers.adapter(seed=2)))


def test_a_draft_names_its_files_relative_to_itself(makers: AdapterMakers, tmp_path: Path) -> None:
    draft = json.loads(makers.draft().model_dump_json())
    draft["adapters"] = {"Q4_0": {"base": "Basis ä.gguf", "adapter": "lora/adapter.gguf"}}
    path = tmp_path / "Entwurf.json"
    path.write_text(json.dumps(draft), encoding="utf-8")
    assert load_draft(path).adapters == {
        "Q4_0": AdapterDraft(base=tmp_path / "Basis ä.gguf", adapter=tmp_path / "lora" / "adapter.gguf")
    }


def test_a_draft_that_offers_nothing_is_refused(makers: AdapterMakers, tmp_path: Path) -> None:
    path = tmp_path / "draft.json"
    path.write_text(json.dumps(json.loads(makers.draft().model_dump_json()) | {"adapters": {}}), encoding="utf-8")
    with pytest.raises(FormatError, match="neither files nor adapters"):
        load_draft(path)


# -- refused


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"general.type": "model"}, "isn't an adapter: its general.type is 'model'"),
        ({"adapter.type": "control_vector"}, "of type 'control_vector'"),
        ({"adapter.lora.alpha": "strong"}, "doesn't say its adapter.lora.alpha"),
        ({"adapter.lora.alpha": float("inf")}, "doesn't say its adapter.lora.alpha"),
        ({"general.architecture": "qwen2"}, "it is for qwen2, the base is llama"),
        ({"adapter.alora.invocation_tokens": [1, 2]}, "switched on by words of the prompt"),
    ],
)
def test_an_adapter_of_another_kind_is_refused(
    makers: AdapterMakers, metadata: Mapping[str, Value], complaint: str
) -> None:
    path = makers.adapter(content=adapter_gguf(makers.base.read_bytes(), metadata=metadata))
    with pytest.raises(PublishError, match=complaint):
        makers.publish(makers.draft(adapter=path))


def test_an_adapter_for_a_model_of_another_width_is_refused(makers: AdapterMakers) -> None:
    path = makers.adapter(content=adapter_gguf(tiny_gguf(hidden=HIDDEN // 2)))
    with pytest.raises(PublishError, match=r"blk\.0\.attn_q\.weight is 256 x 256, which 128 x 4 and 4 x 128"):
        makers.publish(makers.draft(adapter=path))


def test_an_adapter_for_a_deeper_model_is_refused(makers: AdapterMakers) -> None:
    path = makers.adapter(content=adapter_gguf(tiny_gguf(hidden=HIDDEN, layers=12)))
    with pytest.raises(PublishError, match=r"the base has no blk\.2\.attn_q\.weight.*\(and 5 more\)"):
        makers.publish(makers.draft(adapter=path))


Q = "blk.0.attn_q.weight"


@pytest.mark.parametrize(
    ("shapes", "complaint"),
    [
        ({}, "has no tensors"),
        ({f"{Q}.lora_a": (HIDDEN, 4)}, r"attn_q\.weight\.lora_b is missing"),
        ({f"{Q}.lora_b": (4, HIDDEN)}, r"attn_q\.weight\.lora_a is missing"),
        ({f"{Q}.lora_a": (HIDDEN, 4), f"{Q}.lora_b": (8, HIDDEN)}, "don't make"),
        ({f"{Q}.lora_a": (HIDDEN, 4), f"{Q}.lora_b": (HIDDEN, 4)}, "don't make"),
        ({f"{Q}.lora_a": (HIDDEN,), f"{Q}.lora_b": (HIDDEN,)}, "don't make"),
        ({Q: (HIDDEN, HIDDEN)}, r"neither a \.lora_a nor a \.lora_b"),
    ],
)
def test_matrices_that_dont_belong_together_are_refused(
    makers: AdapterMakers, shapes: dict[str, tuple[int, ...]], complaint: str
) -> None:
    entries: dict[str, Value] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 4.0,
    }
    content = write_gguf(entries, {name: (shape, 0) for name, shape in shapes.items()})
    with pytest.raises(PublishError, match=complaint):
        makers.publish(makers.draft(adapter=makers.adapter(content=content)))


def test_the_embedding_is_changed_by_matrices_that_lie_the_other_way_round(makers: AdapterMakers) -> None:
    shapes = {"token_embd.weight.lora_a": ((4, 32), 0), "token_embd.weight.lora_b": ((4, HIDDEN), 0)}
    entries: dict[str, Value] = {
        "general.architecture": "llama",
        "general.type": "adapter",
        "adapter.type": "lora",
        "adapter.lora.alpha": 4.0,
    }
    path = makers.adapter(content=write_gguf(entries, shapes))
    assert _adapter(makers.publish(makers.draft(adapter=path))).rank == 4


def test_an_adapter_that_is_cut_off_is_refused(makers: AdapterMakers) -> None:
    path = makers.adapter(content=adapter_gguf(makers.base.read_bytes())[:-40])
    with pytest.raises(PublishError, match="is cut off"):
        makers.publish(makers.draft(adapter=path))


def test_a_missing_adapter_is_said(makers: AdapterMakers, tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="can't be read"):
        makers.publish(makers.draft(adapter=tmp_path / "nowhere.gguf"))


def test_an_adapter_among_the_whole_files_is_told_apart(makers: AdapterMakers) -> None:
    draft = makers.draft().model_copy(update={"files": {"Q8_0": makers.adapter()}, "adapters": {}})
    with pytest.raises(PublishError, match="It is an adapter, not a model"):
        makers.publish(draft)


def test_a_base_of_another_shape_than_the_whole_variants_is_refused(makers: AdapterMakers) -> None:
    draft = makers.draft(whole=True)
    draft.files["Q4_0"].write_bytes(tiny_gguf(hidden=HIDDEN * 2))
    with pytest.raises(PublishError, match="aren't the same model"):
        makers.publish(draft)


# -- mirrors


def _verified(makers: AdapterMakers) -> tuple[str, ...]:
    folder = makers.publication.folder
    source = open_source(str(folder), Network())
    found = verify_mirror(source, folder, silent, Cancel(), now=datetime.now(UTC))
    return tuple(problem.path for problem in found.problems)


def test_a_mirror_with_adapters_verifies_as_a_whole(makers: AdapterMakers) -> None:
    makers.publish(makers.draft(whole=True))
    assert _verified(makers) == ()


@pytest.mark.parametrize("part", [0, 1])
def test_a_mirror_with_a_damaged_part_is_found_out(makers: AdapterMakers, part: int) -> None:
    release = makers.publish(makers.draft())
    path = blob_path(release.variants[0].parts[part].file.digest)
    place = makers.publication.folder / path
    content = bytearray(place.read_bytes())
    content[-1] ^= 1
    place.unlink()  # a second name of the makers' own file
    place.write_bytes(content)
    assert _verified(makers) == (path,)


# -- several people


def _staged(makers: AdapterMakers, stage: Path) -> Stage:
    place = makers.publication
    publish(
        place.folder, place.keys, PASSPHRASE, makers.draft(), "stable", silent, Cancel(), measure=unmeasured,
        terms=Terms(stage=stage),
    )  # fmt: skip
    loaded = Stage.load(stage)
    loaded.sign(KeyFolder(place.keys, PASSPHRASE))
    return loaded


def test_who_signs_is_told_of_the_adapter(makers: AdapterMakers, tmp_path: Path) -> None:
    changes = changes_of(_staged(makers, tmp_path / "Übergabe"))
    told = [line for line in changes if "with an adapter" in line]
    assert len(told) == 1
    assert f"{makers.adapter().stat().st_size} bytes" in told[0]


def test_a_stage_isnt_published_without_the_adapter(makers: AdapterMakers, tmp_path: Path) -> None:
    stage = _staged(makers, tmp_path / "Übergabe")
    place = makers.publication
    blob = place.folder / blob_path(f"sha256:{hashlib.sha256(makers.adapter().read_bytes()).hexdigest()}")
    blob.unlink()
    with pytest.raises(PublishError, match=blob.name):
        publish_staged(place.folder, place.keys, PASSPHRASE, stage.folder)
    blob.write_bytes(makers.adapter().read_bytes())
    assert "stable" in publish_staged(place.folder, place.keys, PASSPHRASE, stage.folder)


def test_a_draft_without_a_template_takes_that_of_the_base(makers: AdapterMakers, tmp_path: Path) -> None:
    draft = json.loads(makers.draft().model_dump_json())
    wanted = draft["prompt"].pop("jinja_template")
    path = tmp_path / "Entwurf.json"
    path.write_text(json.dumps(draft), encoding="utf-8")
    assert load_draft(path).prompt.jinja_template == wanted
