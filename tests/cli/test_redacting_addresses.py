"""Hosts go out of addresses whatever stands before them, and a long word keeps nobody waiting."""

from __future__ import annotations

import pytest

from bbj_desktop.services.redacting import Redactor


@pytest.mark.parametrize("before", ["", "1", "X", "a.", "-", "=", "é"])
def test_a_host_goes_whatever_stands_before_its_address(before: str) -> None:
    redacted = Redactor(users=[]).text(f"{before}http://build.example/x")
    assert redacted == f"{before}http://host-1/x"


def test_a_very_long_word_stays_as_it_is() -> None:
    """Looked through once: from each of its letters on it would take half an hour."""
    word = "a" * 500_000
    assert Redactor(users=[]).text(word) == word
