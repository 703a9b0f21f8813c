"""Ollama as a runtime."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from bbj_desktop.core.chat import LOADED_S, ChatEvent, ChatRequest, CompletionRequest, Finished, Message
from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, RuntimeStatus
from bbj_desktop.core.errors import (
    BBjDesktopError,
    Cancelled,
    DigestError,
    EngineMismatchError,
    EngineMissingError,
    EngineRefusedError,
    EngineTooOldError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.routes import Route, RouteDecision, choose_route, rewrites
from bbj_desktop.core.versions import InstalledVersion, PromptCheck, Registration, aliases_of
from bbj_desktop.services.runtime.answers import ChatLine, read_answer
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_link import RouteRefusedError, recover
from bbj_desktop.services.runtime.ollama_loopback import Blob
from bbj_desktop.services.runtime.ollama_mirror import NamedPulls
from bbj_desktop.services.runtime.ollama_place import OllamaPlace
from bbj_desktop.services.runtime.ollama_pull import sweep
from bbj_desktop.services.runtime.ollama_release import chat_of, completion_of, differences_from, served_digest
from bbj_desktop.services.runtime.ollama_routes import RouteTaker
from bbj_desktop.services.runtime.patience import Patience
from bbj_desktop.services.runtime.stopwatch import Stopwatch
from bbj_desktop.services.runtime.weights import weights_of

MIN_VERSION = "0.9.0"
"""The oldest version that the releases are made for (the makers' own choice, "v0.9.x+"). ``files`` in ``/api/create``
exists since 0.5.5, ``capabilities`` in ``/api/show`` since 0.6.4; measured were 0.24.0 and 0.33.0."""

_SERVICE_MODELS = Path("/usr/share/ollama/.ollama/models")
_NS = 1e-9
_HERE_HINT = "Start it (bbj-desktop ollama start), install it from ollama.com, or use the embedded engine."
_ELSEWHERE_HINT = "Have it started there, or set another ollama_host."


class OllamaRuntime:
    """Registers versions with an Ollama server and answers with them.

    A version gets a tag of its own (``version.key``); the active version also has the aliases of its model. A tag that
    exists and isn't ours is never replaced.

    Args:
        address: As in ``OLLAMA_HOST``; None or empty for the default.
        tls: For an https address; None trusts what the operating system trusts.
        options: Ollama options for every chat, over the release's: ``{"num_thread": 1}``.
        environment: Where ``OLLAMA_MODELS`` is looked up.
        notes: A folder of ours, for what is pending in Ollama's; without one no model is linked.
        routes: Those that may be taken.
        ask_first: Whether a newly registered version is asked a question.
        keep_alive_s: How long a model stays in memory after an answer; None leaves it to Ollama.
        patience: With answers.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        options: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] = os.environ,
        notes: Path | None = None,
        routes: Collection[Route] = tuple(Route),
        ask_first: bool = True,
        keep_alive_s: float | None = None,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience
        self._keep_alive_s = keep_alive_s
        self._tls = tls
        self._options = dict(options or {})
        self._environment = environment
        self._connected: OllamaApi | None = None
        self._bad_address: UserInputError | None = None
        try:
            self.address = parse_ollama_host(address or DEFAULT_ADDRESS)
        except UserInputError as error:  # said by status(): a wrong address must not stop the program
            self.address, self._bad_address = str(address), error
        self._notes = notes
        self._routes = routes
        self._ask_first = ask_first
        self._place = OllamaPlace(self.address, environment)

    @property
    def name(self) -> Literal["ollama"]:
        return "ollama"

    @property
    def _api(self) -> OllamaApi:
        if self._bad_address is not None:
            raise EngineMissingError(self._bad_address.message, hint=self._bad_address.hint)
        if self._connected is None:
            self._connected = OllamaApi(self.address, self._tls, self._patience)
        return self._connected

    def close(self) -> None:
        if self._connected is not None:
            self._connected.close()
            self._connected = None

    def status(self) -> RuntimeStatus:
        local = self._bad_address is None and is_local(self.address)
        common: dict[str, Any] = {
            "name": "ollama",
            "address": self.address,
            "local": local,
            "accelerators": OLLAMA_ACCELERATORS if local else None,
            "models_folder": models_folder(self._environment) if local else None,
        }
        try:
            version = self._usable_version()
        except EngineTooOldError as error:
            return RuntimeStatus(available=False, reason=str(error), version=error.found, **common)
        except EngineMissingError as error:
            hint = _HERE_HINT if local else _ELSEWHERE_HINT
            reason = str(error) if self._bad_address else f"No Ollama answers at {self.address}. {hint}"
            return RuntimeStatus(available=False, reason=reason, **common)
        except BBjDesktopError as error:
            return RuntimeStatus(available=False, reason=str(error), **common)
        return RuntimeStatus(available=True, version=version, copies=copies_of(version), **common)

    def _usable_version(self) -> str:
        version = self._api.version()
        if is_too_old(version):
            raise EngineTooOldError(
                f"Ollama {version} is too old: {MIN_VERSION} or newer is needed.",
                found=version,
                needs=MIN_VERSION,
                hint="Update Ollama, or use the embedded engine.",
            )
        return version

    def decide(self, store: Path, *, adapter: bool, file_here: bool, streams: bool) -> RouteDecision:
        """How a model would get into this Ollama, see ``choose_route``.

        Args:
            store: The folder of the store.
            adapter: The model is a base with an adapter.
            file_here: Its verified file is in the store.
            streams: It could be handed on while it is fetched.
        """
        facts = self._place.facts(self._usable_version(), store, adapter=adapter, file_here=file_here, streams=streams)
        return choose_route(facts)

    @property
    def models_folder(self) -> Path | None:
        """Where the local Ollama keeps its models, as it was found; None where that can't be looked at."""
        return self._place.models

    def blob_path(self, digest: str) -> Path | None:
        """Where the local Ollama keeps a blob; None where its folder can't be looked at."""
        models = self._place.models
        return None if models is None else models / "blobs" / digest.replace(":", "-")

    def register(self, version: InstalledVersion, report: Report, cancel: Cancel) -> Registration:
        """As the Protocol says, by the best route that works; where one turns out not to, by the next. Routes other
        than ``create`` must end with the signed digest. With ``create`` the digest that Ollama serves is recorded, not
        demanded: new versions rewrite the GGUF unless its metadata is already in their order.

        Raises:
            NotFoundError: The model file is gone.
            StoreError: The model file isn't whole.
            Cancelled: By ``cancel``. What is unfinished is mended the next time.
        """
        weights_of(version)
        cancel.check()
        self._usable_version()
        if self._notes is not None:
            recover(self._notes)
        served = self._as_registered(version)
        known = version.registration("ollama")
        if served is not None and known is not None:
            checked = self._checked_by_now(version, known, report, cancel)
            return known.model_copy(update={"tag": version.key, "served_digest": served, "prompt_check": checked})
        if served is not None:  # somebody was ended just before the end
            sweep(self._api, self._api.tags())
        route = self._take(version, report, cancel) if served is None else None
        aliases = known.aliases if known is not None else ()
        return self._registered(version, route, report, cancel).model_copy(update={"aliases": aliases})

    def _take(self, version: InstalledVersion, report: Report, cancel: Cancel) -> Route:
        """Raises EngineRefusedError when no route works."""
        adapter = version.variant.adapter is not None
        decision = self.decide(version.path.parent, adapter=adapter, file_here=True, streams=False)
        routes = tuple(route for route in decision.routes if route in self._routes)
        taker = self._taker()
        for route in routes:
            try:
                taker.take(route, version, report, cancel)
            except RouteRefusedError as error:
                report(Remark(f"Not by {route}: {error}"))
            else:
                return route
        raise EngineRefusedError(
            f"There is no way by which this Ollama takes {version.key}: {' '.join(decision.explained())}",
            hint="Install the release's whole variant, or use the embedded engine (--runtime embedded).",
        )

    def stream(
        self, version: InstalledVersion, files: Mapping[str, Blob], report: Report, cancel: Cancel
    ) -> Registration:
        """Registers a version whose files aren't here: Ollama pulls them from us while they are fetched.

        Args:
            version: Its paths needn't lead to files.
            files: Its files by digest; only verified bytes may come from them.

        Raises:
            EngineError, TransportError, TrustError: As ``register``, and what ``files`` raise.
        """
        self._usable_version()
        if self._as_registered(version) is None:
            self._taker().stream(version, files, report, cancel)
        return self._registered(version, Route.STREAM, report, cancel)

    def fetch_named(self, name: str, version: InstalledVersion, report: Report, cancel: Cancel) -> int:
        """Lets Ollama itself pull a model that has a version's files; what it pulled is dropped by ``drop_named``.

        Args:
            name: What to pull, with host and tag.
            version: Its paths needn't lead to files.

        Returns:
            Bytes that Ollama fetched.

        Raises:
            DigestError: It has other files; nothing of it stays.
            EngineError: Ollama couldn't, or wouldn't.
        """
        if self._notes is None or self._place.models is None:
            raise EngineRefusedError(f"Where Ollama keeps its models can't be seen, so that {name} isn't pulled.")
        self._usable_version()
        files = [part.file for part, _ in version.files]
        pulls = NamedPulls(self._api, self._notes)
        fetched = pulls.bring(name, files, report, cancel)
        for file in files:
            right = self._taker().hashed(file, report, cancel)
            if right is None:
                pulls.drop(name)
                raise EngineRefusedError(
                    f"What Ollama pulled as {name} can't be read here, so that nobody can verify it."
                )
            if not right:
                pulls.drop(name)
                raise DigestError(
                    f"What Ollama pulled as {name} has the signed name, but not the signed bytes.",
                    expected=file.digest,
                    actual="",
                    hint="Ollama's folder is damaged, or somebody changed it.",
                )
        return fetched

    def drop_named(self) -> None:
        """Removes the names that ``fetch_named`` left, here or in an earlier run. Raises EngineError."""
        if self._notes is not None:
            NamedPulls(self._api, self._notes).drop_all()

    def _taker(self) -> RouteTaker:
        return RouteTaker(self._api, self._place.models, self._notes)

    def _registered(
        self, version: InstalledVersion, route: Route | None, report: Report, cancel: Cancel
    ) -> Registration:
        """Judges what Ollama serves now under the version's tag.

        Args:
            route: How it got there; None when it was there already and nobody noted how.
        """
        served = self._verify(version, exact=route not in (None, Route.CREATE))
        signed = served == version.variant.file.digest
        verified = signed and self._bytes_are_right(version, report, cancel)
        if served is not None and not signed:
            report(Remark(f"Ollama rewrote the file of {version.key}: it serves {served}."))
        prompt_check = self._try(version, report, cancel) if self._ask_first else None
        return Registration(
            runtime="ollama",
            tag=version.key,
            route=route.value if route is not None else "found",
            served_digest=served,
            verified=verified,
            prompt_check=prompt_check,
        )

    def _bytes_are_right(self, version: InstalledVersion, report: Report, cancel: Cancel) -> bool:
        """Hashes what Ollama stores, where we can read it. Says whether all of it was hashed.

        Raises:
            EngineMismatchError: Ollama's blob isn't what its name says; the tag goes.
        """
        said = [self._taker().hashed(part.file, report, cancel) for part, _ in version.files]
        if False in said:
            self._api.delete(version.key)
            raise EngineMismatchError(
                f"What Ollama keeps for {version.key} isn't what was signed: a file in its folder is damaged.",
                hint="The tag was removed again. Remove Ollama's damaged model, then install the version again.",
            )
        return all(said)

    def _try(self, version: InstalledVersion, report: Report, cancel: Cancel) -> PromptCheck:
        """Renders the release's example and asks a first question.

        Raises:
            EngineMismatchError: The prompt isn't the one of the training; the tag goes.
            EngineError: No answer comes; the tag stays, and nothing points to it yet.
        """
        report(Step("try", f"Asking {version.key} a first question"))
        checked = self._rendering_checked(version, report, cancel)
        question = ChatRequest(messages=(Message(role="user", content="REM"),), max_tokens=1)
        for _ in self.chat(version, question, cancel):
            cancel.check()
        cancel.check()
        return checked

    def _checked_by_now(
        self, version: InstalledVersion, known: Registration, report: Report, cancel: Cancel
    ) -> PromptCheck | None:
        """Compares the prompt where that couldn't be done before: by an older program, or with an older Ollama."""
        done = known.prompt_check in (PromptCheck.EQUAL, PromptCheck.NO_EXAMPLE)
        if done or not self._ask_first or version.release.prompt.rendering is None:
            return known.prompt_check
        return self._rendering_checked(version, report, cancel)

    def _rendering_checked(self, version: InstalledVersion, report: Report, cancel: Cancel) -> PromptCheck:
        """Raises EngineMismatchError for another prompt; the tag goes."""
        try:
            return self._taker().check_rendering(version, report, cancel)
        except EngineMismatchError:
            self._api.delete(version.key)
            raise

    def _as_registered(self, version: InstalledVersion) -> str | None:
        """The digest served under the version's tag, if everything there is as it should be."""
        shown = self._api.show(version.key)
        if shown is None or differences_from(version, shown):
            return None
        known = version.registration("ollama")
        served = served_digest(shown.get("modelfile", ""))
        expected = {version.variant.file.digest, known.served_digest if known else None}
        return served if served in expected else None

    def _verify(self, version: InstalledVersion, *, exact: bool) -> str | None:
        """Compares what Ollama shows with the release; what differs doesn't stay.

        Args:
            exact: The digest must be the signed one, too.

        Raises:
            EngineMismatchError: It differs.
        """
        shown = self._api.show(version.key)
        if shown is None:
            raise EngineMismatchError(f"Ollama said that it created {version.key}, but it doesn't know it.")
        different = differences_from(version, shown)
        served = served_digest(shown.get("modelfile", ""))
        if exact and served != version.variant.file.digest:
            different = ("the digest", *different)
        if different:
            self._api.delete(version.key)
            raise EngineMismatchError(
                f"Ollama serves {version.key} with other parts than the release's: {', '.join(different)}.",
                hint="The tag was removed again. Update Ollama and try again, or use the embedded engine.",
            )
        return served

    def activate(self, version: InstalledVersion) -> tuple[str, ...]:
        """As the Protocol says. A name that somebody else gave to a model of theirs is left alone and isn't among the
        names returned.

        Raises:
            EngineRefusedError: The version isn't registered.
        """
        tags = self._api.tags()
        if version.key not in tags:
            raise EngineRefusedError(f"Ollama doesn't know {version.key}.", hint="Install the version again.")
        aliases = tuple(alias for alias in aliases_of(version.release) if _is_ours(alias, tags, version))
        for alias in aliases:
            if tags.get(alias) != tags[version.key]:
                self._api.copy(version.key, alias)
        return aliases

    def unregister(self, version: InstalledVersion, successor: InstalledVersion | None) -> None:
        tags = self._api.tags()
        sweep(self._api, tags)
        if version.key not in tags:
            return
        heir = successor.key if successor is not None and successor.key in tags else None
        for alias in aliases_of(version.release):
            if tags.get(alias) == tags[version.key]:
                if heir is None:
                    self._api.delete(alias)
                else:
                    self._api.copy(heir, alias)
        self._api.delete(version.key)

    def chat(self, version: InstalledVersion, request: ChatRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        body = self._kept(chat_of(version, request, self._options))
        return self._answer(lambda: self._api.chat(body, version.context_length, cancel))

    def complete(self, version: InstalledVersion, request: CompletionRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        body = self._kept(completion_of(version, request, self._options))
        return self._answer(lambda: self._api.generate(body, version.context_length, cancel))

    def _kept(self, body: dict[str, Any]) -> dict[str, Any]:
        if self._keep_alive_s is None:
            return body
        seconds = f"{self._keep_alive_s:.3f}".rstrip("0").rstrip(".")  # without an exponent, which Go doesn't read
        return {**body, "keep_alive": f"{seconds}s"}

    def _answer(self, ask: Callable[[], Generator[dict[str, Any]]]) -> Iterator[ChatEvent]:
        watch = Stopwatch()
        done = False
        try:
            with contextlib.closing(ask()) as lines:
                for line in lines:
                    said = read_answer(ChatLine, line, "Ollama")
                    if said.piece:
                        yield watch.piece(said.piece)
                    if said.done:
                        done = True
                        yield _finished(watch, said)
        except Cancelled:
            if not done:
                yield Finished(statistics=watch.statistics("cancelled"))

    def tags(self) -> tuple[str, ...]:
        """Empty when Ollama can't be reached."""
        try:
            return tuple(self._api.tags())
        except EngineMissingError:
            return ()

    def running(self) -> tuple[RunningModel, ...]:
        return self._api.running()

    def unload(self, version: InstalledVersion) -> None:
        self._api.unload(version.key)


def _finished(watch: Stopwatch, line: ChatLine) -> Finished:
    """From the numbers of the last line, durations in nanoseconds.

    ``prompt_eval_count`` has the tokens of the whole prompt, ``prompt_eval_duration`` the time for those that weren't
    remembered (``promptEvalCount`` in Ollama's ``llm/llama_server.go``): the two belong together only of a fresh model.
    """
    load_s = (line.load_duration or 0) * _NS
    return Finished(
        statistics=watch.statistics(
            "length" if line.done_reason == "length" else "stop",
            load_s=load_s,
            prompt_tokens=line.prompt_eval_count,
            prefill_tokens=line.prompt_eval_count if load_s >= LOADED_S else None,
            prefill_tokens_per_s=_rate(line.prompt_eval_count, line.prompt_eval_duration),
            answer_tokens=line.eval_count,
            decode_tokens_per_s=_rate(line.eval_count, line.eval_duration),
        )
    )


def _rate(count: int | None, duration: int | None) -> float | None:
    return count / (duration * _NS) if count and duration else None


def _is_ours(alias: str, tags: Mapping[str, str], version: InstalledVersion) -> bool:
    """Whether an alias is free, or a copy of a version's tag of ours (``bbj-coder:2026.1-7b-q4_k_m``)."""
    if alias not in tags:
        return True
    model = version.key.partition(":")[0]
    pattern = re.compile(rf"{re.escape(model)}:\d[\w.-]*-\d[\d.]*[mb]-[a-z0-9_]+")
    return any(pattern.fullmatch(tag) and digest == tags[alias] for tag, digest in tags.items())


def copies_of(version: str) -> int:
    """How many copies of a file lie in Ollama's folder while ``create`` takes it over: the upload; where it is
    rewritten also what ``llama-quantize COPY`` writes, and at the peak a third (measured, ``docs/ollama.md``)."""
    return 3 if rewrites(version) else 1


def is_too_old(version: str) -> bool:
    """Whether a version is below the least one; a build without a number (``0.0.0``) counts as new."""
    numbers = _numbers(version)
    return numbers != (0, 0, 0) and numbers < _numbers(MIN_VERSION)


def _numbers(version: str) -> tuple[int, ...]:
    found = [int(part) for part in re.findall(r"\d+", version.partition("-")[0])[:3]]
    return tuple(found + [0] * (3 - len(found)))


def models_folder(environment: Mapping[str, str]) -> Path:
    """Where the local Ollama keeps its models: ``OLLAMA_MODELS``, the Linux service's place, or the user's own.

    The service may have an ``OLLAMA_MODELS`` of its own, which can't be seen from here.
    """
    told = environment.get("OLLAMA_MODELS", "").strip().strip("\"'")
    if told:
        return Path(told)
    if sys.platform == "linux" and os.access(_SERVICE_MODELS, os.F_OK):  # is_dir() raises in a closed home folder
        return _SERVICE_MODELS
    return Path.home() / ".ollama" / "models"
