"""Filling in what belongs at the cursor, with a completion model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bbj_desktop.actions.chatting import answering, token_counter
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.learning import Learner
from bbj_desktop.core.budget import TokenCounter
from bbj_desktop.core.chat import ChatEvent, CompletionRequest, Finished
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.fim import FimTemplate, Gap, gap, longest_answer, required_template
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.base import Runtime


@dataclass(frozen=True, slots=True)
class Completion:
    """One version that fills in.

    Attributes:
        template: Its tokens around prefix and suffix.
        learner: Measures; None for nobody.
    """

    version: InstalledVersion
    runtime: Runtime
    template: FimTemplate
    counter: TokenCounter
    learner: Learner | None = None

    def around(self, prefix: str, suffix: str, max_tokens: int | None = None) -> Gap:
        """What of a file the model is given: as much around the cursor as its context has room for.

        Raises:
            UserInputError: There is nothing but the cursor.
        """
        if not (prefix.strip() or suffix.strip()):
            raise UserInputError("There is nothing around the cursor.", hint="Give a prefix, a suffix, or both.")
        room = self.version.context_length - self.limit(max_tokens)
        return gap(self.template, prefix, suffix, room_tokens=room, count=self.counter.count)

    def limit(self, max_tokens: int | None) -> int:
        """The longest answer, in tokens."""
        return longest_answer(self.version.release, self.version.context_length, max_tokens)

    def fill(
        self,
        around: Gap,
        cancel: Cancel,
        *,
        seed: int | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
    ) -> Iterator[ChatEvent]:
        """Asks and yields what belongs there as it comes: Delta…, then Finished.

        Raises:
            EngineError: The runtime fails.
        """
        request = CompletionRequest(
            prompt=self.template.render(around.prefix, around.suffix),
            stop=self.template.tokens,
            seed=seed,
            max_tokens=self.limit(max_tokens),
            temperature=temperature,
        )
        for event in self.runtime.complete(self.version, request, cancel):
            if isinstance(event, Finished) and self.learner is not None:
                self.learner.learn(event.statistics)
            yield event


def open_completion(context: Context, text: str | None = None) -> Completion:
    """Chooses the version and its runtime; nothing is loaded before the first gap.

    Args:
        text: Key (or a unique part) of the version; None takes the active completion version, the largest when there
            are several.

    Raises:
        NotFoundError: Nothing (like it) is installed.
        EngineRefusedError: It is a chat model, its template isn't understood, or its model lacks the tokens.
        EngineMissingError: No runtime that knows the version can be used now.
        EngineMismatchError: Somebody changed the version in Ollama.
    """
    version, runtime = answering(context, text, Role.FIM)
    counter = token_counter(context, version)
    template = required_template(version.release, version.key, counter.tokenizer)
    return Completion(version, runtime, template, counter, Learner(context, version, runtime))
