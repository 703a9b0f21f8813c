"""Talking to an installed version."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

from bbj_desktop.actions.connected import connected_elsewhere, connected_versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.drifting import refuse_drifted
from bbj_desktop.actions.learning import Learner
from bbj_desktop.core.budget import Room, TokenCounter
from bbj_desktop.core.chat import ChatEvent, ChatRequest, Delta, Finished, Message
from bbj_desktop.core.errors import EngineMissingError, NotFoundError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.base import Runtime
from bbj_desktop.services.runtime.vocabulary import tokenizer_of


class Conversation:
    """Questions and answers with one version. What was asked and answered goes along with the next question.

    Attributes:
        version: The version that answers.
        runtime: What runs it.
        messages: The conversation so far; an answer that was stopped is kept as far as it came.

    Args:
        counter: Makes what counts the version's tokens; asked at the first question. Without it they are estimated.
        learner: Measures the answers; None for nobody.
    """

    def __init__(
        self,
        version: InstalledVersion,
        runtime: Runtime,
        counter: Callable[[], TokenCounter] | None = None,
        learner: Learner | None = None,
    ) -> None:
        self.version = version
        self.runtime = runtime
        self.messages: tuple[Message, ...] = ()
        self._make_counter = counter
        self._learner = learner

    @functools.cached_property
    def _counter(self) -> TokenCounter:
        if self._make_counter is None:
            return TokenCounter(None, self.version.release.prompt, self.version.context_length)
        return self._make_counter()

    @property
    def remark(self) -> str:
        """What the first answer showed of where the model lies; empty when there is nothing to say."""
        return "" if self._learner is None else self._learner.remark

    def room(self, text: str = "") -> Room:
        """What the conversation takes of the context, with another question."""
        asked = (Message(role="user", content=text),) if text else ()
        return self._counter.room((*self.messages, *asked))

    def ask(
        self,
        text: str,
        cancel: Cancel,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> Iterator[ChatEvent]:
        """Asks and yields the answer as it comes: Delta…, then Finished.

        A question that fails leaves the conversation as it was, so that it can be asked again. The answer is bounded
        by what the context has left.

        Raises:
            ContextFullError: The conversation is too long; nothing was sent.
            EngineError: The runtime fails.
        """
        asked = (*self.messages, Message(role="user", content=text))
        room = self._counter.room(asked)
        room.refuse_too_long()
        limit = room.bounded(max_tokens or self.version.release.prompt.parameters.max_tokens)
        request = ChatRequest(messages=asked, seed=seed, max_tokens=limit, temperature=temperature)
        pieces: list[str] = []
        for event in self.runtime.chat(self.version, request, cancel):
            if isinstance(event, Delta):
                pieces.append(event.text)
            elif pieces:
                self.messages = (*asked, Message(role="assistant", content="".join(pieces)))
            if isinstance(event, Finished) and self._learner is not None:
                self._learner.learn(event.statistics)
            yield event

    def too_many(self, text: str) -> int | None:
        """How many of the oldest questions, with their answers, are to be left out for one that was refused as too
        long; None when it wouldn't fit alone. Where tokens are estimated, one at least."""
        question = Message(role="user", content=text)
        starts = [number for number, each in enumerate(self.messages) if each.role == "user"]
        for turns, start in enumerate((*starts[1:], len(self.messages)), 1):
            if not self._counter.room((*self.messages[start:], question)).too_long:
                return turns if starts else None
        return None

    def leave_out(self, turns: int) -> int:
        """Forgets the oldest questions with their answers. Returns how many: not more than there are."""
        starts = [number for number, each in enumerate(self.messages) if each.role == "user"]
        left_out = min(turns, len(starts))
        self.messages = self.messages[[*starts, len(self.messages)][left_out] :]
        return left_out

    def reset(self) -> None:
        """Forgets what was said."""
        self.messages = ()


def open_conversation(context: Context, text: str | None = None) -> Conversation:
    """Chooses the version and its runtime; nothing is loaded before the first question.

    Args:
        text: Key (or a unique part) of the version; None takes the active chat version, the largest when there are
            several.

    Raises:
        NotFoundError: Nothing (like it) is installed.
        EngineMissingError: No runtime that knows the version can be used now.
        EngineMismatchError: Somebody changed the version in Ollama.
    """
    version, runtime = answering(context, text, Role.CHAT)
    return Conversation(version, runtime, lambda: token_counter(context, version), Learner(context, version, runtime))


def answering(context: Context, text: str | None, role: Role) -> tuple[InstalledVersion, Runtime]:
    """The version that is to answer, and what runs it. Raises as ``open_conversation``.

    Args:
        text: Key (or a unique part) of the version; None takes the active one of the role.
    """
    version = _version_for(context, text, role)
    runtime = _runtime_for(context, version)
    if runtime.name == "ollama":
        refuse_drifted(context, version)
    return version, runtime


def token_counter(context: Context, version: InstalledVersion) -> TokenCounter:
    """Counts a version's tokens: exactly where its tokenizer is here, else it estimates."""
    tokenizer = tokenizer_of(version, context.paths.learned / "tokenizers")
    return TokenCounter(tokenizer, version.release.prompt, version.context_length)


def _version_for(context: Context, text: str | None, role: Role) -> InstalledVersion:
    """An installed version; else one of an Ollama that this machine is connected with."""
    store = context.open_store()
    try:
        return store.find(text) if text else _active(store.versions(), role)
    except NotFoundError:
        connected = [version for version in connected_versions(context) if text in (None, version.key)]
        fitting = [version for version in connected if text or version.release.role is role]
        if not fitting:
            if text is None and (address := connected_elsewhere(context)) is not None:
                raise NotFoundError(
                    f"Nothing is installed here, and {address}, which this machine is connected with, isn't the "
                    "Ollama of the settings.",
                    hint=f"Set ollama_host to {address}, or add --ollama-host {address}.",
                ) from None
            raise
        return max(fitting, key=lambda version: version.variant.architecture.parameters)


def _active(versions: tuple[InstalledVersion, ...], role: Role) -> InstalledVersion:
    active = [version for version in versions if version.active and version.release.role is role]
    if not active and role is Role.FIM:
        raise NotFoundError("No completion model is installed yet.", hint="Type: bbj-desktop install --role fim")
    if not active:
        raise NotFoundError("No chat model is installed yet.", hint="Type: bbj-desktop install")
    return max(active, key=lambda version: version.variant.architecture.parameters)


def _runtime_for(context: Context, version: InstalledVersion) -> Runtime:
    """The preferred runtime that knows the version and can be used."""
    reasons = []
    for runtime in context.runtimes():
        if version.registration(runtime.name) is None:
            continue
        status = runtime.status()
        if status.available:
            return runtime
        reasons.append(f"{runtime.name}: {status.reason}")
    if not version.registrations:
        raise EngineMissingError(
            f"{version.key} is installed but no runtime knows it yet.",
            hint="Type: bbj-desktop install (it takes up where it ended).",
        )
    if not reasons:
        known = ", ".join(registration.runtime for registration in version.registrations)
        raise EngineMissingError(
            f"{version.key} is registered with {known}, which the settings rule out.",
            hint="Set runtime to auto, or install again with the runtime of your choice.",
        )
    raise EngineMissingError(f"{version.key} can't answer now. " + " ".join(reasons), hint="See bbj-desktop doctor.")
