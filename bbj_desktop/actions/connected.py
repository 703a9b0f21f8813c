"""What this machine uses of an Ollama elsewhere: what was connected with, as it is remembered here."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import FormatError, StoreAccessError
from bbj_desktop.core.versions import InstalledVersion

CONNECTED_FORMAT = 1


class Connections(BaseModel):
    """What this machine uses of an Ollama without having installed it. The document of it.

    Attributes:
        address: The Ollama's.
        versions: Their paths lead to no file.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    format: int = CONNECTED_FORMAT
    address: str
    versions: tuple[InstalledVersion, ...] = ()


def connected_versions(context: Context) -> tuple[InstalledVersion, ...]:
    """What was connected with at the Ollama of the settings; nothing is asked."""
    kept = _remembered(context)
    return kept.versions if kept is not None and kept.address == _address(context) else ()


def connected_elsewhere(context: Context) -> str | None:
    """The address of the Ollama that was connected with, where it isn't the one of the settings."""
    kept = _remembered(context)
    return kept.address if kept is not None and kept.address != _address(context) else None


def _address(context: Context) -> str | None:
    return context.runtime("ollama").status().address


def _remembered(context: Context) -> Connections | None:
    try:
        data = _file(context).read_bytes()
        return parse_document(Connections, data, what="list of connections", newest=CONNECTED_FORMAT)
    except (FileNotFoundError, FormatError):
        return None
    except OSError as error:
        raise StoreAccessError(f"{_file(context)} can't be read: {error.strerror or error}.") from error


def remember(context: Context, connections: Connections) -> None:
    path = _file(context)
    new = path.with_suffix(".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(connections.model_dump_json(indent=1), encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise StoreAccessError(f"{path} can't be written: {error.strerror or error}.") from error


def _file(context: Context) -> Path:
    return context.paths.registries / "connections.json"
