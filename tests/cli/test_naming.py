"""Names of models as people type them."""

from __future__ import annotations

import pytest

from bbj_desktop.cli.naming import Named, parse_name
from bbj_desktop.core.errors import UserInputError


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("7b", Named(size="7b")),
        ("1.5B", Named(size="1.5b")),
        ("bbj-coder", Named(model="bbj-coder")),
        ("bbj-coder:7b", Named(model="bbj-coder", size="7b")),
        ("bbj-coder/7b", Named(model="bbj-coder", size="7b")),
        ("7b-q4_k_m", Named(size="7b", quantisation="Q4_K_M")),
        ("2026.1-7b", Named(version="2026.1", size="7b")),
        ("bbj-coder-fim:2026.2-rc1-1.5b-q8_0", Named("bbj-coder-fim", "2026.2-rc1", "1.5b", "Q8_0")),
    ],
)
def test_a_name_gives_its_parts(text: str, named: Named) -> None:
    assert parse_name(text) == named


@pytest.mark.parametrize("text", ["", "the big one", "7", "7x", "bbj-coder:", "-7b", "7b-"])
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(UserInputError, match="doesn't name a model"):
        parse_name(text)
