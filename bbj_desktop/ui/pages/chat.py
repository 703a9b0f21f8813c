"""Chat: questions, streamed answers, and how fast they came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget
from typing_extensions import override

from bbj_desktop.actions.checking import MENDING_ATTEMPTS
from bbj_desktop.actions.ollama import OllamaHere
from bbj_desktop.core.chat import ChatEvent, Delta, Finished, Statistics
from bbj_desktop.core.compiling import CheckedAnswer, Verdict, bbj_blocks, mending_prompt
from bbj_desktop.core.errors import BBjDesktopError, ContextFullError, EngineMissingError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import Talk
from bbj_desktop.ui.pages.base import Page, Surroundings, beside_bar, scroll_area
from bbj_desktop.ui.pages.chat_cards import AnswerCard, EmptyState, NoModel, QuestionCard
from bbj_desktop.ui.pages.ollama_cards import OllamaCard
from bbj_desktop.ui.tasks import Lane, Task
from bbj_desktop.ui.text import integer, translate, version_title
from bbj_desktop.ui.widgets.basics import Button, Tag, clear, paragraph
from bbj_desktop.ui.widgets.composer import Composer
from bbj_desktop.ui.widgets.error_panel import Action, ErrorPanel

STREAM_INTERVAL_S = 0.033  # about thirty drawings a second, however fast the tokens come
_NEAR_THE_END = 24  # pixels


@dataclass(frozen=True)
class Overfull:
    """A question was refused because the context is full.

    Attributes:
        turns: How many of the oldest questions would have to go; 0 when that wouldn't help.
    """

    turns: int


_Told: TypeAlias = Talk | ChatEvent | Overfull | OllamaHere


class ChatPage(Page):
    """One conversation with the active chat model."""

    key = "chat"
    icon = "chat"

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(surroundings)
        self._version: InstalledVersion | None = None
        self._talk: Talk | None = None
        self._task: Task[_Told, None] | None = None
        self._answer: AnswerCard | None = None
        self._question: QuestionCard | None = None
        self._checks: set[Task[None, CheckedAnswer]] = set()
        self._stopped: OllamaHere | None = None  # why nothing answers: it is installed here and doesn't run
        self._offer: list[QWidget] = []  # to start it, and why that didn't work
        self._overfull = 0  # questions to be left out for the one that was refused
        self._attempt = 0  # which attempt to mend the answer is; 0 for an answer to a question
        self._following = True
        self._build_header()
        self._build_stack()
        self.composer = Composer()
        self.composer.sent.connect(self.ask)
        self.composer.stopped.connect(self.stop)
        self.content.addLayout(beside_bar(self.composer))
        surroundings.situation.changed.connect(self._on_situation)
        self.start_anew()
        self._show_model()

    def _build_header(self) -> None:
        self.model_tag = Tag("")
        self.new_button = Button(translate("Chat", "New conversation"), "small")
        self.new_button.clicked.connect(self.start_anew)
        self.header.addWidget(self.model_tag)
        self.header.addWidget(self.new_button)

    def _build_stack(self) -> None:
        self.no_model = NoModel()
        self.no_model.home.connect(lambda: self.surroundings.go_to("home"))
        self.empty = EmptyState()
        self.empty.picked.connect(self.ask)
        body = QWidget()
        self._messages = QVBoxLayout(body)
        self._messages.setSpacing(theme.L)
        self._messages.addStretch(1)
        self.message_area = scroll_area(body, self._messages)
        self.message_area.verticalScrollBar().rangeChanged.connect(self._on_range)
        self.message_area.verticalScrollBar().valueChanged.connect(self._on_scrolled)
        self._stack = QStackedLayout()
        for widget in (self.no_model, self.empty, self.message_area):
            self._stack.addWidget(widget)
        self.content.addLayout(self._stack, 1)

    @classmethod
    @override
    def title(cls) -> str:
        return translate("Chat", "Chat")

    @override
    def shown(self) -> None:
        if self._version is not None:
            self.composer.editor.setFocus()

    @property
    def streaming(self) -> bool:
        return self._task is not None

    @property
    def checking(self) -> bool:
        """The compiler judges an answer."""
        return bool(self._checks)

    @property
    def answers(self) -> list[AnswerCard]:
        """The answers in their order."""
        items = [self._messages.itemAt(position) for position in range(self._messages.count())]
        return [card for item in items if item is not None and isinstance(card := item.widget(), AnswerCard)]

    # -- what is known ------------------------------------------------------------------------------------------------

    def _on_situation(self) -> None:
        """Another active version begins another conversation; an answer under way is finished first."""
        survey = self.surroundings.situation.survey
        version = survey.chat_version if survey else None
        if self.streaming or _same(version, self._version):
            return
        self._version = version
        self.start_anew()
        self._show_model()

    def _show_model(self) -> None:
        known = self._version is not None
        self.composer.setVisible(known)
        self.model_tag.setVisible(known)
        if self._version is not None:
            self.model_tag.setText(version_title(self._version.release))
            self.model_tag.setAccessibleName(version_title(self._version.release))

    def start_anew(self) -> None:
        """Forgets the conversation."""
        if self.streaming:
            return
        self._talk, self._answer, self._question = None, None, None
        self._end_offer()
        for check in self._checks:
            check.cancel()
        clear(self._messages)
        self._messages.addStretch(1)
        self.composer.context.setText("")
        self.new_button.hide()
        self._stack.setCurrentWidget(self.empty if self._version else self.no_model)

    # -- asking -------------------------------------------------------------------------------------------------------

    def ask(self, text: str) -> None:
        """Shows the question and streams the answer below it."""
        if self._may_ask():
            self.composer.clear()
            self._begin(text, QuestionCard(text), 0)

    def _may_ask(self) -> bool:
        return not self.streaming and self._version is not None

    def _begin(self, text: str, question: QuestionCard | None, attempt: int, *, leave_out: int = 0) -> None:
        """Adds the cards of a question, or of an attempt to mend, and sends it.

        Args:
            leave_out: How many of the oldest questions go before.
        """
        if self._version is None:
            return
        for card in self.answers:
            card.end_mending()
        name = version_title(self._version.release)
        if attempt:
            name = translate("Chat", "{name}, attempt {n} of {all} to mend it").format(
                name=name, n=integer(attempt), all=integer(MENDING_ATTEMPTS)
            )
        self._end_offer()
        self._question, self._answer, self._attempt = question, AnswerCard(name), attempt
        for widget in (question, self._answer):
            if widget is not None:
                self._messages.insertWidget(self._messages.count() - 1, widget)
        self._stack.setCurrentWidget(self.message_area)
        self._following = True
        self.composer.editor.setFocus()
        self._run(text, leave_out)

    def _run(self, text: str, leave_out: int) -> None:
        desk, talk = self.surroundings.desk, self._talk

        def job(report: Callable[[_Told], None], cancel: Cancel) -> None:
            try:
                conversation = talk
                if conversation is None:
                    conversation = desk.open_conversation()
                    report(conversation)
                conversation.leave_out(leave_out)
                _stream(conversation, text, report, cancel)
            except EngineMissingError:
                report(desk.ollama())
                raise

        self.composer.set_streaming(True)
        self.new_button.show()
        self.new_button.setEnabled(False)
        self._task = self.surroundings.tasks.run(
            job,
            on_progress=self._on_event,
            on_done=lambda _: self._on_done(),
            on_error=lambda error: self._on_error(text, error),
            on_cancelled=self._on_cancelled,
            interval_s=STREAM_INTERVAL_S,
        )

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _on_event(self, event: _Told) -> None:
        if self._answer is None:
            return
        if isinstance(event, Delta):
            self._answer.append(event.text)
        elif isinstance(event, Finished):
            self._answer.finish(event.statistics)
            self._show_context(event.statistics)
        elif isinstance(event, Overfull):
            self._overfull = event.turns
        elif isinstance(event, OllamaHere):
            self._stopped = event if event.executable else None
        else:
            self._talk = event

    def _on_cancelled(self) -> None:
        if self._answer is not None:
            self._answer.stop()
        self._end()

    def _on_error(self, text: str, error: BBjDesktopError) -> None:
        self._end()
        if self._answer is not None:
            self._answer.fail(error, self._ways_on(text))
            if self._stopped is not None:
                self._offer_ollama(self._stopped, text)

    def _ways_on(self, text: str) -> list[Action]:
        turns, self._overfull = self._overfull, 0
        if not turns:
            return [(translate("Chat", "Try again"), lambda: self._ask_again(text))]
        if turns == 1:
            way = translate("Chat", "Leave out the oldest question and ask")
        else:
            way = translate("Chat", "Leave out the {n} oldest questions and ask").format(n=integer(turns))
        return [(way, lambda: self._ask_again(text, leave_out=turns))]

    def _ask_again(self, text: str, *, leave_out: int = 0) -> None:
        if not self._may_ask():
            return
        for card in (self._question, self._answer):
            if card is not None:
                self._messages.removeWidget(card)
                card.hide()
                card.deleteLater()
        if leave_out:
            self._note(_left_out(leave_out))
        self._begin(text, QuestionCard(text) if self._question else None, self._attempt, leave_out=leave_out)

    def _note(self, text: str) -> None:
        """A line of its own in the conversation."""
        self._messages.insertWidget(self._messages.count() - 1, paragraph(text, "small"))

    def _end(self) -> None:
        self._task = None
        self.composer.set_streaming(False)
        self.new_button.setEnabled(True)
        self._on_situation()

    def _show_context(self, statistics: Statistics) -> None:
        if statistics.prompt_tokens is None or self._version is None:
            return
        used = statistics.prompt_tokens + statistics.answer_tokens
        text = translate("Chat", "context {used} of {total}")
        self.composer.context.setText(text.format(used=integer(used), total=integer(self._version.context_length)))

    # -- an Ollama that doesn't run -----------------------------------------------------------------------------------

    def _offer_ollama(self, ollama: OllamaHere, text: str, error: BBjDesktopError | None = None) -> None:
        """As Home does: what will happen is said, and nothing is started before the click."""
        self._end_offer()
        if error is not None:
            self._offer.append(ErrorPanel(error, title=translate("Home", "That didn't work with Ollama")))
        card = OllamaCard(ollama, self._version, primary=True)
        card.start.connect(lambda: self._start_ollama(card, ollama, text))
        self._offer.append(card)
        for widget in self._offer:
            self._messages.insertWidget(self._messages.count() - 1, widget)

    def _end_offer(self) -> None:
        self._stopped = None
        for widget in self._offer:
            self._messages.removeWidget(widget)
            widget.hide()
            widget.deleteLater()
        self._offer = []

    def _start_ollama(self, card: OllamaCard, ollama: OllamaHere, text: str) -> None:
        def started() -> None:
            self.surroundings.situation.refresh()
            if card in self._offer:
                self._ask_again(text)

        def failed(error: BBjDesktopError | None) -> None:
            if card in self._offer:
                self._offer_ollama(ollama, text, error)

        card.show_starting()
        task = self.surroundings.tasks.run(
            self.surroundings.desk.start_ollama,
            on_done=lambda _: started(),
            on_error=failed,
            on_cancelled=lambda: failed(None),
            lane=Lane.CHANGES,
        )
        card.cancel.connect(task.cancel)

    # -- compiling ----------------------------------------------------------------------------------------------------

    def _on_done(self) -> None:
        self._end()
        if self._answer is not None and self._answer.complete:
            self._check(self._answer)

    def _check(self, card: AnswerCard) -> None:
        """Has the code of a whole answer compiled, beside whatever else happens."""
        answer, cut_off, desk = card.view.whole, card.cut_off, self.surroundings.desk
        if not bbj_blocks(answer):
            return
        card.show_checking()

        def checked(found: CheckedAnswer) -> None:
            if card in self.answers:
                self._on_checked(card, found)

        def unchecked(error: BBjDesktopError | None) -> None:
            if card in self.answers:
                card.show_unchecked(error)

        task: Task[None, CheckedAnswer] = self.surroundings.tasks.run(
            lambda _report, cancel: desk.check(answer, cancel, cut_off=cut_off),
            on_done=checked,
            on_error=unchecked,
            on_cancelled=lambda: unchecked(None),
        )
        self._checks.add(task)
        task.finished.connect(lambda: self._checks.discard(task))

    def _on_checked(self, card: AnswerCard, checked: CheckedAnswer) -> None:
        latest = card is self._answer and not self.streaming
        card.show_checked(checked, (lambda: self._mend(checked, 1)) if latest and not self._attempt else None)
        if not latest or not self._attempt or checked.verdict is not Verdict.FAILS:
            return
        if self._attempt < MENDING_ATTEMPTS:
            self._mend(checked, self._attempt + 1)
        else:
            card.give_up_mending(self._attempt)

    def _mend(self, checked: CheckedAnswer, attempt: int) -> None:
        """Asks the model to mend its code; what comes is compiled, and mended again, a few times."""
        if self._may_ask():
            self._begin(mending_prompt(checked.blocks), None, attempt)

    # -- scrolling ----------------------------------------------------------------------------------------------------

    def _on_range(self, _low: int, high: int) -> None:
        if self._following:
            self.message_area.verticalScrollBar().setValue(high)

    def _on_scrolled(self, value: int) -> None:
        """Who scrolls up to read isn't pulled down again by the next word."""
        self._following = value >= self.message_area.verticalScrollBar().maximum() - _NEAR_THE_END


def _stream(conversation: Talk, text: str, report: Callable[[_Told], None], cancel: Cancel) -> None:
    try:
        for event in conversation.ask(text, cancel):
            report(event)
    except ContextFullError:
        report(Overfull(conversation.too_many(text) or 0))
        raise


def _left_out(turns: int) -> str:
    if turns == 1:
        return translate(
            "Chat", "The oldest question was left out with its answer: the model doesn't see them any more."
        )
    text = translate(
        "Chat", "The {n} oldest questions were left out with their answers: the model doesn't see them any more."
    )
    return text.format(n=integer(turns))


def _same(one: InstalledVersion | None, other: InstalledVersion | None) -> bool:
    return (one.key if one else None) == (other.key if other else None)
