"""Paths out of foreign documents: which are taken, which can't escape."""

from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.safe_paths import refuse_twins, safe_parts


@pytest.mark.parametrize(
    "path",
    [
        "metadata/timestamp.json",
        f"blobs/sha256/ab/{'ab' * 32}.part-0001",
        "Ollama Setup 0.24.exe",
        "bbj-desktop_1.0.vsix",
        "größer/Übersicht.txt",
        "..a",
        "console.log",
        ".htaccess",
    ],
)
def test_an_ordinary_path_is_taken_apart(path: str) -> None:
    assert "/".join(safe_parts(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "..",
        "a/../../etc/passwd",
        "./a",
        "/etc/passwd",
        "a//b",
        "a/",
        "C:/Windows",
        "c:a",
        "a:stream",
        "..\\..\\a",
        "\\\\server\\share",
        "//server/share",
        "a\0b",
        "a\nb",
        "a\x7f",
        "CON",
        "nul.txt",
        "aux.tar.gz",
        "com1",
        "LPT\u00b3.json",
        "CONIN$",
        "con .txt",
        "a.",
        "a ",
        " a",
        "...",
        "PROGRA~1",
        "a~1.txt",
        "a*",
        'a"b',
        "\u2025/a",
        "\uff0e\uff0e/a",
        "a\uff0fb",
        "\u2024\u2024",
        "e\u0301.txt",
        "\u212aelvin",
        "\ufb01le",
        "a\u202egpj.exe",
        "a\u200b",
        "\ufeffa",
        "\ud800",
        "a" * 256,
        "\u00e4" * 128,
        "/".join("a" * 17),
        "a/" * 600 + "a",
    ],
)
def test_a_path_that_some_system_reads_otherwise_is_refused(path: str) -> None:
    with pytest.raises(FormatError):
        safe_parts(path)


@pytest.mark.parametrize("twins", [("a/B", "a/b"), ("stra\u00dfe", "strasse"), ("\u017f.txt", "s.txt"), ("A/x", "a/x")])
def test_two_names_for_one_file_are_refused(twins: tuple[str, str]) -> None:
    with pytest.raises(FormatError, match="one file"):
        refuse_twins(("other", *twins))


def test_different_names_are_no_twins() -> None:
    refuse_twins(("a", "b", "a/b", "a"))


@given(
    st.lists(
        st.sampled_from(["..", ".", "", "a", "con", "/", "\\", "C:", "\u2025", "a.", "\0"]) | st.text(), max_size=5
    )
)
def test_what_is_taken_stays_below_its_folder_on_every_system(parts: list[str]) -> None:
    try:
        names = safe_parts("/".join(parts))
    except FormatError:
        return
    posix = posixpath.normpath(posixpath.join("/base", *names))
    windows = ntpath.normpath(ntpath.join("C:\\base", *names))
    assert posix == "/".join(("/base", *names))
    assert windows == "\\".join(("C:\\base", *names))
