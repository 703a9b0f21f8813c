"""The detached process that owns the engine. It holds no native code: the engine is its child, and ends with it.

Started by the first client, found by the others through the discovery file, it lends the engine out: a client that
wants to ask borrows it with the configuration it needs, and gives it back when it has its answer. Requests to the
engine itself go to it directly and not through here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from bbj_desktop.core.errors import (
    BBjDesktopError,
    Cancelled,
    EngineError,
    EngineMissingError,
    EngineRefusedError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.runtime.embedded_host.channel import (
    HANDSHAKE_TIMEOUT_S,
    error_to_json,
    from_line,
    new_nonce,
    proof,
    proves,
    to_line,
)
from bbj_desktop.services.runtime.embedded_host.login import Anchor, LoginWatch, logind_state
from bbj_desktop.services.runtime.embedded_host.record import PROTOCOL
from bbj_desktop.services.runtime.engine import Engine, EngineConfig, Launch
from bbj_desktop.services.runtime.resident import resident_bytes

MAX_CLIENTS = 64
MAX_STRANGERS = 32
"""Connections that haven't proved yet that they know the key. Anybody on this machine can open one; when there are too
many the oldest has to go, so that nobody can keep the user's own programs out."""
_TICK_S = 1.0
_WATCH_S = 10.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What a host is started with.

    Attributes:
        folder: Of the discovery file.
        state: For logs.
        unload_s: Frees the model's memory after so many seconds without a question.
        exit_s: Ends after so many seconds without a client.
        app_version: Of the program that starts it.
        gateway: ``DoorOptions`` of a gateway that is open from the start; None for none.
    """

    folder: str
    state: str
    unload_s: float
    exit_s: float
    app_version: str
    gateway: dict[str, Any] | None = None


def config_to_json(config: EngineConfig) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(config).items()}


def config_from_json(said: object) -> EngineConfig:
    """Raises EngineRefusedError when it isn't one."""
    try:
        given: dict[str, Any] = dict(said)  # type: ignore[call-overload]  # anything else is a TypeError
        for name in (each.name for each in fields(EngineConfig) if "Path" in str(each.type)):
            if given.get(name) is not None:
                given[name] = Path(given[name])
        return EngineConfig(**given)
    except (TypeError, ValueError) as error:
        raise EngineRefusedError(f"The engine's host doesn't understand this request: {error}.") from error


@dataclass(frozen=True, slots=True)
class Loan:
    """An engine that somebody uses now.

    Attributes:
        number: Which start of the engine it is.
        fresh: It was started for this loan.
    """

    engine: Engine
    number: int
    fresh: bool


@dataclass(slots=True)
class _Lease:
    pid: int
    what: str
    since: float = field(default_factory=time.time)


class Owner:
    """Owns the one engine and decides who may use it.

    Several may use it at once as long as they want the same model; whoever wants another one waits until they are done,
    and who comes later waits behind.

    Args:
        launch: Starts an engine; blocks, on a thread.
    """

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._turn = asyncio.Condition()
        self._queue: list[object] = []
        self._telling: set[asyncio.Task[None]] = set()
        self._engine: Engine | None = None
        self._obituaries: dict[int, EngineError] = {}
        self.number = 0
        self.label: dict[str, Any] = {}
        """What whoever borrowed last calls the model: a ``RunningModel``."""
        self.users = 0
        self.last_use = time.monotonic()
        self.last_crash: EngineError | None = None
        self.crashes = 0

    @property
    def loaded(self) -> EngineConfig | None:
        return self._engine.config if self._engine is not None and self._engine.alive else None

    @property
    def idle_s(self) -> float:
        """Seconds that a model has been in memory without anybody using it; 0 when there is none."""
        return 0.0 if self.users or self.loaded is None else time.monotonic() - self.last_use

    @property
    def engine_pid(self) -> int | None:
        process = getattr(self._engine, "process", None)
        return None if process is None or self.loaded is None else int(process.pid)

    @contextlib.asynccontextmanager
    async def lent(self, config: EngineConfig) -> Any:
        """The engine with that configuration, for as long as the block runs. Yields a Loan."""
        loan = await self._lend(config)
        try:
            yield loan
        finally:
            self.users -= 1
            self.last_use = time.monotonic()
            telling = asyncio.create_task(self._tell())  # whoever waits must hear it, even when this is being cancelled
            self._telling.add(telling)
            telling.add_done_callback(self._telling.discard)

    async def _tell(self) -> None:
        async with self._turn:
            self._turn.notify_all()

    async def _lend(self, config: EngineConfig) -> Loan:
        """In the order of asking, so that nobody waits for ever behind answers of another model that overlap."""
        async with self._turn:
            place = object()
            self._queue.append(place)
            try:
                await self._turn.wait_for(lambda: self._queue[0] is place and self._may_have(config))
                if not self._fits(config):
                    await self._end()
                fresh = self._engine is None
                if self._engine is None:
                    self._engine = await self._start(config)
                    self.number += 1
                self.users += 1
                self.last_use = time.monotonic()
                return Loan(self._engine, self.number, fresh)
            finally:
                self._queue.remove(place)
                self._turn.notify_all()

    def _may_have(self, config: EngineConfig) -> bool:
        """Nobody uses another engine that lives."""
        return self.loaded is None or not self.users or self._fits(config)

    def _fits(self, config: EngineConfig) -> bool:
        return self._engine is not None and self._engine.alive and self._engine.config == config

    async def _start(self, config: EngineConfig) -> Engine:
        """Leaving it, because the client went away, ends what was started."""
        cancel = Cancel()
        log.info("loading %s, %d tokens of context", config.model.name, config.context_length)
        job = asyncio.create_task(asyncio.to_thread(self._launch, config, cancel))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            cancel.cancel()
            with contextlib.suppress(Cancelled, EngineError):
                await asyncio.to_thread((await job).close)
            raise
        except EngineError as error:
            self._note(error)
            raise
        except OSError as error:  # no process, no memory, no descriptor left
            raise EngineMissingError(f"The embedded engine can't be started: {error}.") from error

    async def look_after(self) -> None:
        """Ends an engine that somebody waits for and that hangs; whoever waits is told by their broken connection."""
        if self.users and self.loaded is not None:
            await self.obituary(self.number)

    async def obituary(self, number: int) -> EngineError | None:
        """Why the engine of that start ended; None while it lives."""
        if number == self.number and self._engine is not None:
            died = await asyncio.to_thread(self._engine.obituary)
            if died is not None and number not in self._obituaries:
                self._bury(number, died)
        return self._obituaries.get(number)

    def _bury(self, number: int, died: EngineError) -> None:
        self._obituaries[number] = died
        self._note(died)

    def _note(self, error: EngineError) -> None:
        self.last_crash, self.crashes = error, self.crashes + 1
        log.warning("%s", error.message)

    async def _end(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        if not engine.alive and self.number not in self._obituaries:
            died = await asyncio.to_thread(engine.obituary)
            if died is not None:
                self._bury(self.number, died)
        await asyncio.to_thread(engine.close)

    async def unload(self, *, only_if_idle: bool, model: str | None = None) -> bool:
        """Ends the engine. Returns whether there was one to end.

        Args:
            only_if_idle: Leaves one alone that somebody uses.
            model: Path of the model it must have; None takes any.
        """
        async with self._turn:
            engine = self._engine
            if engine is None or (model is not None and str(engine.config.model) != model):
                return False
            if only_if_idle and self.users and engine.alive:
                return False
            await self._end()
            self._turn.notify_all()
            return True


def _full() -> EngineRefusedError:
    return EngineRefusedError(f"{MAX_CLIENTS} programs use the engine already.", hint="Close some of them.")


Service = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Host:
    """Talks with the clients.

    Args:
        options: How it was started.
        key: That clients must know.
        owner: Of the engine.
    """

    def __init__(self, options: HostOptions, key: str, owner: Owner) -> None:
        self.options = options
        self.owner = owner
        self.ended = asyncio.Event()
        self.services: dict[str, Service] = {
            "status": self._status,
            "obituary": self._obituary,
            "unload": self._unload,
            "stop": self._stop,
        }
        self.keeps_running: Callable[[], bool] = lambda: False
        """Whether something besides the clients wants it to stay."""
        self.describe: Callable[[], dict[str, Any]] = dict
        """What that something adds to the status."""
        self._key = key
        self._clients: dict[int, _Lease] = {}
        self._login = LoginWatch.begin()
        self._last_lease = time.monotonic()
        self._started = time.time()
        self._connections: set[asyncio.Task[None]] = set()
        self._strangers: dict[asyncio.Task[None], None] = {}  # the oldest first

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first line to its end."""
        task = asyncio.current_task()
        if task is None:
            return
        if len(self._strangers) >= MAX_STRANGERS:
            next(iter(self._strangers)).cancel()
        self._connections.add(task)
        self._strangers[task] = None
        try:
            try:
                async with asyncio.timeout(HANDSHAKE_TIMEOUT_S):
                    hello = await self._handshake(reader, writer)
            finally:
                del self._strangers[task]
            if hello is not None:
                await self._serve(hello, reader, writer)
        except (TimeoutError, OSError, ValueError, EngineError, asyncio.CancelledError):
            pass  # it went away, or is none of ours: there is nobody to tell
        finally:
            self._connections.discard(task)
            writer.close()

    async def _handshake(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, Any] | None:
        nonce = new_nonce()
        writer.write(to_line({"nonce": nonce}))
        said = from_line(await reader.readline())
        theirs = str(said.get("nonce"))
        if not proves(said.get("proof"), self._key, "client", nonce, theirs):
            log.warning("refused a connection that doesn't know the key")
            return None
        answer = {"proof": proof(self._key, "host", theirs, nonce)}
        writer.write(to_line(answer | {"app_version": self.options.app_version, "protocol": PROTOCOL}))
        await writer.drain()
        hello = said.get("hello")
        return hello if isinstance(hello, dict) else {}

    async def _serve(self, hello: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            await reader.readline()
            writer.write(to_line({"error": error_to_json(_full())}))
            return
        lease = _Lease(pid=int(hello.get("pid", 0)), what=str(hello.get("what", ""))[:40])
        if isinstance(hello.get("anchor"), list):
            pid, created = hello["anchor"]
            self._login.anchors.add(Anchor(int(pid), float(created), str(hello.get("anchor_mark", ""))))
        number = id(lease)
        self._clients[number] = lease
        try:
            async with contextlib.AsyncExitStack() as loans:
                while line := await reader.readline():
                    await self._obey(from_line(line), loans, reader, writer)
        finally:
            del self._clients[number]
            self._last_lease = time.monotonic()

    async def _obey(
        self,
        said: dict[str, Any],
        loans: contextlib.AsyncExitStack,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        try:
            if said.get("do") == "borrow":
                answer = await self._lend(said, loans, reader)
            elif said.get("do") == "give_back":
                await loans.aclose()
                answer = {}
            elif service := self.services.get(str(said.get("do"))):
                answer = await service(said)
            else:
                raise UserInputError(f"The engine's host knows no {said.get('do')!r}.", hint="Is it an older one?")
            writer.write(to_line({"ok": answer}))
        except BBjDesktopError as error:
            writer.write(to_line({"error": error_to_json(error)}))
        await writer.drain()

    async def _lend(
        self, said: dict[str, Any], loans: contextlib.AsyncExitStack, reader: asyncio.StreamReader
    ) -> dict[str, Any]:
        """A loan lasts as long as its connection. Nothing more may be said until the engine is there, so that any
        news from the client is that it has gone, which ends the loading."""
        waiting = asyncio.create_task(loans.enter_async_context(self.owner.lent(config_from_json(said.get("config")))))
        gone = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait({waiting, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                raise ConnectionResetError
            loan: Loan = waiting.result()
        finally:
            for task in (waiting, gone):
                task.cancel()
            await asyncio.gather(waiting, gone, return_exceptions=True)
        model = said.get("model")
        self.owner.label = model if isinstance(model, dict) else {}
        engine = loan.engine
        return {"engine": loan.number, "address": engine.address, "key": engine.key, "fresh": loan.fresh}

    async def _status(self, said: dict[str, Any]) -> dict[str, Any]:
        del said
        loaded = self.owner.loaded
        crash = self.owner.last_crash
        return {
            "pid": os.getpid(),
            "started": self._started,
            "app_version": self.options.app_version,
            "clients": [{"pid": each.pid, "what": each.what, "since": each.since} for each in self._clients.values()],
            "loaded": None
            if loaded is None
            else {"name": loaded.model.name} | self.owner.label | {"size_bytes": resident_bytes(self.owner.engine_pid)},
            "model": None if loaded is None else str(loaded.model),
            "context_length": None if loaded is None else loaded.context_length,
            "engine_pid": self.owner.engine_pid,
            "answering": self.owner.users,
            "starts": self.owner.number,
            "crashes": self.owner.crashes,
            "last_crash": None if crash is None else error_to_json(crash),
            "unload_s": self.options.unload_s,
            "exit_s": self.options.exit_s,
            **self.describe(),
        }

    async def _obituary(self, said: dict[str, Any]) -> dict[str, Any]:
        died = await self.owner.obituary(int(said.get("engine", 0)))
        return {"error": None if died is None else error_to_json(died)}

    async def _unload(self, said: dict[str, Any]) -> dict[str, Any]:
        model = said.get("model")
        unloaded = await self.owner.unload(only_if_idle=False, model=None if model is None else str(model))
        return {"unloaded": unloaded}

    async def _stop(self, said: dict[str, Any]) -> dict[str, Any]:
        """``only_if_unused``: not when there is any client besides the one who asks."""
        unused = len(self._clients) <= 1 and not self.keeps_running()
        stops = unused or not said.get("only_if_unused")
        if stops:
            self.ended.set()
        return {"stops": stops}

    async def keep_house(self) -> None:
        """Until it is time to end."""
        watching = asyncio.create_task(self._watch())
        try:
            await self._house()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_S)
            await self.owner.look_after()

    async def _house(self) -> None:
        tick_s = min(_TICK_S, self.options.exit_s / 4, self.options.unload_s / 4)
        while not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), max(tick_s, 0.02))
            await self._tidy()

    async def _tidy(self) -> None:
        now, leases = time.monotonic(), len(self._clients)
        if self._login.over(logind_state(), leases=leases):
            log.info("ends with its login session")
            self.ended.set()
        elif not leases and not self.keeps_running() and now - self._last_lease >= self.options.exit_s:
            log.info("ends: nobody needs it")
            self.ended.set()
        elif self.owner.idle_s >= self.options.unload_s and await self.owner.unload(only_if_idle=True):
            log.info("freed the model's memory: no question for %g s", self.options.unload_s)

    async def close(self) -> None:
        """Ends the conversations and the engine."""
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self.owner.unload(only_if_idle=False)
