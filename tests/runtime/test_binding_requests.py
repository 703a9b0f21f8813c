"""Requests to the engine ``llama-cpp-python`` that can be judged without it."""

from __future__ import annotations

import pytest

from bbj_desktop.services.runtime.engine_binding import CannotError, _bias


@pytest.mark.parametrize(
    ("said", "meant"),
    [(None, None), ({}, None), ({"198": -100}, {198: -100.0}), ([[198, 1.5]], {198: 1.5})],
)
def test_a_bias_is_taken_as_an_object_or_as_pairs(said: object, meant: dict[int, float] | None) -> None:
    assert _bias(said) == meant


@pytest.mark.parametrize("said", [{"PRINT": 1}, [["PRINT", 1]], {"198": "much"}, "198", 7])
def test_a_bias_of_another_form_is_refused_instead_of_breaking_off(said: object) -> None:
    with pytest.raises(CannotError, match="logit_bias"):
        _bias(said)
