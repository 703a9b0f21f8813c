"""Ollama as a runtime."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from bbj_desktop.core.chat import ChatEvent, ChatRequest, Finished
from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, RuntimeStatus
from bbj_desktop.core.errors import (
    BBjDesktopError,
    Cancelled,
    EngineMismatchError,
    EngineMissingError,
    EngineRefusedError,
    EngineTooOldError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.versions import InstalledVersion, Registration, aliases_of
from bbj_desktop.services.runtime.answers import ChatLine, read_answer
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_release import chat_of, creation_of, differences_from, served_digest
from bbj_desktop.services.runtime.stopwatch import Stopwatch
from bbj_desktop.services.runtime.weights import weights_of

MIN_VERSION = "0.9.0"
"""The oldest version that the releases are made for (the makers' own choice, "v0.9.x+"). ``files`` in ``/api/create``
exists since 0.5.5, ``capabilities`` in ``/api/show`` since 0.6.4; measured were 0.24.0 and 0.33.0."""

_REWRITES_FROM = (0, 30, 0)
_SERVICE_MODELS = Path("/usr/share/ollama/.ollama/models")
_NS = 1e-9
_INSTALL_HINT = "Install it from ollama.com, or start it (ollama serve); or use the embedded engine."


class OllamaRuntime:
    """Registers versions with an Ollama server and answers with them.

    A version gets a tag of its own (``version.key``); the active version also has the aliases of its model. A tag that
    exists and isn't ours is never replaced.

    Args:
        address: As in ``OLLAMA_HOST``; None or empty for the default.
        tls: For an https address; None trusts what the operating system trusts.
        options: Ollama options for every chat, over the release's: ``{"num_thread": 1}``.
        environment: Where ``OLLAMA_MODELS`` is looked up.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        options: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._tls = tls
        self._options = dict(options or {})
        self._environment = environment
        self._connected: OllamaApi | None = None
        self._bad_address: UserInputError | None = None
        try:
            self.address = parse_ollama_host(address or DEFAULT_ADDRESS)
        except UserInputError as error:  # said by status(): a wrong address must not stop the program
            self.address, self._bad_address = str(address), error

    @property
    def name(self) -> Literal["ollama"]:
        return "ollama"

    @property
    def _api(self) -> OllamaApi:
        if self._bad_address is not None:
            raise EngineMissingError(self._bad_address.message, hint=self._bad_address.hint)
        if self._connected is None:
            self._connected = OllamaApi(self.address, self._tls)
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
            reason = str(error) if self._bad_address else f"No Ollama answers at {self.address}. {_INSTALL_HINT}"
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

    def register(self, version: InstalledVersion, report: Report, cancel: Cancel) -> Registration:
        """As the Protocol says. The digest that Ollama serves is recorded, not demanded: new versions rewrite the
        GGUF on ``create`` unless its metadata is already in their order.

        Raises:
            NotFoundError: The model file is gone.
            StoreError: The model file isn't whole.
            Cancelled: By ``cancel``. What is unfinished is mended the next time.
        """
        weights_of(version)
        cancel.check()
        self._usable_version()
        served = self._as_registered(version)
        if served is None:
            for part, path in version.files:
                self._upload(version, part.file.digest, path, report, cancel)
            self._create(version, report, cancel)
            served = self._verify(version)
        if served is not None and served != version.variant.file.digest:
            report(Remark(f"Ollama rewrote the file of {version.key}: it serves {served}."))
        known = version.registration("ollama")
        return Registration(
            runtime="ollama",
            tag=version.key,
            aliases=known.aliases if known else (),
            route="create",
            served_digest=served,
        )

    def _create(self, version: InstalledVersion, report: Report, cancel: Cancel) -> None:
        report(Step("create", f"Registering {version.key} with Ollama"))
        try:
            for _ in self._api.create(creation_of(version), cancel):
                cancel.check()
        except EngineRefusedError as error:
            if version.variant.adapter is None or not _is_about_adapters(error):
                raise
            raise EngineRefusedError(
                f"This Ollama takes no adapters, which {version.key} has: {error.message}",
                hint="Install the release's whole variant, or use the embedded engine (--runtime embedded).",
            ) from error

    def _upload(self, version: InstalledVersion, digest: str, path: Path, report: Report, cancel: Cancel) -> None:
        if not self._api.has_blob(digest, cancel):
            report(Step("upload", f"Handing {version.key} to Ollama"))
            self._api.upload(path, digest, report, cancel)

    def _as_registered(self, version: InstalledVersion) -> str | None:
        """The digest served under the version's tag, if everything there is as it should be."""
        shown = self._api.show(version.key)
        if shown is None or differences_from(version, shown):
            return None
        known = version.registration("ollama")
        served = served_digest(shown.get("modelfile", ""))
        expected = {version.variant.file.digest, known.served_digest if known else None}
        return served if served in expected else None

    def _verify(self, version: InstalledVersion) -> str | None:
        """Compares what Ollama shows with the release; what differs doesn't stay.

        Raises:
            EngineMismatchError: It differs.
        """
        shown = self._api.show(version.key)
        if shown is None:
            raise EngineMismatchError(f"Ollama said that it created {version.key}, but it doesn't know it.")
        different = differences_from(version, shown)
        if different:
            self._api.delete(version.key)
            raise EngineMismatchError(
                f"Ollama serves {version.key} with other parts than the release's: {', '.join(different)}.",
                hint="The tag was removed again. Update Ollama and try again, or use the embedded engine.",
            )
        return served_digest(shown.get("modelfile", ""))

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
        watch = Stopwatch()
        done = False
        try:
            body = chat_of(version, request, self._options)
            with contextlib.closing(self._api.chat(body, version.context_length, cancel)) as lines:
                for line in lines:
                    said = read_answer(ChatLine, line, "Ollama")
                    if said.message is not None and said.message.content:
                        yield watch.piece(said.message.content)
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


def _is_about_adapters(error: EngineRefusedError) -> bool:
    return "adapter" in error.message.lower()


def _finished(watch: Stopwatch, line: ChatLine) -> Finished:
    """From the numbers of the last line, durations in nanoseconds."""
    return Finished(
        statistics=watch.statistics(
            "length" if line.done_reason == "length" else "stop",
            load_s=(line.load_duration or 0) * _NS,
            prompt_tokens=line.prompt_eval_count,
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
    """How many copies of a file lie in Ollama's folder while it is registered: the upload; from 0.30 on also what
    ``llama-quantize COPY`` writes, and at the peak a third (measured, ``docs/ollama.md``, first table)."""
    return 1 if (0, 0, 0) < _numbers(version) < _REWRITES_FROM else 3


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
    if sys.platform == "linux" and _SERVICE_MODELS.is_dir():
        return _SERVICE_MODELS
    return Path.home() / ".ollama" / "models"
