"""Where everything of a registry lies: static files below one address, for reader and writer alike.

::

    metadata/   1.root.json …  timestamp.json  N.snapshot.json  N.targets.json  N.stable.json  N.beta.json     (TUF)
    targets/    stable/<sha256>.catalogue.json   stable/releases/<sha256>.<model>-<role>-<size>-<version>.json (TUF)
    blobs/      sha256/ab/<64 hex digits>        GGUFs, chunk indexes, tokenizers: named by signed manifests
"""

from __future__ import annotations

from bbj_desktop.core.errors import FormatError
from bbj_desktop.core.release import Release

METADATA = "metadata"
TARGETS = "targets"
BLOBS = "blobs"
INITIAL_ROOT = f"{METADATA}/1.root.json"
TIMESTAMP = f"{METADATA}/timestamp.json"
ISSUED = "x-issued"
"""Field of the signed timestamp: when it was signed, ISO 8601 in UTC."""

_DIGEST_LENGTH = len("sha256:") + 64


def blob_path(digest: str) -> str:
    """Path of a blob, relative to the registry's address.

    Args:
        digest: ``sha256:<64 hex digits>``.

    Raises:
        FormatError: Not such a digest.
    """
    kind, _, value = digest.partition(":")
    if kind != "sha256" or len(digest) != _DIGEST_LENGTH or not set(value) <= set("0123456789abcdef"):
        raise FormatError(f"{digest[:80]!r} isn't a digest.")
    return f"{BLOBS}/sha256/{value[:2]}/{value}"


def catalogue_target(channel: str) -> str:
    """Name of a channel's catalogue among the TUF targets."""
    return f"{channel}/catalogue.json"


def manifest_target(channel: str, release: Release) -> str:
    """Name of a release's manifest among the TUF targets."""
    return f"{channel}/releases/{release.model}-{release.role}-{release.size}-{release.version}.json"


def channel_paths(channel: str) -> list[str]:
    """The target names that a channel's role may sign. In TUF a ``*`` doesn't reach across ``/``."""
    return [f"{channel}/*", f"{channel}/releases/*"]
