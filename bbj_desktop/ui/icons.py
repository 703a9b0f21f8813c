"""The window's own icons: line drawings in a square of 16 pixels, coloured by the theme."""

from __future__ import annotations

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="none" stroke="{ink}" stroke-width="1.5"'
    ' stroke-linecap="round" stroke-linejoin="round">{shapes}</svg>'
)

_SHAPES = {
    "home": '<path d="M2.5 7.2 8 2.5l5.5 4.7M4 6.4v6.6h8V6.4"/>',
    "chat": '<path d="M2.5 3h11v7.5H7.6L4.7 13.3V10.5H2.5z"/>',
}

ICON_PIXELS = 16
NAV_ICON = QSize(22, ICON_PIXELS)  # with the room between icon and words


def draw(name: str, size: QSize, ink: QColor, ratio: float) -> QPixmap:
    """An icon at the left of a picture.

    Args:
        size: Of the picture, in device-independent pixels.
        ratio: Device pixels for each of them.
    """
    svg = _SVG.format(ink=ink.name(), shapes=_SHAPES[name])
    picture = QPixmap(size * ratio)
    picture.fill(Qt.GlobalColor.transparent)
    painter = QPainter(picture)
    QSvgRenderer(QByteArray(svg.encode())).render(painter, QRectF(0, 0, picture.height(), picture.height()))
    painter.end()
    picture.setDevicePixelRatio(ratio)
    return picture


def icon(name: str, size: QSize, ink: QColor, ink_checked: QColor, ratio: float) -> QIcon:
    """An icon for a checkable button, with a colour for each state."""
    result = QIcon()
    result.addPixmap(draw(name, size, ink, ratio), QIcon.Mode.Normal, QIcon.State.Off)
    result.addPixmap(draw(name, size, ink_checked, ratio), QIcon.Mode.Normal, QIcon.State.On)
    return result
