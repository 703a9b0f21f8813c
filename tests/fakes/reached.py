"""An engine for the embedded runtime that needs no process."""

from __future__ import annotations

from bbj_desktop.services.runtime.engine import Engine, EngineConfig
from tests.fakes.llama_server import StandIn


class Reached(Engine):
    """The stand-in as an engine that runs already."""

    def __init__(self, config: EngineConfig, server: StandIn) -> None:
        self._config, self._server = config, server

    @property
    def config(self) -> EngineConfig:
        return self._config

    @property
    def address(self) -> str:
        return self._server.address

    @property
    def key(self) -> str:
        return self._server.key

    @property
    def alive(self) -> bool:
        return True

    def obituary(self) -> None:
        return None

    def close(self) -> None:
        """Stays for the test."""
