"""What gets into the log, and what must not."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from bbj_desktop.services.logs import LOG_FILE, logging_to, redacted, write_crash_report


def test_entries_are_written_as_long_as_the_context_lasts(tmp_path: Path) -> None:
    with logging_to(tmp_path / "logs", "info"):
        logging.getLogger("bbj_desktop.test").info("inside")
    logging.getLogger("bbj_desktop.test").info("outside")
    text = (tmp_path / "logs" / LOG_FILE).read_text(encoding="utf-8")
    assert "inside" in text
    assert "outside" not in text


def test_entries_below_the_level_are_left_out(tmp_path: Path) -> None:
    with logging_to(tmp_path, "warning"):
        logging.getLogger("bbj_desktop.test").info("not this")
    assert (tmp_path / LOG_FILE).read_text(encoding="utf-8") == ""


def test_http_headers_are_never_written(tmp_path: Path) -> None:
    with logging_to(tmp_path, "debug"):
        logging.getLogger("httpcore.http11").debug("send_request_headers.started Authorization: hf_abc")
    assert (tmp_path / LOG_FILE).read_text(encoding="utf-8") == ""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("reading https://anna:geheim@registry.example/x", "geheim"),
        ("Authorization: Bearer abc.def-123", "abc.def"),
        ("started with --api-key=0123456789", "0123456789"),
        ("passphrase: correct-horse", "correct-horse"),
        ('{"token": "hf_abcdef"}', "hf_abcdef"),
    ],
)
def test_credentials_are_blotted_out(text: str, secret: str) -> None:
    assert secret not in redacted(text)


def test_harmless_text_stays() -> None:
    text = "installed bbj-coder:2026.1-7b-q4_k_m: 98 bytes fetched at 3.2 tokens/s from http://127.0.0.1:8000/x"
    assert redacted(text) == text


def test_credentials_in_a_traceback_are_blotted_out(tmp_path: Path) -> None:
    with logging_to(tmp_path, "info"):
        error = ValueError("http://anna:geheim@proxy:3128")
        logging.getLogger("bbj_desktop.test").error("failed", exc_info=error)
    text = (tmp_path / LOG_FILE).read_text(encoding="utf-8")
    assert "ValueError" in text
    assert "geheim" not in text


def test_a_folder_that_cannot_be_written_costs_the_log_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with logging_to(tmp_path / "file", "info") as path:
        assert path is None


def test_a_crash_report_holds_the_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    report = write_crash_report(ValueError("so it goes"))
    assert "so it goes" in report.read_text(encoding="utf-8")
