"""The package ``ollama``, imported whatever the environment says.

WORKAROUND: while it is imported it makes a client for the address in ``OLLAMA_HOST``, and fails with a ValueError on
what isn't one (``ollama/__init__.py``, 0.6): such a value is said by ``parse_ollama_host``, and must not stop those who
named another address. A right value stays where it is: other threads may read it, or start a process with it.
"""

from __future__ import annotations

import os

_VARIABLE = "OLLAMA_HOST"
try:
    from ollama import Client, ResponseError
except ValueError:
    _value = os.environ.pop(_VARIABLE, "")
    try:
        from ollama import Client, ResponseError
    finally:
        os.environ[_VARIABLE] = _value

__all__ = ["Client", "ResponseError"]
