"""Secrets and personal data that don't belong into a model. The finding shows the beginning only."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainer.data.checks.texts import texts_of
from trainer.data.example import Example
from trainer.data.formats.parsed import Problem

_KEYS = re.compile(
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # Amazon
    r"|\bsk-(?:proj-|ant-)?[A-Za-z0-9_-]{20,}|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{22,}"
    r"|\bglpat-[\w-]{20}|\bxox[abprs]-[A-Za-z0-9-]{10,}|\bAIza[\w-]{35}|\bhf_[A-Za-z0-9]{30,}|\bnpm_[A-Za-z0-9]{36}"
    r"|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"  # JSON web token
    r"|-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"
)
_PASSWORD = re.compile(
    r"(?:password|passwd|passwort|kennwort|\bpwd|\bpw|secret|api_?key|access_?token)\w*[$!]?\s*(?:=|:|:=)\s*[\"'](?P<value>[^\"'\s]{6,})[\"']",
    re.IGNORECASE,
)
_IN_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@\"']+:(?P<value>[^\s/@\"']{3,})@")
_PLACEHOLDER = re.compile(
    r"(?:.*(?:pass|secret|geheim|change|example|your|dummy|test|demo|sample|placeholder|key|token|1234|abcd).*|(.)\1+"
    r"|[x*.•]+|<.*>|\{.*\}|\$.*)",
    re.IGNORECASE,
)
_MAIL = re.compile(r"\b[\w.+-]+@(?P<host>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})\b")
_NO_HOST = re.compile(
    r"(?:.*\.)?(?:example|beispiel|test|invalid|localhost|local|domain|company|firma|mycompany|yourcompany|acme|sample"
    r"|mail|email|site|server|host)(?:\.(?:com|org|net|de|test|invalid|local))?$",
    re.IGNORECASE,
)
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_PHONE = re.compile(
    r"(?<![\w.+])(?<!\d )(?:\+[1-9]\d{0,2}|00[1-9]\d)[ /.-]?(?:\(0?\d{1,5}\)|\d{1,5})(?:[ /.-]?\d{2,}){2,}(?![\w.])"
    r"|(?<![\w.])\(\d{3}\) ?\d{3}-\d{4}\b"
)
_INVENTED_PHONE = re.compile(r"555|(\d)\1{4}|0123456|1234567")
_KEY_SIGNS = ("AKIA", "ASIA", "sk-", "gh", "glpat-", "xox", "AIza", "hf_", "npm_", "eyJ", "-----")
_PASSWORD_SIGNS = ("pass", "kennwort", "pwd", "pw", "secret", "key", "token")
_DIGITS = re.compile(r"\d[ /.)-]*\d[ /.-]*\d")


def check(example: Example) -> Iterator[Problem]:
    """Looks through all texts; one finding a kind."""
    text = "\n".join(text for name, text in texts_of(example) if name != "system")
    if found := _secret(text):
        message = f"A key or password: {_shortened(found)}."
        yield Problem("secret", "error", message, "Remove it here, and change it where it is used.")
    for what, value in (("an e-mail address", _mail(text)), ("an IBAN", _iban(text)), ("a phone number", _phone(text))):
        if value:
            message = f"Perhaps {what} of somebody: {_shortened(value)}."
            yield Problem("personal-data", "warning", message, "Replace it with an invented one, e.g. at example.com.")


def _secret(text: str) -> str:
    if any(sign in text for sign in _KEY_SIGNS) and (match := _KEYS.search(text)):
        return match[0]
    lowered = text.lower()
    named = any(sign in lowered for sign in _PASSWORD_SIGNS)
    for pattern, possible in ((_PASSWORD, named), (_IN_ADDRESS, "://" in text and "@" in text)):
        for match in pattern.finditer(text) if possible else ():
            value = match["value"]
            if not _PLACEHOLDER.fullmatch(value) and (pattern is _IN_ADDRESS or _looks_random(value)):
                return value
    return ""


def _looks_random(value: str) -> bool:
    """Words alone are labels of fields; a password has letters and digits or signs."""
    return any(each.isdigit() for each in value) and any(each.isalpha() for each in value)


def _mail(text: str) -> str:
    if "@" not in text:
        return ""
    addresses = _MAIL.finditer(_IN_ADDRESS.sub("", text))
    return next((match[0] for match in addresses if not _NO_HOST.match(match["host"])), "")


def _iban(text: str) -> str:
    return next((match[0] for match in _IBAN.finditer(text) if _is_iban(match[0])), "")


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616: with country and digits at the end and letters as numbers, 1 modulo 97."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:  # noqa: PLR2004 - ISO 13616
        return False
    return int("".join(str(int(each, 36)) for each in plain[4:] + plain[:4])) % 97 == 1


def _phone(text: str) -> str:
    if not ("+" in text or "00" in text or "(" in text) or not _DIGITS.search(text):
        return ""
    numbers = (match[0] for match in _PHONE.finditer(text))
    return next((each for each in numbers if not _INVENTED_PHONE.search(re.sub(r"\D", "", each))), "")


def _shortened(value: str) -> str:
    return f"{value[:4]}… ({len(value)} characters)"
