"""What the makers may write into a manifest is read as it was written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from bbj_desktop.core.errors import FormatError, TooNewError
from bbj_desktop.core.release import parse_chunk_index, parse_release
from tests.fakes.payload import index_of
from tests.fakes.registry import make_release

TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200)


@settings(deadline=None)
@given(title=TEXT, notice=TEXT, licence_text=TEXT, version=st.from_regex(r"\A20[0-9]{2}\.[0-9]{1,3}\Z"))
def test_a_release_is_read_as_it_was_written(title: str, notice: str, licence_text: str, version: str) -> None:
    try:
        release = make_release(version, title=title, notice=notice, licence_text=licence_text)
    except ValueError:  # what no maker can write
        return
    assert parse_release(release.model_dump_json()) == release
    assert parse_release(release.model_dump_json(indent=1).encode()) == release


@given(content=st.binary(min_size=1, max_size=3000), chunk_bytes=st.integers(1, 1000))
def test_a_chunk_index_is_read_as_it_was_written(content: bytes, chunk_bytes: int) -> None:
    index = index_of(content, chunk_bytes)
    assert parse_chunk_index(index.model_dump_json()) == index


@given(number=st.integers())
def test_another_format_is_refused_whatever_its_number(number: int) -> None:
    text = make_release().model_dump_json().replace('"format":1', f'"format":{number}', 1)
    try:
        release = parse_release(text)
    except (FormatError, TooNewError) as error:
        assert isinstance(error, TooNewError) == (number > 1)  # noqa: PT017 - which of the two is the point
    else:
        assert release.format == number == 1
