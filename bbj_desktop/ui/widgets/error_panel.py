"""Errors as they are shown: what happened, why, what to do now."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import Qt

from bbj_desktop.core.errors import (
    BBjDesktopError,
    ConnectError,
    ContextFullError,
    DoesNotFitError,
    EngineCrashedError,
    EngineError,
    FormatError,
    NoSpaceError,
    StoreError,
    TooNewError,
    TransportError,
    TrustError,
    UserInputError,
)
from bbj_desktop.ui import theme
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, ButtonLook, Card, paragraph, row

Action = tuple[str, Callable[[], None]]


def headline(error: BBjDesktopError) -> str:
    """What happened, in a few words; the error's own message says why."""
    titles: tuple[tuple[type[BBjDesktopError], str], ...] = (
        (ConnectError, translate("Error", "No connection")),
        (TransportError, translate("Error", "The transfer broke off")),
        (TrustError, translate("Error", "This can't be trusted, so it isn't used")),
        (NoSpaceError, translate("Error", "Not enough room on the disk")),
        (StoreError, translate("Error", "The model folder can't be used")),
        (DoesNotFitError, translate("Error", "This machine can't run it")),
        (EngineCrashedError, translate("Error", "The model engine ended")),
        (ContextFullError, translate("Error", "The context is full")),
        (EngineError, translate("Error", "The model engine can't do it")),
        (TooNewError, translate("Error", "BBj Desktop is too old for this")),
        (FormatError, translate("Error", "Something can't be read")),
        (UserInputError, translate("Error", "This value can't be used")),
    )
    return next((title for kind, title in titles if isinstance(error, kind)), translate("Error", "That didn't work"))


class ErrorPanel(Card):
    """One error, with buttons for what can be done here."""

    def __init__(
        self, error: BBjDesktopError, actions: Sequence[Action] = (), *, title: str = "", primary: bool = False
    ) -> None:
        """Args:
        title: What happened; empty takes the headline for this kind of error.
        primary: The first action is the page's primary button.
        """
        super().__init__(look="error", spacing=theme.XS + 2)
        what = title or headline(error)
        self.setAccessibleName(what)
        self.body.addWidget(paragraph(what, "errorTitle"))
        why = paragraph(error.message)
        why.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.body.addWidget(why)
        if error.hint:
            self.body.addWidget(paragraph(error.hint, "muted"))
        self.buttons: tuple[Button, ...] = tuple(
            self._button(text, action, "primary" if primary and position == 0 else "plain")
            for position, (text, action) in enumerate(actions)
        )
        if self.buttons:
            self.body.addSpacing(theme.XS)
            self.body.addLayout(row(*self.buttons, None))

    @staticmethod
    def _button(text: str, action: Callable[[], None], look: ButtonLook) -> Button:
        button = Button(text, look)
        button.clicked.connect(lambda _checked: action())
        return button
