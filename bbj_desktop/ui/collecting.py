"""Python's garbage collector, on the UI thread alone.

Left to itself it runs on whichever thread has just allocated something. A widget that lies in a cycle would then be
destroyed on a worker's thread, which ends the program with a segmentation fault.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 500


class Collector(QObject):
    """Collects now and then, as often as Python itself would, from when it is made until it is closed.

    Args:
        interval_ms: Between two looks at how much there is to collect.
    """

    def __init__(self, parent: QObject | None = None, interval_ms: int = INTERVAL_MS) -> None:
        super().__init__(parent)
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.collect)
        self._timer.start(interval_ms)
        gc.disable()

    def collect(self) -> None:
        """Collects the oldest generation that is due. Source: the rule of Python's module ``gc``."""
        for generation in (2, 1, 0):
            threshold = gc.get_threshold()[generation]
            if threshold and gc.get_count()[generation] > threshold:
                gc.collect(generation)
                return

    def close(self) -> None:
        """Leaves collecting to Python again; what is due goes now, on this thread."""
        self._timer.stop()
        gc.collect()
        gc.enable()
