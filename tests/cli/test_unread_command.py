"""``verify`` and ``repair`` as they are typed, of files that only Ollama can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from bbj_desktop.actions.serving_bytes import Bytes
from bbj_desktop.cli.results.versions import RepairResult, VerifyResult
from bbj_desktop.core.versions import STREAMED, InstalledVersion
from tests.cli.conftest import Call

KEY = "bbj-coder:2026.1-7b-q4_0"


@pytest.fixture
def customer_with_unread(customer: Call, data: Path) -> Call:
    assert customer("install", "7b-q4_0").code == 0
    (record,) = (data / "store" / "versions").iterdir()
    version = InstalledVersion.model_validate_json(record.read_bytes())
    registrations = tuple(each.model_copy(update={"route": STREAMED}) for each in version.registrations)
    unreadable = data / "not to be read" / version.path.name
    version.path.unlink()
    streamed = version.model_copy(update={"path": unreadable, "registrations": registrations})
    record.write_text(streamed.model_dump_json())
    return customer


def test_what_cant_be_read_is_as_named_by_ollama_and_ends_with_22(customer_with_unread: Call) -> None:
    customer = customer_with_unread
    called = customer("verify", KEY)
    assert called.code == 22
    assert "as named by Ollama, and not verified" in called.out
    result = VerifyResult.model_validate(customer("verify", KEY, "--json").document["result"])
    assert (result.files, result.served) == (Bytes.AS_NAMED, Bytes.AS_NAMED)


def test_a_repair_doesnt_say_more_of_it_than_a_verification(customer_with_unread: Call) -> None:
    customer = customer_with_unread
    called = customer("repair", KEY)
    assert called.code == 22
    assert f"Nothing of {KEY} was fetched." in called.out
    assert "as named by Ollama, and not verified" in called.out
    assert "as it was signed" not in called.out
    result = RepairResult.model_validate(customer("repair", KEY, "--json").document["result"])
    assert result.files is Bytes.AS_NAMED
