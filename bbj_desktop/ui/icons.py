"""The window's own icons: line drawings in a square of 16 pixels, coloured by the theme."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{ink}" stroke-width="1.5"'
    ' stroke-linecap="round" stroke-linejoin="round">{shapes}</svg>'
)

_SHAPES = {
    "home": '<path d="M2.5 7.2 8 2.5l5.5 4.7M4 6.4v6.6h8V6.4M6.8 13V9.6h2.4V13"/>',
    "chat": '<path d="M2.5 3h11v7.5H7.6L4.7 13.3V10.5H2.5z"/>',
}

ICON_PIXELS = 16


def draw(name: str, ink: QColor, pixels: int, ratio: float) -> QPixmap:
    """An icon as a picture.

    Args:
        pixels: Side length in device-independent pixels.
        ratio: Device pixels for each of them.
    """
    svg = _SVG.format(ink=ink.name(), shapes=_SHAPES[name])
    picture = QPixmap(round(pixels * ratio), round(pixels * ratio))
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(picture.rect()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


def icon(name: str, ink: QColor, ink_checked: QColor, ratio: float) -> QIcon:
    """An icon for a checkable button, with a colour for each state."""
    result = QIcon()
    result.addPixmap(draw(name, ink, ICON_PIXELS, ratio), QIcon.Mode.Normal, QIcon.State.Off)
    result.addPixmap(draw(name, ink_checked, ICON_PIXELS, ratio), QIcon.Mode.Normal, QIcon.State.On)
    return result
