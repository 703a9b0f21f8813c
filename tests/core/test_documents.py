"""Versioned documents: what is read, what is refused, and with which words."""

from __future__ import annotations

import json

import pytest

from bbj_desktop.core.errors import FormatError, TooNewError
from bbj_desktop.core.release import Catalogue, parse_catalogue, parse_chunk_index, parse_release

OLDEST_CATALOGUE = '{"format": 1, "channel": "stable", "entries": []}'


def test_the_oldest_format_is_read() -> None:
    assert parse_catalogue(OLDEST_CATALOGUE) == Catalogue(channel="stable")


def test_unknown_fields_of_the_same_format_are_ignored() -> None:
    assert parse_catalogue('{"format": 1, "channel": "beta", "colour": "blue"}').channel == "beta"


def test_a_newer_format_names_the_program_that_reads_it() -> None:
    text = json.dumps({"format": 2, "min_app_version": "0.9.0", "anything": []})
    with pytest.raises(TooNewError) as caught:
        parse_catalogue(text)
    assert caught.value.needs == "BBj Desktop 0.9.0"
    assert caught.value.hint == "Update to BBj Desktop 0.9.0 or newer."


def test_a_newer_format_that_names_no_program_asks_for_an_update() -> None:
    with pytest.raises(TooNewError) as caught:
        parse_catalogue('{"format": 2}')
    assert caught.value.hint == "Update BBj Desktop."


def test_a_newer_format_is_noticed_before_fields_that_would_not_fit() -> None:
    with pytest.raises(TooNewError):
        parse_release('{"format": 7, "model": 3}')


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "isn't valid JSON"),
        ("[]", "isn't a JSON object"),
        ("null", "isn't a JSON object"),
        ('{"channel": "stable"}', "doesn't say its format"),
        ('{"format": true, "channel": "stable"}', "doesn't say its format"),
        ('{"format": 0, "channel": "stable"}', "doesn't say its format"),
        ('{"format": "1", "channel": "stable"}', "doesn't say its format"),
        ('{"format": 1}', "channel: Field required"),
        ('{"format": 1, "channel": "../etc"}', "channel: String should match pattern"),
        ("[" * 100_000, "isn't valid JSON"),
        (b"\xff\xfe\x00", "isn't valid JSON"),
    ],
)
def test_what_is_no_catalogue_is_refused_with_the_reason(text: str | bytes, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        parse_catalogue(text)


def test_a_chunk_index_must_cover_its_file() -> None:
    digest = "sha256:" + "0" * 64
    index = {
        "format": 1,
        "file": {"digest": digest, "length_bytes": 10},
        "chunks": [{"length_bytes": 9, "digest": digest}],
    }
    with pytest.raises(FormatError, match="don't add up"):
        parse_chunk_index(json.dumps(index))
