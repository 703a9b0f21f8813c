"""From an address to a source."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.network import Network
from bbj_desktop.services.transfer.credentials import finder
from bbj_desktop.services.transfer.folder import FolderSource
from bbj_desktop.services.transfer.source import Source


def open_source(address: str, network: Network) -> Source:
    """Makes the source that an address stands for; nothing is read or connected to yet.

    Args:
        address: ``https://host/folder``, ``http://…``, ``hf://org/repo[@revision]``, ``file:///folder``, or the path
            of a folder.
        network: How to reach other machines.

    Raises:
        UserInputError: No address of a kind that is known here, or an unusable file of certificates.
    """
    scheme, separator, _ = address.partition("://")
    match scheme.lower() if separator else "":
        case "http" | "https":
            from bbj_desktop.services.transfer.web import WebSource  # httpx takes long to import

            return WebSource(address, network, login=finder(address))
        case "hf":
            from bbj_desktop.services.transfer.hub import HubSource

            return HubSource(address, network)
        case "file":
            return FolderSource(address, _path_of(address))
        case "":
            return FolderSource(address, Path(address).expanduser())
        case _:
            raise UserInputError(
                f"{address!r} begins with {scheme}://, which isn't known here.",
                hint="A registry's address begins with https://, http://, hf:// or file://, or is a folder's path.",
            )


def _path_of(address: str) -> Path:
    """``file:///srv/models`` → ``/srv/models``; ``file://server/share`` is a network drive on Windows."""
    from urllib.request import url2pathname  # takes long to import

    parts = urlsplit(address)
    path = url2pathname(parts.path)
    host = "" if parts.netloc == "localhost" else parts.netloc
    return Path(f"//{host}{path}") if host else Path(path)
