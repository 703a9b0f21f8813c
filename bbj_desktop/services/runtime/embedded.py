"""llama.cpp in a process of its own as a runtime."""

from __future__ import annotations

import contextlib
import functools
import json
import sys
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import httpx

from bbj_desktop.core.chat import ChatEvent, ChatRequest, CompletionRequest, Finished
from bbj_desktop.core.engines import RuntimeStatus, embedded_accelerators
from bbj_desktop.core.errors import Cancelled, EngineCrashedError, EngineError, EngineMissingError, EngineRefusedError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.release import Rendering
from bbj_desktop.core.versions import InstalledVersion, PromptCheck, Registration, aliases_of
from bbj_desktop.services.runtime.answers import Chunk, Timings, Usage, read_answer
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.engine import EngineConfig, EngineProgram, launch_child
from bbj_desktop.services.runtime.engine_version import engine_version
from bbj_desktop.services.runtime.lending import Lender, Loan, OwnEngine, Reachable
from bbj_desktop.services.runtime.ollama_refusal import too_long
from bbj_desktop.services.runtime.patience import Patience, Watchman
from bbj_desktop.services.runtime.processor import good_thread_count, has_avx2
from bbj_desktop.services.runtime.rendering import compare_prompt
from bbj_desktop.services.runtime.stopwatch import Stopwatch
from bbj_desktop.services.runtime.weights import stamp_of, weights_of
from bbj_desktop.services.runtime.wire import Wire, as_object

_NAME = "The embedded engine"
_DATA = "data: "
_BUILT_IN = EngineProgram()


class EmbeddedRuntime:
    """Answers with the verified file itself: nothing is copied. One model is loaded at a time.

    Args:
        state: Folder for the engine's log, where this program has an engine of its own.
        threads: To compute with; None takes the physical cores that may be used.
        lender: Who lends the engine; None takes a child process of this program.
        program: What computes.
        patience: With answers.
    """

    def __init__(
        self,
        state: Path,
        *,
        threads: int | None = None,
        lender: Lender | None = None,
        program: EngineProgram = _BUILT_IN,
        patience: Patience | None = None,
    ) -> None:
        self._patience = patience or Patience()
        self._threads = threads
        self._program = program
        self._lender: Lender = lender or OwnEngine(functools.partial(launch_child, state))

    @property
    def name(self) -> Literal["embedded"]:
        return "embedded"

    def status(self) -> RuntimeStatus:
        accelerators = embedded_accelerators(macos=sys.platform == "darwin")
        version, reason = engine_version(self._program)
        if not reason and self._program.name == "built-in" and has_avx2() is False:
            reason = "This processor has no AVX2, which the embedded engine needs. Use Ollama, or another machine."
        return RuntimeStatus(
            name="embedded", available=not reason, reason=reason, version=version, accelerators=accelerators
        )

    def register(self, version: InstalledVersion, report: Report, cancel: Cancel) -> Registration:
        """There is nothing to tell anybody: the template, the system prompt and the parameters go along with each
        start and request. The engine is asked what prompt it makes of the release's example; where it can't be asked
        now, that is said.

        Raises:
            NotFoundError: The model file is gone.
            StoreError: The model file isn't whole.
        """
        cancel.check()
        weights_of(version)
        known = version.registration("embedded")
        checked = known.prompt_check if known is not None else None
        if checked is not PromptCheck.EQUAL:
            checked = self._check_prompt(version, report, cancel)
        digest = version.variant.file.digest
        return Registration(runtime="embedded", tag=version.key, served_digest=digest, prompt_check=checked)

    def _check_prompt(self, version: InstalledVersion, report: Report, cancel: Cancel) -> PromptCheck:
        """Loads the model, which the first answer needs anyway. Raises EngineMismatchError for another prompt."""
        example = version.release.prompt.rendering
        if example is None:
            return PromptCheck.NO_EXAMPLE
        report(Step("try", f"Loading {version.key} and looking at the prompt that it gets"))
        model = RunningModel(name=version.key, digest=version.variant.file.digest)
        try:
            config = engine_config(version, self._program, self._threads)
            with self._lender.borrow(config, model, cancel) as loan, _told_why(loan):
                rendered = _shown_prompt(loan.engine, example, cancel)
        except EngineError as error:
            report(Remark(f"The prompt of {version.key} wasn't checked: {error.message}", level="warning"))
            return PromptCheck.FAILED
        return compare_prompt(version, rendered, _NAME if rendered is not None else "This engine", report)

    def activate(self, version: InstalledVersion) -> tuple[str, ...]:
        return aliases_of(version.release)

    def unregister(self, version: InstalledVersion, successor: InstalledVersion | None) -> None:
        del successor
        self.unload(version)

    def chat(self, version: InstalledVersion, request: ChatRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        return self._answer(version, "/v1/chat/completions", _body(version, request), cancel)

    def complete(self, version: InstalledVersion, request: CompletionRequest, cancel: Cancel) -> Iterator[ChatEvent]:
        return self._answer(version, "/v1/completions", _completion_body(version, request), cancel)

    def _answer(
        self, version: InstalledVersion, path: str, body: dict[str, Any], cancel: Cancel
    ) -> Iterator[ChatEvent]:
        watch = Stopwatch()
        load_s = 0.0
        model = RunningModel(name=version.key, digest=version.variant.file.digest)
        try:
            config = engine_config(version, self._program, self._threads)
            with self._lender.borrow(config, model, cancel) as loan:
                load_s = watch.elapsed_s if loan.fresh else 0.0
                with (
                    _told_why(loan),
                    contextlib.closing(
                        _stream(loan.engine, version, path, body, cancel, Watchman(self._patience))
                    ) as chunks,
                ):
                    yield from _events(chunks, watch, load_s)
        except Cancelled:
            yield Finished(statistics=watch.statistics("cancelled", load_s=load_s))

    def tags(self) -> tuple[str, ...]:
        return ()

    def running(self) -> tuple[RunningModel, ...]:
        running = self._lender.running()
        return () if running is None else (running,)

    def unload(self, version: InstalledVersion) -> None:
        self._lender.unload(version.path)

    def close(self) -> None:
        self._lender.close()


def engine_config(version: InstalledVersion, program: EngineProgram, threads: int | None = None) -> EngineConfig:
    """What an engine is started with for a version.

    Args:
        threads: None takes the physical cores that may be used.

    Raises:
        NotFoundError: A file of it is gone.
        StoreError: A file of it isn't whole.
    """
    model = weights_of(version)
    return EngineConfig(
        model=model,
        context_length=version.context_length,
        chat_template=version.release.prompt.jinja_template,
        threads=threads or good_thread_count(),
        adapter=version.adapter_path,
        program=program.name,
        executable=program.executable,
        stamp=stamp_of(version),
    )


@contextlib.contextmanager
def _told_why(loan: Loan) -> Iterator[None]:
    """Says why the engine ended, which says more than the broken connection that it was noticed by. The next request
    starts a new one."""
    try:
        yield
    except (EngineCrashedError, EngineMissingError) as error:
        reason = loan.engine.obituary()
        if reason is None:
            raise
        raise reason from error


def _body(version: InstalledVersion, request: ChatRequest) -> dict[str, Any]:
    """The body of ``POST /v1/chat/completions`` with the release's parameters.

    ``top_k`` and ``min_p`` are Ollama's defaults, so that both runtimes sample alike. Reused prompt parts change the
    last bits of the numbers, so a request with a seed, which wants to be repeatable, goes without.
    """
    prompt = version.release.prompt
    system = prompt.system if request.system is None else request.system
    messages = [{"role": "system", "content": system}] if system else []
    body = _sampling(version, request.temperature, request.max_tokens, request.seed)
    return body | {"messages": messages + [message.model_dump() for message in request.messages]}


def _completion_body(version: InstalledVersion, request: CompletionRequest) -> dict[str, Any]:
    """The body of ``POST /v1/completions``: a prompt as it is. (``/infill`` orders the tokens its own way, puts a name
    of a repository and of a file in front, and cuts silently at a batch.)

    Control tokens come out of llama.cpp as no text at all, so as stop words they stop only when they are preserved.
    """
    body = _sampling(version, request.temperature, request.max_tokens, request.seed)
    stop = list(dict.fromkeys((*body["stop"], *request.stop)))
    return body | {"prompt": request.prompt, "stop": stop, "preserved_tokens": stop}


def _sampling(
    version: InstalledVersion, temperature: float | None, max_tokens: int | None, seed: int | None
) -> dict[str, Any]:
    """What both kinds of requests have in common."""
    parameters = version.release.prompt.parameters
    body: dict[str, Any] = {
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": parameters.temperature if temperature is None else temperature,
        "top_p": parameters.top_p,
        "top_k": 40,
        "min_p": 0.0,
        "repeat_penalty": 1.0 if parameters.repeat_penalty is None else parameters.repeat_penalty,
        "stop": list(parameters.stop),
        "cache_prompt": seed is None,
    }
    limits = {"max_tokens": max_tokens or parameters.max_tokens, "seed": seed}
    return body | {name: value for name, value in limits.items() if value is not None}


def _shown_prompt(engine: Reachable, example: Rendering, cancel: Cancel) -> str | None:
    """What llama.cpp's server makes of a conversation (``POST /apply-template``); None where there is no such call."""
    wire = Wire(engine.address, _NAME, headers={"Authorization": f"Bearer {engine.key}"}, verify=False)
    body = {"messages": [message.model_dump() for message in example.messages]}
    with (
        contextlib.closing(wire),
        wire.open("POST", "/apply-template", body=body, cancel=cancel) as response,
    ):
        text = response.read().decode(errors="replace")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        if response.status_code != httpx.codes.OK:
            raise _refusal(text, 0)
    prompt = as_object(text, _NAME).get("prompt")
    return prompt if isinstance(prompt, str) else None


def _stream(
    engine: Reachable,
    version: InstalledVersion,
    path: str,
    body: dict[str, Any],
    cancel: Cancel,
    watchman: Watchman,
) -> Generator[Mapping[str, Any]]:
    """The chunks of an answer. Closing the connection, by ``cancel`` or by leaving, stops the engine's work."""
    wire = Wire(engine.address, _NAME, headers={"Authorization": f"Bearer {engine.key}"}, verify=False)
    with (
        contextlib.closing(wire),
        wire.open("POST", path, body=body, cancel=cancel, watchman=watchman) as response,
    ):
        if response.status_code != httpx.codes.OK:
            raise _refusal(response.read().decode(errors="replace"), version.context_length)
        for line in watchman.over(_said(response)):
            if line == f"{_DATA}[DONE]":
                return
            if line.startswith("error"):  # a line of its own kind: "error: {…}"
                raise _refusal(line.partition(":")[2], version.context_length)
            if line.startswith(_DATA):
                chunk = as_object(line.removeprefix(_DATA), _NAME)
                if "error" in chunk:
                    raise _refusal(json.dumps(chunk), version.context_length)
                yield chunk
    raise EngineCrashedError(f"{_NAME} broke off in the middle of the answer.", hint="Ask again.")


def _said(response: httpx.Response) -> Iterator[str]:
    """The lines that say something: empty ones, and comments that only keep a connection open, aren't news."""
    return (line for line in response.iter_lines() if line and not line.startswith(":"))


def _events(chunks: Iterator[Mapping[str, Any]], watch: Stopwatch, load_s: float) -> Iterator[ChatEvent]:
    stop_reason: Literal["stop", "length"] = "stop"
    usage, timings = Usage(), Timings()
    for each in chunks:
        chunk = read_answer(Chunk, each, _NAME)
        usage = chunk.usage or usage
        timings = chunk.timings or timings
        for choice in chunk.choices or ():
            if choice.piece:
                yield watch.piece(choice.piece)
            if choice.finish_reason == "length":
                stop_reason = "length"
    yield Finished(
        statistics=watch.statistics(
            stop_reason,
            load_s=load_s,
            prompt_tokens=usage.prompt_tokens,
            prefill_tokens=timings.prompt_n,
            prefill_tokens_per_s=timings.prompt_per_second,
            answer_tokens=usage.completion_tokens,
            decode_tokens_per_s=timings.predicted_per_second,
        )
    )


def _refusal(text: str, context_length: int) -> EngineError:
    """llama.cpp's ``{"error": {"code", "message", "type", …}}``."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    details = said.get("error") if isinstance(said, dict) else None
    if not isinstance(details, dict):
        details = {}
    if details.get("type") == "exceed_context_size_error":
        return too_long(details.get("n_prompt_tokens"), context_length)
    return EngineRefusedError(f"{_NAME} refused: {details.get('message') or text[:200]}.", hint="Its log says more.")
