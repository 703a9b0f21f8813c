"""From settings to services."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bbj_desktop.actions.context import Context
from tests.fakes.certificates import loopback_tls
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import customer


@pytest.mark.parametrize("named", [True, False], ids=["named", "not named"])
def test_an_ollama_of_the_companys_authority_is_trusted_when_that_is_named(tmp_path: Path, named: bool) -> None:
    tls, authority = loopback_tls(tmp_path)
    with FakeOllama(tls=tls) as ollama:
        context = customer(tmp_path / "Kunde", ollama_host=ollama.address)
        values = replace(context.settings.values, ca_file=authority if named else None)
        context = Context(replace(context.settings, values=values), context.paths)
        assert context.runtime("ollama").status().available is named
        context.close()
