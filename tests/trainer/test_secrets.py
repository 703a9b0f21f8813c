"""Secrets and personal data are found; what only looks like them isn't."""

from __future__ import annotations

import pytest

from trainer.data.checks.secrets import check
from trainer.data.example import Example

SECRETS = [
    "AKIA" + "Q7ZK2M4N8P3R5T6V",
    "ghp_" + "aB3" * 12,
    "sk-" + "proj-9fK2mQ8xV4bN7cL1zR5t",
    "hf_" + "QwErTyUiOp" * 3 + "Zx1Cv2",
    "-----BEGIN RSA PRIVATE KEY-----",
    'password$="Sommer2024!"',
    "api_key: 'k8f72hq9'",
    "postgres://anna:Zug9hafen@db.internal/x",
]
PERSONAL = [
    "anna.schmidt@basis-kunde.de",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "+49 170 2398841",
    "(408) 927-1432",
]
HARMLESS = [
    'password$="password"',
    'input "Password: ",password$',
    'password$="<your password>"',
    'secret$=stbl("DOORCODE")',
    "name@ = class",
    "someone@example.com",
    "jane@mail.test",
    "DE00 3704 0044 0532 0130 00",  # wrong check digits
    "AB12 CDEF GHIJ KLMN",
    "10 PRINT 1234567890 + 0000",
    "+1 555 0100 200",
    "x = 100 - (200) + 300",
    "print @(10,20)",
    "2024-01-31 12:00:00",
    "$00010002$",
    "sk-learn and task-scheduler-of-this-program",
]


def said(text: str) -> list[str]:
    return [each.code for each in check(Example.of(form="chat", instruction="Q?", output=f"See {text} there."))]


@pytest.mark.parametrize("text", SECRETS)
def test_a_secret_is_found(text: str) -> None:
    assert said(text) == ["secret"]


@pytest.mark.parametrize("text", PERSONAL)
def test_personal_data_is_found(text: str) -> None:
    assert said(text) == ["personal-data"]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_looks_like_it_isnt(text: str) -> None:
    assert said(text) == []
