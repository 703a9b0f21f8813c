"""What answers taught is remembered, and stands in place of estimates."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.engines import EngineName, RuntimeStatus
from bbj_desktop.core.fit import Graph, cpu_need, predicted_bytes
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.measuring import (
    KEPT,
    MOST_CORRECTION,
    Learned,
    Measurement,
    correction_from,
    measurement_of,
    speed_from,
    split_remark,
)
from bbj_desktop.core.recommend import judge, recommend
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.services import measurements as service
from bbj_desktop.services.measurements import Measurements, machine_at, this_machine
from tests.fakes.catalogue import offering, standard_tiers
from tests.fakes.installed import installed
from tests.fakes.machines import EMBEDDED, OLLAMA, machine, nvidia

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
GIB = 2**30


def _measurement(number: int = 0, **changes: Any) -> Measurement:
    fields: dict[str, Any] = {
        "at": NOW + timedelta(minutes=number),
        "machine": "here",
        "key": "bbj-coder:2026.1-7b-q4_k_m",
        "digest": "sha256:" + "1" * 64,
        "engine": "embedded",
        "context_length": 4096,
        "ttft_s": 0.5,
        "answer_tokens": 100,
        "decode_tokens_per_s": 28.0,
        "prefill_tokens_per_s": 200.0,
        "stop_reason": "stop",
    }
    return Measurement(**{**fields, **changes})


# -- what follows from them


def test_a_speed_is_the_middle_of_what_was_measured() -> None:
    speed = speed_from([_measurement(rate, decode_tokens_per_s=float(rate)) for rate in (10, 28, 30, 29, 27)])
    assert speed is not None
    assert speed.text == "measured here: 28 tokens/s on 2026-11-22, n=5"
    assert (speed.low, speed.high) == (27, 29)


def test_one_answer_is_enough_and_a_short_one_says_nothing() -> None:
    assert speed_from([_measurement(answer_tokens=3)]) is None
    speed = speed_from([_measurement()])
    assert speed is not None
    assert speed.low == speed.high == 28


def test_only_the_latest_count() -> None:
    old = [_measurement(decode_tokens_per_s=1.0)] * 50
    speed = speed_from([*old, *[_measurement(decode_tokens_per_s=9.0)] * KEPT])
    assert speed is not None
    assert speed.tokens_per_s == 9


def test_memory_that_was_underestimated_is_corrected_within_bounds() -> None:
    slightly, hugely, less = 1100, 90_000, 500
    assert _correction(slightly) == pytest.approx(1.1)
    assert _correction(hugely) == MOST_CORRECTION
    assert _correction(less) is None


def _correction(used: int) -> float | None:
    found = correction_from([_measurement(predicted_bytes=1000, used_bytes=used)])
    return None if found is None else found.factor


def test_a_split_model_is_explained() -> None:
    text = split_remark("bbj-coder:7b", 6 * GIB, 3 * GIB)
    assert "50 % of bbj-coder:7b on the processor" in text
    assert "shorter context" in text
    assert split_remark("bbj-coder:7b", 6 * GIB, 6 * GIB) == ""
    assert split_remark("bbj-coder:7b", 6 * GIB, 0) == ""


# -- in the recommendation


def _judged(
    learned: Learned, profile: HardwareProfile, runtimes: tuple[RuntimeStatus, ...] = (EMBEDDED,), length: int = 8192
) -> Candidate:
    offer = next(each for each in offering().offers if each.release.size == "7b" and each.release.role is Role.CHAT)
    variant = offer.release.variants[0]
    return judge(
        profile,
        offer,
        variant,
        runtimes,
        context_length=length,
        runtime=None,
        tiers=standard_tiers(),
        learned=learned,
    )


def _digest() -> str:
    return _judged(Learned(), machine(32)).variant.own_file.digest


def test_a_measured_speed_stands_in_place_of_the_estimate() -> None:
    learned = Learned((_measurement(digest=_digest()),) * 5, {"embedded": "here"})
    candidate = _judged(learned, machine(32))
    assert candidate.expectation.tokens_per_s == pytest.approx((28, 28))
    assert candidate.expectation.ttft_2000_s[0] == pytest.approx(10, abs=0.1)
    (expected,) = [reason for reason in candidate.reasons if reason.code == "expect"]
    assert "measured here: 28 tokens/s on 2026-11-22, n=5" in expected.text


@pytest.mark.parametrize("change", [{"machine": "elsewhere"}, {"engine": "ollama"}, {"digest": "sha256:" + "2" * 64}])
def test_what_was_measured_elsewhere_or_of_something_else_doesnt_count(change: dict[str, Any]) -> None:
    learned = Learned((_measurement(0, **{"digest": _digest(), **change}),), {"embedded": "here", "ollama": "here"})
    assert _judged(learned, machine(32)).expectation == _judged(Learned(), machine(32)).expectation


def test_more_memory_than_predicted_shortens_the_context() -> None:
    learned = Learned((_measurement(predicted_bytes=1000, used_bytes=1400),), {"embedded": "here"})
    profile = machine(8)
    wishes = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_K_M", context_length=16384)

    def chosen(knowing: Learned) -> Candidate:
        found = recommend(profile, offering(), (EMBEDDED,), wishes, tiers=standard_tiers(), learned=knowing)
        role = found.for_role(Role.CHAT)
        assert role is not None
        return role.choice or role.others[0]

    before, after = chosen(Learned()), chosen(learned)
    assert after.fit.context_length < before.fit.context_length or not after.fit.fits
    (reason,) = [reason for reason in after.reasons if reason.code == "memory_corrected"]
    assert "40 % more than computed" in reason.text
    assert "n=1" in reason.text


def test_a_correction_may_move_a_model_off_the_graphics_card() -> None:
    card = machine(32, nvidia("NVIDIA GeForce RTX 4060", 8))
    learned = Learned(
        (_measurement(engine="ollama", predicted_bytes=1000, used_bytes=1500),), {"ollama": "here", "embedded": "here"}
    )
    before, after = (_judged(each, card, (OLLAMA,), 4096).fit for each in (Learned(), learned))
    assert before.vram is not None
    assert after.vram is None or after.gpu_layers <= before.gpu_layers
    assert after.ram.total_bytes + (after.vram.total_bytes if after.vram else 0) > before.vram.total_bytes


# -- in their file


def test_what_is_added_can_be_read_again(tmp_path: Path) -> None:
    kept = Measurements(tmp_path / "Gelernt ä")
    kept.add(_measurement(1))
    kept.add(_measurement(2))
    assert kept.read() == (_measurement(1), _measurement(2))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\x00\xff\xfe",
        b"{",
        b"[]\n",
        b'{"format": 1}\n',
        b'{"format": 99, "at": "2030"}\n',
        b"9" * 100_000,
        b"\n\n",
    ],
)
def test_garbage_in_the_file_costs_nothing_else(tmp_path: Path, garbage: bytes) -> None:
    kept = Measurements(tmp_path)
    kept.add(_measurement(1))
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(garbage)
    kept.add(_measurement(2))
    assert kept.read() == (_measurement(1), _measurement(2))


def test_impossible_numbers_are_garbage(tmp_path: Path) -> None:
    line = json.loads(_measurement().model_dump_json())
    for name, value in (("decode_tokens_per_s", -1), ("used_bytes", 2**70), ("ttft_s", 1e300)):
        (tmp_path / "answers.jsonl").write_text(json.dumps(line | {name: value}) + "\n", encoding="utf-8")
        assert Measurements(tmp_path).read() == ()


def test_the_oldest_format_is_read(tmp_path: Path) -> None:
    line = (
        '{"format":1,"at":"2026-11-22T12:00:00Z","machine":"here","key":"bbj-coder:2026.1-7b-q4_k_m",'
        f'"digest":"sha256:{"1" * 64}","engine":"embedded","context_length":4096,"ttft_s":0.5,'
        '"prefill_tokens_per_s":200.0,"answer_tokens":100,"decode_tokens_per_s":28.0,"stop_reason":"stop"}\n'
    )
    (tmp_path / "answers.jsonl").write_text(line, encoding="utf-8")
    assert Measurements(tmp_path).read() == (_measurement(),)


def test_the_file_stays_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_BYTES", 16_000)
    kept = Measurements(tmp_path)
    for number in range(120):
        kept.add(_measurement(number))
    other = _measurement(0, digest="sha256:" + "2" * 64)
    kept.add(other)
    assert (tmp_path / "answers.jsonl").stat().st_size <= 16_000 + 400
    assert kept.read()[-2:] == (_measurement(119), other)


def test_several_writers_lose_nothing(tmp_path: Path) -> None:
    def write(first: int) -> None:
        for number in range(first, first + 10):
            Measurements(tmp_path).add(_measurement(number))

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 10, 20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(Measurements(tmp_path).read()) == 30


def test_a_machine_is_named_without_telling_which() -> None:
    assert this_machine() == this_machine() != machine_at("http://gpu.example:11434")
    assert len(this_machine()) == 16


# -- how one comes about


def test_an_answer_without_speeds_is_a_measurement_too(tmp_path: Path) -> None:
    gguf = tmp_path / "Modell.gguf"
    gguf.write_bytes(b"GGUF")
    numbers = Statistics(ttft_s=0.1, answer_tokens=0, prefill_tokens_per_s=0.0, total_s=1, stop_reason="cancelled")
    measurement = measurement_of(installed(gguf), numbers, at=NOW, machine="here", engine="ollama")
    assert measurement.prefill_tokens_per_s is None
    assert measurement.digest == installed(gguf).variant.file.digest


def test_a_prediction_counts_as_the_engine_counts(tmp_path: Path) -> None:
    gguf = tmp_path / "Modell.gguf"
    gguf.write_bytes(b"GGUF")
    pairs: tuple[tuple[EngineName, Graph], ...] = (("ollama", Graph.LIBRARY), ("embedded", Graph.SERVER))
    for engine, graph in pairs:
        need, _ = cpu_need(installed(gguf).variant, 512, graph=graph)
        process = need.overhead_bytes if engine == "ollama" else 0  # which /api/ps leaves out
        assert predicted_bytes(installed(gguf), engine) == need.total_bytes - process
