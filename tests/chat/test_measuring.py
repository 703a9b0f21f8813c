"""What answers taught is remembered, and stands in place of estimates."""

from __future__ import annotations

import json
import logging
import re
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
)
from bbj_desktop.core.recommend import judge, recommend
from bbj_desktop.core.recommendation import Candidate, Placement, Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.core.splitting import split_remark
from bbj_desktop.core.versions import InstalledVersion
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
        "prefill_tokens": 100,
        "prefill_tokens_per_s": 200.0,
        "stop_reason": "stop",
    }
    return Measurement(**{**fields, **changes})


# -- what follows from them


def test_a_speed_is_the_middle_of_what_was_measured() -> None:
    speed = speed_from([_measurement(rate, decode_tokens_per_s=float(rate)) for rate in (10, 28, 30, 29, 27)])
    assert speed is not None
    assert speed.text == "measured here: 28.5 tokens/s on 2026-11-22, n=4"
    assert (speed.low, speed.high) == (27.75, 29.25)


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


def test_an_answer_of_a_busy_machine_is_set_aside() -> None:
    speed = speed_from([_measurement(number, decode_tokens_per_s=28.0) for number in range(4)] + [_rate(2.5)])
    assert speed is not None
    assert (speed.tokens_per_s, speed.count, speed.set_aside) == (28, 4, 1)


def test_a_machine_that_has_become_slow_is_believed() -> None:
    speed = speed_from([_rate(28.0), _rate(28.0), *[_rate(5.0)] * 10])
    assert speed is not None
    assert speed.tokens_per_s == 5


def test_the_first_answer_after_a_load_counts_only_alone() -> None:
    cold = _measurement(decode_tokens_per_s=20.0, load_s=9.0)
    assert _tokens_per_s(cold) == 20
    assert _tokens_per_s(cold, _rate(28.0), _rate(30.0)) == 29


def test_reading_a_remembered_prompt_says_nothing_about_reading() -> None:
    remembered = _measurement(prefill_tokens_per_s=90_000.0, prefill_tokens=None)
    short = _measurement(prefill_tokens_per_s=7.0, prefill_tokens=1)
    speed = speed_from([remembered, short])
    assert speed is not None
    assert speed.prefill_tokens_per_s is None
    speed = speed_from([remembered, short, _measurement()])
    assert speed is not None
    assert speed.prefill_tokens_per_s == 200


def test_a_clock_that_was_set_back_doesnt_hide_what_came_after() -> None:
    ahead = _measurement(decode_tokens_per_s=9.0, at=NOW + timedelta(days=20_000))
    speed = speed_from([ahead, _rate(28.0), _rate(28.0), _rate(28.0)])
    assert speed is not None
    assert speed.last == NOW.date()
    assert speed.tokens_per_s == 28


def _rate(tokens_per_s: float) -> Measurement:
    return _measurement(decode_tokens_per_s=tokens_per_s)


def _tokens_per_s(*measurements: Measurement) -> float:
    speed = speed_from(measurements)
    assert speed is not None
    return speed.tokens_per_s


def _split_version(tmp_path: Path, context_length: int = 32_768) -> InstalledVersion:
    gguf = tmp_path / "Modell.gguf"
    gguf.write_bytes(b"GGUF")
    return installed(gguf, context_length=context_length)


def test_a_split_model_is_explained_with_a_context_that_would_fit(tmp_path: Path) -> None:
    version = _split_version(tmp_path)
    used = predicted_bytes(version, "ollama")
    text = split_remark(version, used, used // 2)
    assert f"50 % of {version.key} on the processor, about 15 of its 30 blocks" in text
    (length,) = re.findall(r"--context (\d+)\)", text)
    assert predicted_bytes(version, "ollama", int(length)) <= used // 2
    assert predicted_bytes(version, "ollama", 2 * int(length)) > used // 2


def test_where_no_context_would_do_a_smaller_model_is_named(tmp_path: Path) -> None:
    version = _split_version(tmp_path, 4096)
    assert "smaller size or quantisation" in split_remark(version, predicted_bytes(version, "ollama"), 2**20)


def test_a_model_that_lies_in_one_place_needs_no_explanation(tmp_path: Path) -> None:
    version = _split_version(tmp_path)
    assert split_remark(version, 6 * GIB, 6 * GIB) == ""
    assert split_remark(version, 6 * GIB, 0) == ""


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


def test_a_models_own_loads_count_more_than_those_of_others() -> None:
    other = _measurement(predicted_bytes=1000, used_bytes=1400, digest="sha256:" + "2" * 64)
    own = _measurement(predicted_bytes=1000, used_bytes=1000, digest=_digest())
    variant = _judged(Learned(), machine(32)).variant
    assert Learned((other,), {"embedded": "here"}).correction("embedded", variant) is not None
    assert Learned((other, own), {"embedded": "here"}).correction("embedded", variant) is None


def test_loads_by_another_version_of_the_engine_count_only_where_there_are_no_others() -> None:
    old = _measurement(predicted_bytes=1000, used_bytes=1400, engine_version="0.24.0", digest=_digest())
    new = _measurement(predicted_bytes=1000, used_bytes=1100, engine_version="0.33.0", digest=_digest())
    variant = _judged(Learned(), machine(32)).variant

    def factor(*measurements: Measurement) -> float:
        found = Learned(measurements, {"embedded": "here"}, {"embedded": "0.33.0"}).correction("embedded", variant)
        assert found is not None
        return found.factor

    assert factor(old) == pytest.approx(1.4)
    assert factor(old, new) == pytest.approx(1.1)


def _loads(*pairs: tuple[float, float], **changes: Any) -> Learned:
    """What Ollama said of loads: size and the part in graphics memory, in GiB."""
    taken = [
        _measurement(
            number,
            engine="ollama",
            predicted_bytes=int(size * GIB),
            used_bytes=int(size * GIB),
            vram_bytes=int(part * GIB),
            gpu_share=part / size,
            **changes,
        )
        for number, (size, part) in enumerate(pairs)
    ]
    return Learned(tuple(taken), {"ollama": "here", "embedded": "here"})


CARD = machine(32, nvidia("NVIDIA GeForce RTX 4060", 8))


def test_graphics_memory_that_wasnt_to_be_had_shortens_the_context_next_time() -> None:
    wishes = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_K_M", context_length=16384)

    def chosen(knowing: Learned) -> Candidate:
        found = recommend(CARD, offering(), (OLLAMA,), wishes, tiers=standard_tiers(), learned=knowing)
        role = found.for_role(Role.CHAT)
        assert role is not None
        assert role.choice is not None
        return role.choice

    before, after = chosen(Learned()), chosen(_loads((6.6, 5.4)))
    assert (before.fit.placement, before.fit.context_length) == (Placement.GPU, 16384)
    assert after.fit.placement is Placement.GPU
    assert after.fit.context_length < 16384
    texts = " ".join(reason.text for reason in after.reasons)
    assert "5.4 GB of graphics memory count" in texts
    assert "more doesn't fit into graphics memory" in texts


def test_without_measurements_a_split_stays_and_the_shorter_context_is_named() -> None:
    small = machine(32, nvidia("NVIDIA GeForce RTX 2060", 6))
    wishes = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_K_M", context_length=16384)
    found = recommend(small, offering(), (OLLAMA,), wishes, tiers=standard_tiers())
    role = found.for_role(Role.CHAT)
    assert role is not None
    assert role.choice is not None
    assert role.choice.fit.placement is Placement.SPLIT
    (reason,) = [reason for reason in role.choice.reasons if reason.code == "shorter_context_fits"]
    assert reason.text.endswith("tokens of context all of it would fit into graphics memory.")


@pytest.mark.parametrize(
    "pairs", [((6.6, 6.6),), ((6.6, 5.0), (6.6, 6.6)), ((19.0, 0.0),)], ids=["whole", "whole again", "too large"]
)
def test_loads_that_show_no_limit_set_none(pairs: tuple[tuple[float, float], ...]) -> None:
    assert _loads(*pairs).graphics_room("ollama") is None


def test_a_limit_that_was_long_ago_is_forgotten() -> None:
    assert _loads((6.6, 5.0), *[(4.0, 4.0)] * 5).graphics_room("ollama") is None
    assert _loads((6.6, 5.0), *[(4.0, 4.0)] * 2).graphics_room("ollama") is not None


def test_the_speed_of_another_placement_isnt_taken_for_this_one() -> None:
    digest = _digest()
    fast = _measurement(digest=digest, engine="ollama", context_length=4096, gpu_share=1.0, decode_tokens_per_s=60.0)
    learned = Learned((fast,), {"ollama": "here"})
    here = _judged(learned, CARD, (OLLAMA,), 4096)
    assert here.expectation.tokens_per_s == pytest.approx((60, 60))
    without = _judged(learned, machine(32), (OLLAMA,), 8192)
    assert without.fit.placement is Placement.CPU
    assert without.expectation == _judged(Learned(), machine(32), (OLLAMA,), 8192).expectation


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


def test_what_is_passed_over_is_noted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "answers.jsonl").write_bytes(b'{"format": 99}\n\xff\n')
    with caplog.at_level(logging.WARNING):
        assert Measurements(tmp_path).read() == ()
    assert "2 of 2 lines are passed over" in caplog.text


def test_a_folder_in_place_of_the_file_is_noted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "answers.jsonl").mkdir()
    with caplog.at_level(logging.WARNING):
        assert Measurements(tmp_path).read() == ()
    assert "can't be read" in caplog.text


def test_a_future_date_keeps_nothing_else_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_LINES", 3)
    monkeypatch.setattr(service, "MAX_BYTES", 1500)
    kept = Measurements(tmp_path)
    for day in (20_000, 20_001, 20_002):
        kept.add(_measurement(at=NOW + timedelta(days=day)))
    kept.add(_measurement(1))
    kept.add(_measurement(2))
    assert kept.read()[-2:] == (_measurement(1), _measurement(2))


def test_impossible_numbers_are_garbage(tmp_path: Path) -> None:
    line = json.loads(_measurement().model_dump_json())
    for name, value in (("decode_tokens_per_s", -1), ("used_bytes", 2**70), ("ttft_s", 1e300)):
        (tmp_path / "answers.jsonl").write_text(json.dumps(line | {name: value}) + "\n", encoding="utf-8")
        assert Measurements(tmp_path).read() == ()


def test_the_oldest_format_is_read(tmp_path: Path) -> None:
    line = (
        '{"format":1,"at":"2026-11-22T12:00:00Z","machine":"here","key":"bbj-coder:2026.1-7b-q4_k_m",'
        f'"digest":"sha256:{"1" * 64}","engine":"embedded","context_length":4096,"ttft_s":0.5,'
        '"prefill_tokens":100,"prefill_tokens_per_s":200.0,"answer_tokens":100,"decode_tokens_per_s":28.0,"stop_reason":"stop"}\n'
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
