"""The name that a client asked for, in the engine's answers: the engine holds one model under a name of its own.

The bytes are passed on as they come and not parsed. That is exact: within a JSON text quotation marks are escaped, so
what is looked for can't be a part of what the model wrote.
"""

from __future__ import annotations

import json

from bbj_desktop.services.runtime.engine_host import MODEL_ALIAS

_SAID = tuple(f'"model":{space}"{MODEL_ALIAS}"'.encode() for space in ("", " "))
"""As llama.cpp writes it, and Python."""
_LONGEST_BYTES = max(map(len, _SAID))


class Naming:
    """Puts a name into one answer, piece by piece.

    Args:
        name: What the client called the model.
    """

    def __init__(self, name: str) -> None:
        self._instead = f'"model":{json.dumps(name)}'.encode()
        self._held = b""

    def more(self, piece: bytes) -> bytes:
        """What can be sent on: all but an end that may be the beginning of the engine's name."""
        text = self._held + piece
        for said in _SAID:
            text = text.replace(said, self._instead)
        kept = _beginning_bytes(text)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def rest(self) -> bytes:
        """What was kept, when the answer has ended."""
        held, self._held = self._held, b""
        return held


def _beginning_bytes(text: bytes) -> int:
    """Length of the longest end of the text that the engine's name could begin with."""
    ends = range(min(_LONGEST_BYTES - 1, len(text)), 0, -1)
    return next((length for length in ends if any(said.startswith(text[-length:]) for said in _SAID)), 0)
