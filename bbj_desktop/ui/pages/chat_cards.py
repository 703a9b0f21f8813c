"""The cards of a conversation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from bbj_desktop.core.chat import Statistics
from bbj_desktop.core.compiling import CheckedAnswer, Verdict
from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.ui import theme
from bbj_desktop.ui.text import integer, statistics_line, translate
from bbj_desktop.ui.widgets.answer import AnswerView
from bbj_desktop.ui.widgets.basics import Button, Card, Tag, TagKind, TextButton, label, paragraph, row
from bbj_desktop.ui.widgets.error_panel import Action, ErrorPanel


class QuestionCard(Card):
    """What the user asked, exactly as written."""

    def __init__(self, text: str) -> None:
        super().__init__(padding=theme.L, spacing=theme.XS)
        self.body.setContentsMargins(theme.L, theme.M, theme.L, theme.M + 1)
        self.body.addWidget(label(translate("Chat", "You"), "speaker"))
        words = paragraph(text)
        words.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body.addWidget(words)


class AnswerCard(Card):
    """An answer, growing; below it how it went, or what went wrong; and whether its code compiles.

    Attributes:
        complete: It came to its end.
        cut_off: That was its limit of tokens.
        mark: Whether it compiles, in a word.
        mend_link: Asks the model to mend it; None when there is nothing to mend.
    """

    def __init__(self, name: str) -> None:
        super().__init__(spacing=theme.M - 2)
        self.complete = False
        self.cut_off = False
        self.mend_link: Button | None = None
        self.mark = Tag("")
        self.mark.hide()
        head = row(paragraph(name, "strong"), self.mark)
        head.setAlignment(self.mark, Qt.AlignmentFlag.AlignTop)
        self.body.addLayout(head)
        self.view = AnswerView()
        self.waiting = paragraph(translate("Chat", "Reading your question…"), "muted")
        self.foot = paragraph("", "small")
        self.foot.hide()
        for widget in (self.waiting, self.view, self.foot):
            self.body.addWidget(widget)
        self.view.hide()

    def append(self, piece: str) -> None:
        self.waiting.hide()
        self.view.show()
        self.view.append(piece)

    def finish(self, statistics: Statistics) -> None:
        self._end()
        self.complete = statistics.stop_reason != "cancelled"
        self.cut_off = statistics.stop_reason == "length"
        self._say(statistics_line(statistics))

    def stop(self) -> None:
        """Stopped before the engine could say how it went."""
        self._end()
        self._say(translate("Chat", "stopped"))

    def fail(self, error: BBjDesktopError, actions: Sequence[Action]) -> ErrorPanel:
        self._end()
        panel = ErrorPanel(error, actions)
        self.body.addWidget(panel)
        return panel

    def show_checking(self) -> None:
        """The compiler was asked."""
        self._mark(translate("Chat", "compiling…"), "plain")

    def show_checked(self, checked: CheckedAnswer, mend: Callable[[], None] | None) -> None:
        """What the compiler said.

        Args:
            mend: Asks the model to mend it; None where it isn't to be offered.
        """
        texts: dict[Verdict, tuple[str, TagKind]] = {
            Verdict.COMPILES: (translate("Chat", "compiles"), "good"),
            Verdict.FAILS: (translate("Chat", "doesn't compile"), "error"),
            Verdict.NOT_JUDGED: (translate("Chat", "not judged"), "plain"),
        }
        self._mark(*texts[checked.verdict])
        marks = self.view.show_checked(checked.blocks)
        if mend is not None and checked.verdict is Verdict.FAILS:
            failing = [
                mark
                for mark, block in zip(marks, checked.blocks, strict=True)
                if block.report.syntax.verdict is Verdict.FAILS
            ]
            self.mend_link = failing[-1].offer(translate("Chat", "Ask the model to mend it"), mend)

    def show_unchecked(self, error: BBjDesktopError | None) -> None:
        """The compiler couldn't be asked; None: it was stopped."""
        self.mark.hide()
        if error is not None:
            self._mark(translate("Chat", "not judged"), "plain")
            self.body.insertWidget(self.body.indexOf(self.foot), paragraph(f"{error.message} {error.hint}", "small"))

    def give_up_mending(self, attempts: int) -> None:
        """The last attempt didn't compile either."""
        text = translate("Chat", "It still doesn't compile after {n} attempts.").format(n=integer(attempts))
        self.body.insertWidget(self.body.indexOf(self.foot), paragraph(text, "errorSmall"))

    def end_mending(self) -> None:
        """The conversation has gone on."""
        if self.mend_link is not None:
            self.mend_link.hide()
            self.mend_link = None

    def _mark(self, text: str, kind: TagKind) -> None:
        self.mark.say(text, kind)
        self.mark.show()

    def _end(self) -> None:
        self.waiting.hide()
        self.view.finish()

    def _say(self, text: str) -> None:
        self.foot.say(text)
        self.foot.show()


class EmptyState(QWidget):
    """Before the first question.

    Signals:
        picked: An example prompt.
    """

    picked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        prompts = (
            translate("Chat", "Write a BBj window with a button that says hello."),
            translate("Chat", "Explain what process_events does in a BBj program."),
            translate("Chat", 'Turn this into BBj: PRINT @(10,5),"Name:" and INPUT N$.'),
        )
        self.buttons = [TextButton(prompt) for prompt in prompts]
        column = QVBoxLayout()
        column.setSpacing(theme.S)
        column.addWidget(paragraph(translate("Chat", "What would you like to know about BBj?"), "hero"))
        column.addWidget(paragraph(translate("Chat", "Pick an example, or write your own question below."), "muted"))
        column.addSpacing(theme.S)
        for prompt, button in zip(prompts, self.buttons, strict=True):
            button.clicked.connect(lambda _checked, prompt=prompt: self.picked.emit(prompt))
            column.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, theme.M, 0)
        layout.addStretch(2)
        layout.addLayout(column)
        layout.addStretch(3)


class NoModel(QWidget):
    """Nothing that could answer is installed.

    Signals:
        home: The button was pressed.
    """

    home = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.button = Button(translate("Chat", "Go to Home"), "primary")
        self.button.clicked.connect(self.home)
        text = translate("Chat", "Home shows what suits this machine and installs it. Then you can chat here.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, theme.M, 0)
        layout.setSpacing(theme.S)
        layout.addStretch(2)
        layout.addWidget(paragraph(translate("Chat", "No model is installed yet"), "hero"))
        layout.addWidget(paragraph(text, "muted"))
        layout.addSpacing(theme.S)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addStretch(3)
