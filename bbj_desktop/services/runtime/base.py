"""What every program that runs a model looks like from above."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.chat import ChatEvent, ChatRequest, CompletionRequest
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.progress import Cancel, Report
from bbj_desktop.core.versions import InstalledVersion, Registration


class RunningModel(BaseModel):
    """A model that a runtime holds in memory now.

    Attributes:
        name: As the runtime names it.
        digest: Of its manifest or file, when told.
        size_bytes: Memory it takes, when told.
        vram_bytes: The part of it in graphics memory, when told.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    digest: str | None = None
    size_bytes: int | None = None
    vram_bytes: int | None = None


class Runtime(Protocol):
    """Registers installed versions and answers with them. Methods block; they are called from a worker thread.

    Every method may raise EngineMissingError, EngineTooOldError, EngineRefusedError and EngineCrashedError.
    """

    @property
    def name(self) -> Literal["ollama", "embedded"]: ...

    def status(self) -> RuntimeStatus:
        """Whether it can be used, and what it is. Never raises for an engine that is missing or broken; takes at most
        about two seconds."""
        ...

    def register(self, version: InstalledVersion, report: Report, cancel: Cancel) -> Registration:
        """Makes a version known under its own tag (``version.key``) and checks that what the engine then serves is
        the release's: template, system prompt, parameters. Doing it again is harmless.

        Raises:
            EngineMismatchError: The engine serves something else.
        """
        ...

    def activate(self, version: InstalledVersion) -> tuple[str, ...]:
        """Points the aliases of a registered version's model to it and returns them."""
        ...

    def unregister(self, version: InstalledVersion, successor: InstalledVersion | None) -> None:
        """Forgets a version's tag, and its aliases where they point to it; they go to ``successor`` if there is one.
        Nothing of other models is touched."""
        ...

    def chat(self, version: InstalledVersion, request: ChatRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        """Streams an answer: any number of Delta, then one Finished. When cancelled it stops at once, with a Finished
        whose stop reason is ``cancelled``.
        """
        ...

    def complete(self, version: InstalledVersion, request: CompletionRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        """The same for a gap in a text. The prompt reaches the model as it is, without a chat template."""
        ...

    def tags(self) -> tuple[str, ...]:
        """Every name that the runtime knows now, whoever made it; for ``embedded`` none."""
        ...

    def running(self) -> tuple[RunningModel, ...]:
        """The models in memory."""
        ...

    def unload(self, version: InstalledVersion) -> None:
        """Frees a version's memory; nothing happens if it isn't loaded."""
        ...

    def close(self) -> None:
        """Ends what this object started."""
        ...
