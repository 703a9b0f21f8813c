"""The conversation between a program and the host: lines of JSON on a loopback connection, after both have proved that
they know the key.

The key itself never travels: a program that took over the port of a host that died learns nothing from who connects.

    host     {"nonce": N}
    client   {"nonce": M, "proof": HMAC(key, "client" N M), "hello": {…}}
    host     {"proof": HMAC(key, "host" M N), "app_version": …, "protocol": …}
    client   {"do": "borrow", …}
    host     {"ok": {…}} or {"error": {"code", "message", "hint"}}

A connection is the client's lease: the operating system ends it when the client dies, however it dies.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from bbj_desktop.core import errors
from bbj_desktop.core.errors import BBjDesktopError, EngineCrashedError, EngineRefusedError

MAX_LINE_BYTES = 1024 * 1024
"""A configuration with its chat template is far shorter."""
HANDSHAKE_TIMEOUT_S = 5.0

_OTHERWISE_MADE = frozenset(
    {"ServerError", "DigestError", "TooNewError", "NoSpaceError", "EngineTooOldError", "Cancelled"}
)


def new_nonce() -> str:
    return secrets.token_hex(16)


def proof(key: str, side: str, first: str, second: str) -> str:
    """What only somebody who knows the key can say.

    Args:
        side: ``client`` or ``host``, so that neither can send the other's answer back.
        first: The other side's nonce.
        second: One's own.
    """
    return hmac.new(key.encode(), f"{side}\0{first}\0{second}".encode(), "sha256").hexdigest()


def proves(said: object, key: str, side: str, first: str, second: str) -> bool:
    return isinstance(said, str) and hmac.compare_digest(said.encode(), proof(key, side, first, second).encode())


def to_line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """Raises EngineCrashedError when the other side has gone, EngineRefusedError when it says nonsense."""
    if not line.endswith(b"\n"):
        raise EngineCrashedError("The engine's host broke off.", hint="Try again: a new one is started.")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EngineRefusedError("The engine's host answered something that isn't JSON.") from error
    if not isinstance(value, dict):
        raise EngineRefusedError("The engine's host answered something unexpected.")
    return value


def error_to_json(error: BBjDesktopError) -> dict[str, str]:
    return {"code": error.code, "message": error.message, "hint": error.hint}


def error_from_json(said: object) -> BBjDesktopError:
    """The error that the host met, as the same class where that can be made from its texts."""
    details = said if isinstance(said, dict) else {}
    message, hint = str(details.get("message", "The engine's host failed.")), str(details.get("hint", ""))
    kind = getattr(errors, str(details.get("code")), None)
    if not isinstance(kind, type) or not issubclass(kind, BBjDesktopError) or kind.__name__ in _OTHERWISE_MADE:
        return EngineRefusedError(message, hint=hint)
    return kind(message, hint=hint)
