"""No test reads or writes the developer's own credentials."""

from __future__ import annotations

import os

import pytest

# children inherit it; ``tests.fakes.vault`` puts a keyring in its place where a test needs one
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BBJ_DESKTOP_TOKEN", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(variable, raising=False)
