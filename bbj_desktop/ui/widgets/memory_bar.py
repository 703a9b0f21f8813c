"""A bar that shows a memory: what is in use and what the model will take of the rest."""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPainterPath, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget
from typing_extensions import override

from bbj_desktop.core.recommendation import MemoryNeed
from bbj_desktop.ui import theme
from bbj_desktop.ui.text import translate
from bbj_desktop.ui.widgets.basics import Flow, Painted, colour_property, label, row


@dataclass(frozen=True, slots=True)
class Amounts:
    """What lies in one memory, in bytes."""

    total_bytes: int
    in_use_bytes: int
    weights_bytes: int = 0
    kv_bytes: int = 0
    compute_bytes: int = 0

    @classmethod
    def of(cls, total_bytes: int, free_bytes: int, need: MemoryNeed | None) -> Amounts:
        in_use = max(0, total_bytes - free_bytes)
        if need is None:
            return cls(total_bytes, in_use)
        working = need.compute_bytes + need.overhead_bytes
        return cls(total_bytes, in_use, need.weights_bytes, need.kv_bytes, working)

    def segments(self) -> tuple[tuple[str, float, float], ...]:
        """(colour, from, to) as shares of the total; cut off at its end."""
        result, start = [], 0.0
        for name, amount in (
            ("inUse", self.in_use_bytes),
            ("weights", self.weights_bytes),
            ("kv", self.kv_bytes),
            ("compute", self.compute_bytes),
        ):
            end = min(1.0, start + amount / max(1, self.total_bytes))
            if end > start:
                result.append((name, start, end))
            start = end
        return tuple(result)


class MemoryBar(Painted):
    """Paints one memory."""

    track = colour_property("track")
    outline = colour_property("outline")
    inUse = colour_property("inUse")  # noqa: N815 - the style sheet's name
    weights = colour_property("weights")
    kv = colour_property("kv")
    compute = colour_property("compute")

    def __init__(self, amounts: Amounts, description: str) -> None:
        super().__init__()
        self._amounts = amounts
        self.setFixedHeight(14)
        self.setMinimumWidth(120)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setAccessibleName(description)
        self.setToolTip(description)

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        frame = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        outline = QPainterPath()
        outline.addRoundedRect(frame, 3, 3)
        painter.fillPath(outline, self._get("track"))
        painter.setClipPath(outline)
        for name, start, end in self._amounts.segments():
            left, right = round(self.width() * start), round(self.width() * end)
            painter.fillRect(QRectF(left, 0, max(1, right - left), self.height()), self._get(name))
        painter.setClipping(False)
        painter.setPen(QPen(self._get("outline"), 1))
        painter.drawPath(outline)


class LegendDot(Painted):
    """The colour of one segment."""

    track = colour_property("track")
    outline = colour_property("outline")
    inUse = colour_property("inUse")  # noqa: N815 - the style sheet's name
    weights = colour_property("weights")
    kv = colour_property("kv")
    compute = colour_property("compute")

    def __init__(self, segment: str) -> None:
        super().__init__()
        self._segment = segment
        self.setFixedSize(QSize(10, 10))

    @override
    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(self._get(self._segment))
        painter.drawRoundedRect(self.rect(), 3, 3)


def legend(*, with_model: bool) -> Flow:
    """What the colours mean; without a model only what is in use."""
    entries = [("inUse", translate("MemoryBar", "in use"))]
    if with_model:
        entries += [
            ("weights", translate("MemoryBar", "model")),
            ("kv", translate("MemoryBar", "conversation memory")),
            ("compute", translate("MemoryBar", "working space")),
        ]
    layout = Flow(theme.M)
    for segment, name in entries:
        entry = QWidget()
        entry.setLayout(row(LegendDot(segment), label(name, "small"), spacing=theme.XS + 1))
        layout.addWidget(entry)
    return layout
