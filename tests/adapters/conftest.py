"""Makers who publish adapters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes.adapter_makers import AdapterMakers


@pytest.fixture
def makers(tmp_path: Path) -> AdapterMakers:
    return AdapterMakers.create(tmp_path / "Öffentliche Modelle")
