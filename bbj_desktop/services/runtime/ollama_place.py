"""What is known of the folder in which Ollama keeps its models, as far as the choice of a route needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bbj_desktop.core.routes import ModelsPlace, RouteFacts
from bbj_desktop.services.runtime.ollama_finding import OllamaFinding
from bbj_desktop.services.runtime.ollama_reading import find_ollama
from bbj_desktop.services.store.disk import existing_folder


class OllamaPlace:
    """Looks when it is asked, which takes a moment, until it has seen a server.

    Args:
        address: As ``parse_ollama_host`` returns it.
        environment: Of this program.
    """

    def __init__(self, address: str, environment: Mapping[str, str]) -> None:
        self._address = address
        self._environment = environment
        self._found: OllamaFinding | None = None

    @property
    def finding(self) -> OllamaFinding:
        if self._found is None or self._found.server is None:  # one may have been started since
            self._found = find_ollama(self._address, environment=self._environment)
        return self._found

    @property
    def models(self) -> Path | None:
        """The folder, where there is one that can be looked at."""
        found = self.finding.models
        return Path(found.path) if found is not None and found.exists else None

    def facts(self, version: str, store: Path, *, adapter: bool, file_here: bool, streams: bool) -> RouteFacts:
        """What the route is chosen from.

        Args:
            version: Ollama's.
            store: A folder of the store: its volume counts.
            adapter: The model has one.
            file_here: Its file is in the store already.
            streams: It could be handed on while it is fetched.
        """
        found = self.finding
        server = found.server
        seen = server is not None and server.kind != "unseen"
        return RouteFacts(
            version=version,
            local=found.local,
            contained=server is not None and server.kind == "container",
            platform=sys.platform,
            server_is_ours=server.mine if server is not None and seen else None,
            place=_models_place(found, store),
            adapter=adapter,
            file_here=file_here,
            streams=streams,
        )


def _models_place(finding: OllamaFinding, store: Path) -> ModelsPlace | None:
    found = finding.models
    if found is None:
        return None
    return ModelsPlace(
        path=Path(found.path),
        exists=found.exists,
        writable=bool(found.writable),
        readable=bool(found.readable),
        owner=found.owner,
        ours=_is_ours(Path(found.path)),
        same_volume=_one_volume(store, Path(found.path)),
    )


def _is_ours(folder: Path) -> bool | None:
    """None where it can't be told: folders have no number of their owner on Windows."""
    if sys.platform == "win32":
        return None
    with suppress(OSError):
        return folder.stat().st_uid == os.getuid()
    return None


def _one_volume(store: Path, models: Path) -> bool:
    with suppress(OSError):
        return existing_folder(store).stat().st_dev == existing_folder(models / "blobs").stat().st_dev
    return False
