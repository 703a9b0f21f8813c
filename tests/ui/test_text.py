"""Numbers and sentences as they are shown."""

from __future__ import annotations

import pytest

from bbj_desktop.core.progress import Step, Transfer
from bbj_desktop.core.recommendation import Reason, ReasonKind
from bbj_desktop.ui import text
from tests.fakes.desk import release_of, statistics


@pytest.mark.parametrize(
    ("length", "shown"),
    [
        (512, "512 bytes"),
        (98_273_664, "98 MB"),
        (4_700_000_000, "4.7 GB"),
        (16_000_000_000, "16 GB"),
        (212_400_000_000, "212 GB"),
        (2**43, "8.8 TB"),
    ],
)
def test_files_are_counted_in_powers_of_a_thousand(length: int, shown: str) -> None:
    assert text.file_size(length) == shown


@pytest.mark.parametrize(("length", "shown"), [(8 << 30, "8 GB"), (99 << 20, "99 MB"), (int(10.1 * 2**30), "10.1 GB")])
def test_memory_is_counted_as_machines_are_sold(length: int, shown: str) -> None:
    assert text.memory_size(length) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.2, "1 s"), (12, "12 s"), (360, "6 min"), (4800, "1 h 20 min")])
def test_durations_are_said_as_people_say_them(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [(30, 50, "30–50"), (3.5, 6, "3.5–6"), (3, 6, "3–6"), (20, 20.2, "20")],  # noqa: RUF001 - en dashes
)
def test_a_range_is_one_number_where_both_read_alike(low: float, high: float, shown: str) -> None:
    assert text.span(low, high) == shown


def test_how_an_answer_went_stands_in_one_line() -> None:
    assert text.statistics_line(statistics()) == "first token 0.31 s · 42.6 tokens/s · 118 tokens · finished"
    assert text.statistics_line(statistics(reason="length")).endswith("stopped at the length limit")


def test_a_transfer_of_unknown_speed_says_only_what_is_known() -> None:
    assert text.transfer_line(Transfer(41_000_000, 98_000_000)) == "41 MB of 98 MB"
    assert text.transfer_line(Transfer(41_000_000, 98_000_000, 12_000_000, 5)) == "41 MB of 98 MB · 12 MB/s · 5 s left"


def test_models_are_named_as_their_makers_do() -> None:
    assert text.model_title(release_of()) == "bbj-coder 7B"
    assert text.version_title(release_of()) == "bbj-coder 2026.1 · 7B"


def test_sentences_without_a_translation_keep_their_english() -> None:
    reason = Reason(kind=ReasonKind.DECIDED, code="vram_decides", text="8 GB decide.", values={"n": 8})
    assert text.reason_text(reason) == "8 GB decide."
    assert text.step_text(Step("download", "Downloading")) == "Downloading"
