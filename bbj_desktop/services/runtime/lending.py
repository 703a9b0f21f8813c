"""Who lends an engine to a conversation: this program's own child, or the host that all programs of a user share."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bbj_desktop.core.errors import EngineCrashedError, EngineError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.embedded_host.channel import error_from_json
from bbj_desktop.services.runtime.embedded_host.client import Lease, find, find_or_start
from bbj_desktop.services.runtime.embedded_host.host import HostOptions, config_to_json
from bbj_desktop.services.runtime.embedded_host.record import HostPlace
from bbj_desktop.services.runtime.engine import Engine, EngineConfig, Launch
from bbj_desktop.services.runtime.resident import resident_bytes


class Reachable(Protocol):
    """An engine as far as a conversation needs it.

    Attributes:
        address: ``http://127.0.0.1:PORT``.
        key: For ``Authorization: Bearer``.
    """

    @property
    def address(self) -> str: ...
    @property
    def key(self) -> str: ...

    def obituary(self) -> EngineError | None:
        """Why it ended; None while it lives."""
        ...


@dataclass(frozen=True, slots=True)
class Loan:
    """An engine for the time of one answer.

    Attributes:
        fresh: Its model was loaded for this loan.
    """

    engine: Reachable
    fresh: bool


class Lender(Protocol):
    """Lends engines."""

    def borrow(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> AbstractContextManager[Loan]:
        """An engine with that configuration; loads it if needed, which ``cancel`` ends.

        Args:
            model: What it is called.

        Raises:
            EngineError: It can't be had.
            Cancelled: By ``cancel``.
        """
        ...

    def running(self) -> RunningModel | None:
        """What is loaded now."""
        ...

    def unload(self, model: Path) -> None:
        """Frees the memory of a model; nothing happens if it isn't loaded."""
        ...

    def close(self) -> None:
        """Gives back everything."""
        ...


class OwnEngine:
    """One engine at a time, in a child process that ends with this program.

    Args:
        launch: Starts it.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._lock = threading.Lock()
        self._loaded: tuple[Engine, RunningModel] | None = None

    @contextlib.contextmanager
    def borrow(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> Iterator[Loan]:
        with self._lock:
            loaded = self._loaded
            fresh = loaded is None or not loaded[0].alive or loaded[0].config != config
            if loaded is None or fresh:
                self._end()
                loaded = self._loaded = (self._launch(config, cancel), model)
        yield Loan(loaded[0], fresh)

    def running(self) -> RunningModel | None:
        with self._lock:
            if self._loaded is None or not self._loaded[0].alive:
                return None
            engine, model = self._loaded
            process = getattr(engine, "process", None)
            pid = None if process is None else int(process.pid)
        return model.model_copy(update={"size_bytes": resident_bytes(pid)})

    def unload(self, model: Path) -> None:
        with self._lock:
            if self._loaded is not None and self._loaded[0].config.model == model:
                self._end()

    def close(self) -> None:
        with self._lock:
            self._end()

    def _end(self) -> None:
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded[0].close()


@dataclass(frozen=True, slots=True)
class _HostedEngine:
    """The host's engine, which is asked directly; only its end is the host's to tell."""

    address: str
    key: str
    number: int
    lease: Lease

    def obituary(self) -> EngineError | None:
        try:
            said = self.lease.ask("obituary", engine=self.number).get("error")
        except EngineCrashedError:
            return EngineCrashedError(
                "The engine's host ended in the middle of the answer.", hint="Ask again: a new one is started."
            )
        error = None if said is None else error_from_json(said)
        return error if isinstance(error, EngineError) else None


class SharedEngine:
    """The engine of the user's host, which is started when there is none.

    While this object is open the host knows that the program is there, and stays.

    Args:
        place: Where the host is found.
        options: What a new one is started with.
        what: This program's name, for the host's status.
    """

    def __init__(self, place: HostPlace, options: HostOptions, what: str = "") -> None:
        self.place = place
        self.options = options
        self._what = what
        self._lock = threading.Lock()
        self._kept: Lease | None = None

    @contextlib.contextmanager
    def borrow(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> Iterator[Loan]:
        lease, said = self._borrowed(config, model, cancel)
        try:
            engine = _HostedEngine(str(said["address"]), str(said["key"]), int(said["engine"]), lease)
            yield Loan(engine, bool(said["fresh"]))
        except BaseException:  # also that the answer was left in the middle
            lease.close()
            raise
        self._give_back(lease)

    def _borrowed(self, config: EngineConfig, model: RunningModel, cancel: Cancel) -> tuple[Lease, dict[str, Any]]:
        """On the lease that was kept, else, or when its host has gone since, on a new one."""
        asked = {"config": config_to_json(config), "model": model.model_dump(mode="json")}
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            try:
                return kept, self._on(kept, cancel, asked)
            except EngineError:
                if not kept.gone:
                    raise
        lease = find_or_start(self.place, self.options, cancel, self._what)
        return lease, self._on(lease, cancel, asked)

    @staticmethod
    def _on(lease: Lease, cancel: Cancel, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return lease.wait_for("borrow", cancel, **asked)
        except BaseException:
            lease.close()
            raise

    def _give_back(self, lease: Lease) -> None:
        """Keeps one lease for the next question, and to show the host that this program is there."""
        try:
            lease.ask("give_back")
        except EngineError:
            lease.close()
            return
        with self._lock:
            spare, self._kept = self._kept, lease
        if spare is not None:
            spare.close()

    def running(self) -> RunningModel | None:
        lease = find(self.place)
        if lease is None:
            return None
        with lease:
            said = lease.ask("status").get("loaded")
            return None if said is None else RunningModel.model_validate(said)

    def unload(self, model: Path) -> None:
        lease = find(self.place)
        if lease is not None:
            with lease:
                lease.ask("unload", model=str(model))

    def close(self) -> None:
        with self._lock:
            kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
