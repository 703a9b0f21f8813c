"""Colours, spacing and the style sheet: every visual constant of the window.

Widgets that paint themselves (bars, icons) get their colours through ``qproperty-…`` in the style sheet, so that a
change of theme reaches them the same way as everything else.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import StrEnum
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

XS, S, M, L, XL, XXL = 4, 8, 12, 16, 24, 32  # pixels, the scale of all spacing
CARD_PADDING = 22
CONTROL_HEIGHT = 36
SIDEBAR_WIDTH = 208

BODY, SMALL, PAGE_TITLE, HERO, CARD_TITLE, MONOSPACE = 13.5, 12.5, 21.0, 18.0, 14.0, 12.3  # pixels


@dataclass(frozen=True, slots=True)
class Tokens:
    """The colours of one scheme, as ``#RRGGBB``."""

    dark: bool
    background: str
    surface: str
    sunken: str
    border: str
    text: str
    muted: str
    accent: str
    accent_soft: str
    accent_hover: str
    on_accent: str
    good: str
    good_soft: str
    warning: str
    warning_soft: str
    error: str
    error_soft: str
    bar_in_use: str
    bar_weights: str
    bar_kv: str
    bar_compute: str
    code_object: str  # names that hold an object


LIGHT = Tokens(
    dark=False,
    background="#F5F6F8",
    surface="#FFFFFF",
    sunken="#EEF0F3",
    border="#DFE3E8",
    text="#1A1E26",
    muted="#586171",
    accent="#2456C7",
    accent_soft="#E6EDFB",
    accent_hover="#1D49AD",
    on_accent="#FFFFFF",
    good="#15703F",
    good_soft="#E3F4EA",
    warning="#8F5F00",
    warning_soft="#FBF0D9",
    error="#B3261E",
    error_soft="#FBE6E4",
    bar_in_use="#B9C0CB",
    bar_weights="#2456C7",
    bar_kv="#6A8FE6",
    bar_compute="#A9C0F2",
    code_object="#7A3E9D",
)

DARK = Tokens(
    dark=True,
    background="#13161B",
    surface="#1B1F26",
    sunken="#14181E",
    border="#2B313B",
    text="#E6E9EF",
    muted="#9AA4B5",
    accent="#7EA6FF",
    accent_soft="#1F2C49",
    accent_hover="#96B6FF",
    on_accent="#0E1420",
    good="#55C58E",
    good_soft="#173325",
    warning="#E0B04A",
    warning_soft="#33290F",
    error="#FF8078",
    error_soft="#3A1C1B",
    bar_in_use="#4A5361",
    bar_weights="#7EA6FF",
    bar_kv="#5479CF",
    bar_compute="#34508F",
    code_object="#C9A0F0",
)


class Appearance(StrEnum):
    AUTO = "auto"  # what the system says
    LIGHT = "light"
    DARK = "dark"


def points(pixels: float) -> float:
    """The design's pixels as points, so that the system's text scaling holds: 96 a inch, 72 on macOS."""
    return pixels if sys.platform == "darwin" else pixels * 0.75


_SHEET = Template("""
QWidget { color: $text; }
QMainWindow, QDialog, #page, #pageBody, QScrollArea, QStackedWidget { background: $background; border: none; }
QToolTip { background: $surface; color: $text; border: 1px solid $border; padding: 6px 8px; }

QLabel { background: transparent; }
QLabel[look="pageTitle"] { font-size: ${pt_page}pt; font-weight: 700; }
QLabel[look="hero"] { font-size: ${pt_hero}pt; font-weight: 500; }
QLabel[look="cardTitle"] { font-size: ${pt_card}pt; font-weight: 600; }
QLabel[look="strong"] { font-weight: 600; }
QLabel[look="muted"] { color: $muted; }
QLabel[look="small"] { color: $muted; font-size: ${pt_small}pt; }
QLabel[look="goodSmall"] { color: $good; font-size: ${pt_small}pt; }
QLabel[look="warningSmall"] { color: $warning; font-size: ${pt_small}pt; }
QLabel[look="errorSmall"] { color: $error; font-size: ${pt_small}pt; }
QLabel[look="speaker"] { color: $muted; font-size: ${pt_small}pt; font-weight: 600; }
QLabel[look="mono"] { font-family: "$mono"; font-size: ${pt_mono}pt; color: $text; }
QLabel[look="errorTitle"] { color: $error; font-weight: 600; }
QLabel[look="brand"] { font-size: ${pt_brand}pt; font-weight: 700; }

QFrame[look="card"] { background: $surface; border: 1px solid $border; border-radius: 10px; }
QFrame[look="sunken"] { background: $sunken; border: 1px solid $border; border-radius: 7px; }
QFrame[look="error"] { background: $error_soft; border: 1px solid $error_soft; border-radius: 10px; }
QFrame[look="notice"] { background: $warning_soft; border: none; border-radius: 7px; }
QFrame[look="notice"] QLabel { color: $warning; }
QFrame[look="line"] { background: $border; border: none; }
#sidebar { background: $surface; border: none; border-right: 1px solid $border; }

QPushButton {
  background: $surface; color: $text; border: 1px solid $border; border-radius: 7px;
  min-height: 34px; padding: 0 16px; font-weight: 500;
}
QPushButton:hover { background: $sunken; }
QPushButton:pressed { background: $border; }
QPushButton:disabled { color: $muted; background: $sunken; }
QPushButton:focus { border: 2px solid $accent; padding: 0 15px; min-height: 32px; }
QPushButton[look="primary"] { background: $accent; color: $on_accent; border: 1px solid $accent; font-weight: 600; }
QPushButton[look="primary"]:hover { background: $accent_hover; border-color: $accent_hover; }
QPushButton[look="primary"]:disabled { background: $sunken; color: $muted; border-color: $border; }
QPushButton[look="primary"]:focus { border: 2px solid $text; }
QPushButton[look="small"] { min-height: 28px; padding: 0 12px; font-weight: 600; font-size: ${pt_small}pt; }
QPushButton[look="small"]:focus { min-height: 26px; padding: 0 11px; }
QPushButton[look="link"] {
  background: transparent; border: 1px solid transparent; color: $accent; padding: 0; min-height: 20px;
  font-weight: 400; font-size: ${pt_small}pt; text-align: left; border-radius: 4px;
}
QPushButton[look="link"]:hover { text-decoration: underline; }
QPushButton[look="link"]:focus { border: 1px solid $accent; }
QPushButton[look="link"]::menu-indicator { image: none; width: 0; }
QPushButton[look="prompt"] { text-align: left; font-weight: 400; padding: 0; min-height: 42px; }
QPushButton[look="prompt"]:focus { padding: 0; min-height: 40px; }

NavButton {
  text-align: left; border: 1px solid transparent; border-radius: 7px; background: transparent; color: $muted;
  padding: 0 9px; min-height: 34px; qproperty-ink: $muted; qproperty-inkChecked: $accent;
}
NavButton:hover { background: $sunken; }
NavButton:checked { background: $accent_soft; color: $accent; font-weight: 600; }
NavButton:focus { border: 2px solid $accent; padding: 0 8px; min-height: 32px; }

Tag { border-radius: 10px; padding: 2px 9px; font-size: ${pt_tag}pt; font-weight: 600; }
Tag[kind="plain"] { background: $sunken; color: $muted; border: 1px solid $border; }
Tag[kind="good"] { background: $good_soft; color: $good; border: 1px solid $good_soft; }
Tag[kind="warning"] { background: $warning_soft; color: $warning; border: 1px solid $warning_soft; }
Tag[kind="error"] { background: $error_soft; color: $error; border: 1px solid $error_soft; }
Tag:focus { border: 1px solid $accent; }

MemoryBar, LegendDot {
  qproperty-track: $sunken; qproperty-outline: $border; qproperty-inUse: $bar_in_use; qproperty-weights: $bar_weights;
  qproperty-kv: $bar_kv; qproperty-compute: $bar_compute;
}
StatusDot { qproperty-good: $good; qproperty-warning: $warning; qproperty-bad: $error; qproperty-idle: $bar_in_use; }
BrandMark { qproperty-ink: $accent; }

QProgressBar { background: $sunken; border: 1px solid $border; border-radius: 4px; max-height: 8px; min-height: 8px; }
QProgressBar::chunk { background: $accent; border-radius: 3px; }

QLineEdit, QPlainTextEdit#composer {
  background: $surface; color: $text; border: 1px solid $border; border-radius: 7px; padding: 0 10px;
  min-height: 34px; selection-background-color: $accent; selection-color: $on_accent;
}
QLineEdit:focus { border: 2px solid $accent; padding: 0 9px; min-height: 32px; }
QPlainTextEdit#composer { background: transparent; border: none; padding: 0; min-height: 20px; }
QFrame#composerFrame { background: $surface; border: 1px solid $border; border-radius: 10px; }
QFrame#composerFrame[focused="true"] { border: 1px solid $accent; }
QTextBrowser, QTextEdit[look="code"], QPlainTextEdit[look="code"] {
  background: transparent; color: $text; border: none; selection-background-color: $accent;
  selection-color: $on_accent;
}
QTextEdit[look="code"], QPlainTextEdit[look="code"] { font-family: "$mono"; font-size: ${pt_mono}pt; }
CodeText {
  qproperty-keyword: $accent; qproperty-object: $code_object; qproperty-string: $good; qproperty-comment: $muted;
  qproperty-label: $muted; qproperty-refused: $error_soft;
}

QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: $border; border-radius: 4px; min-height: 32px; min-width: 32px; margin: 1px; }
QScrollBar::handle:hover { background: $bar_in_use; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }

QMenu { background: $surface; border: 1px solid $border; padding: 4px; }
QMenu::item { padding: 6px 16px; border-radius: 4px; }
QMenu::item:selected { background: $accent_soft; color: $accent; }
QMenu::item:disabled { color: $muted; }
""")


def style_sheet(tokens: Tokens) -> str:
    """The whole window's style sheet in one scheme."""
    colours = {name: getattr(tokens, name) for name in Tokens.__dataclass_fields__}
    return _SHEET.substitute(
        colours,
        mono=QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family(),
        pt_page=points(PAGE_TITLE),
        pt_hero=points(HERO),
        pt_card=points(CARD_TITLE),
        pt_small=points(SMALL),
        pt_mono=points(MONOSPACE),
        pt_brand=points(15.0),
        pt_tag=points(12.0),
    )


def palette(tokens: Tokens) -> QPalette:
    """The same colours for what a style sheet doesn't reach: native dialogs, links, placeholders."""
    result = QPalette()
    roles = {
        QPalette.ColorRole.Window: tokens.background,
        QPalette.ColorRole.WindowText: tokens.text,
        QPalette.ColorRole.Base: tokens.surface,
        QPalette.ColorRole.AlternateBase: tokens.sunken,
        QPalette.ColorRole.Text: tokens.text,
        QPalette.ColorRole.Button: tokens.surface,
        QPalette.ColorRole.ButtonText: tokens.text,
        QPalette.ColorRole.ToolTipBase: tokens.surface,
        QPalette.ColorRole.ToolTipText: tokens.text,
        QPalette.ColorRole.Highlight: tokens.accent,
        QPalette.ColorRole.HighlightedText: tokens.on_accent,
        QPalette.ColorRole.Link: tokens.accent,
        QPalette.ColorRole.LinkVisited: tokens.accent,
        QPalette.ColorRole.PlaceholderText: tokens.muted,
    }
    for role, colour in roles.items():
        result.setColor(role, QColor(colour))
    return result


class Theme(QObject):
    """Dresses the application, and again whenever the system changes its scheme.

    Signals:
        changed: The application wears other colours now.
    """

    changed = Signal()

    def __init__(self, application: QApplication, appearance: Appearance = Appearance.AUTO) -> None:
        super().__init__(application)
        self._application = application
        self._appearance = appearance
        self.tokens = LIGHT
        application.setStyle("Fusion")  # the one style that a sheet can dress completely on every system
        font = QFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont))
        font.setPointSizeF(points(BODY))
        application.setFont(font)
        application.styleHints().colorSchemeChanged.connect(self.apply)
        self.apply()

    def set_appearance(self, appearance: Appearance) -> None:
        self._appearance = appearance
        self.apply()

    def apply(self) -> None:
        self.tokens = DARK if self._is_dark() else LIGHT
        self._application.setPalette(palette(self.tokens))
        self._application.setStyleSheet(style_sheet(self.tokens))
        self.changed.emit()

    def _is_dark(self) -> bool:
        if self._appearance is not Appearance.AUTO:
            return self._appearance is Appearance.DARK
        return self._application.styleHints().colorScheme() is Qt.ColorScheme.Dark
