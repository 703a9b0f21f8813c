"""The first start of a build that carries no registry: which one, and is it really that one?"""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFileDialog, QGridLayout, QLineEdit, QVBoxLayout, QWidget

from bbj_desktop.core.errors import BBjDesktopError
from bbj_desktop.core.progress import Event, silent
from bbj_desktop.ui import theme
from bbj_desktop.ui.desk import RootView
from bbj_desktop.ui.pages.base import Surroundings
from bbj_desktop.ui.tasks import Lane, Task
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Button, Card, ElidedLabel, label, paragraph, row
from bbj_desktop.ui.widgets.error_panel import ErrorPanel

_MIDDLE = Qt.AlignmentFlag.AlignVCenter


def in_two_lines(fingerprint: str) -> str:
    """A fingerprint in the groups in which it is said everywhere (``94cd 074e …``), broken in the middle."""
    groups = fingerprint.split(" ")
    half = (len(groups) + 1) // 2
    return " ".join(groups[:half]) + "\n" + " ".join(groups[half:])


class FirstStartCard(Card):
    """Asks for a registry's address and its root file, shows the fingerprint, and trusts it when that is confirmed.

    Signals:
        trusted: The registry is set up.
    """

    trusted = Signal()

    def __init__(self, surroundings: Surroundings) -> None:
        super().__init__(spacing=theme.M)
        self._surroundings = surroundings
        self._root: RootView | None = None
        self._busy: Task[Event, None] | None = None
        self.address = QLineEdit()
        self.address.setPlaceholderText("https://models.example.com")
        self.address.setAccessibleName(translate("FirstStart", "Registry address"))
        self.address.textChanged.connect(self._refresh)
        self.root_name = ElidedLabel(translate("FirstStart", "No file chosen"), "muted")
        self.choose = Button(translate("FirstStart", "Choose root file…"))
        self.choose.clicked.connect(self._choose_root)
        self.confirm = Button(translate("FirstStart", "Confirm and use this registry"), "primary")
        self.confirm.clicked.connect(self._confirm)
        self._print = self._fingerprint_part()
        self._errors = QVBoxLayout()
        self._build()
        self._refresh()

    def _build(self) -> None:
        intro = translate(
            "FirstStart",
            "Models come from a signed registry. Your administrator, or the maker of your models, gives you its "
            "address and a root file: the keys by which everything from there is checked.",
        )
        self.body.addWidget(paragraph(intro, "muted"))
        form = QGridLayout()
        form.setHorizontalSpacing(theme.L)
        form.setVerticalSpacing(theme.M)
        form.setColumnStretch(0, 1)
        form.setColumnStretch(1, 4)
        form.addWidget(paragraph(translate("FirstStart", "Registry address"), "strong"), 0, 0, _MIDDLE)
        form.addWidget(self.address, 0, 1)
        form.addWidget(paragraph(translate("FirstStart", "Root file"), "strong"), 1, 0, _MIDDLE)
        form.addLayout(row(self.choose, self.root_name, None), 1, 1)
        self.body.addLayout(form)
        self.body.addWidget(self._print)
        self.body.addLayout(self._errors)
        self.body.addLayout(row(None, self.confirm))

    def _fingerprint_part(self) -> QWidget:
        self.fingerprint = label("", "mono", selectable=True)
        self.fingerprint.setAccessibleName(translate("FirstStart", "Fingerprint"))
        text = translate(
            "FirstStart",
            "Compare this fingerprint with the one that you were given by another way, such as by telephone or on "
            "paper. If one character differs, stop.",
        )
        frame = Card(look="sunken", padding=theme.L, spacing=theme.S)
        frame.body.addWidget(label(translate("FirstStart", "Fingerprint of these keys"), "strong"))
        frame.body.addWidget(self.fingerprint)
        frame.body.addWidget(paragraph(text, "small"))
        return frame

    def _choose_root(self) -> None:
        title = translate("FirstStart", "Choose the registry's root file")
        kinds = translate("FirstStart", "Root files (*.json);;All files (*)")
        path, _ = QFileDialog.getOpenFileName(self, title, "", kinds)
        if path:
            self.read_root(Path(path))

    def read_root(self, path: Path) -> None:
        """Reads a chosen file and shows its fingerprint."""
        self._root = None
        self.root_name.say(path.name)
        self._surroundings.tasks.run(
            lambda _report, _cancel: self._surroundings.desk.read_root(path),
            on_done=self._show_root,
            on_error=self._show_error,
        )
        self._refresh()

    def _show_root(self, root: RootView) -> None:
        self._root = root
        self.fingerprint.setText(in_two_lines(root.fingerprint))
        self._clear_errors()
        self._refresh()

    def _confirm(self) -> None:
        root, address = self._root, self.address.text().strip()
        if root is None or not address:
            return
        desk = self._surroundings.desk
        self._busy = self._surroundings.tasks.run(
            lambda _report, cancel: desk.add_registry(address, root.data, silent, cancel),
            on_done=lambda _: self._on_trusted(),
            on_error=self._show_error,
            lane=Lane.CHANGES,
        )
        self._clear_errors()
        self._refresh()

    def _on_trusted(self) -> None:
        self._busy = None
        self._refresh()
        self.trusted.emit()

    def _show_error(self, error: BBjDesktopError) -> None:
        self._busy = None
        self._clear_errors()
        self._errors.addWidget(ErrorPanel(error))
        self._refresh()

    def _clear_errors(self) -> None:
        while (item := self._errors.takeAt(0)) is not None:
            if (panel := item.widget()) is not None:
                panel.hide()
                panel.deleteLater()

    def _refresh(self) -> None:
        self._print.setVisible(self._root is not None)
        idle = self._busy is None
        self.address.setEnabled(idle)
        self.choose.setEnabled(idle)
        self.confirm.setEnabled(idle and self._root is not None and bool(self.address.text().strip()))
