"""Results about an Ollama, here or elsewhere."""

from __future__ import annotations

from bbj_desktop.actions.ollama import OllamaState
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.services.runtime.ollama_starting import StartedOllama


class OllamaStatusResult(OllamaState):
    """What is known about the Ollama of the settings."""


class ConnectResult(ResultModel):
    """Attributes:
    address: The Ollama's.
    versions: What it has and this machine uses from now on; their ``path`` leads to no file.
    """

    address: str
    versions: tuple[VersionView, ...]


class OllamaStartResult(ResultModel):
    started: StartedOllama


class OllamaStopResult(ResultModel):
    """Attributes:
    stopped: Null when none ran that this program had started.
    """

    stopped: StartedOllama | None
