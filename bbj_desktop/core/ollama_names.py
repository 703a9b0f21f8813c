"""Names under which a registry of Ollama's kind may have our models: ``ollama://[host/]namespace/name[:tag]``."""

from __future__ import annotations

import re

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.release import Release
from bbj_desktop.core.versions import aliases_of

SCHEME = "ollama://"
PUBLIC = "registry.ollama.ai"
"""Where Ollama pulls names without a host from."""

_PART = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,78}[A-Za-z0-9])?"
_ADDRESS = re.compile(
    rf"ollama://(?:(?P<host>[A-Za-z0-9][A-Za-z0-9.-]*(?::\d{{1,5}})?)/)?"
    rf"(?P<namespace>{_PART})/(?P<model>{_PART})(?::(?P<tag>{_PART}))?"
)
_CLOUD = re.compile(r"(?:^|-)cloud$", re.IGNORECASE)


def is_ollama_address(address: str) -> bool:
    return address.strip().lower().startswith(SCHEME)


def check_ollama_address(address: str) -> str:
    """An address as it is kept.

    Raises:
        UserInputError: It is none, or names a model that runs elsewhere.
    """
    address = address.strip()
    match = _ADDRESS.fullmatch(address)
    if match is None or ".." in address:
        raise UserInputError(
            f"{address!r} names no model that Ollama could pull.",
            hint="It looks like ollama://namespace/name:tag or ollama://host/namespace/name:tag; without a tag each "
            "version's own is meant, e.g. 2026.1-7b-q4_k_m.",
        )
    if any(_CLOUD.search(match[part] or "") for part in ("tag", "model")):
        raise UserInputError(
            f"{address} names a model that runs on somebody else's machines, not here.",
            hint="Name one whose weights Ollama pulls.",
        )
    return address


def pull_name(address: str, key: str) -> str:
    """What Ollama is to pull from such an address: ``host/namespace/name:tag``.

    Args:
        key: The version's own tag, ``bbj-coder:2026.1-7b-q4_k_m``: its last part stands in for a missing tag.
    """
    name = check_ollama_address(address).removeprefix(SCHEME)
    return name if ":" in name.rpartition("/")[2] else f"{name}:{key.rpartition(':')[2]}"


def local_name(name: str) -> str:
    """As Ollama lists what it pulled: without its own registry's name."""
    return name.removeprefix(f"{PUBLIC}/").removeprefix("library/")


def is_one_of_ours(name: str, release: Release, key: str) -> bool:
    """Whether a listed name is one that we give to a version ourselves."""
    return name in (key, *aliases_of(release))


def is_loopback(name: str) -> bool:
    """Whether it is pulled from this very machine, where plain http does no harm."""
    return name.partition("/")[0].partition(":")[0] in ("127.0.0.1", "localhost")
