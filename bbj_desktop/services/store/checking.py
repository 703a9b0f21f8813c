"""Whether a file has the bytes that were signed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import FileReference
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.store.disk import pieces_of


def digest_of_file(path: Path, expected: FileReference, meter: Meter, cancel: Cancel) -> str:
    """Reads a file, no further than one byte beyond its signed length, and takes its digest (``sha256:<hex>``).

    Raises:
        StoreAccessError: It can't be read.
        Cancelled: By ``cancel``.
    """
    sha, done = hashlib.sha256(), 0
    for piece in pieces_of(path, 0, expected.length_bytes + 1):
        cancel.check()
        sha.update(piece)
        done += len(piece)
        meter.show(done, done)
    meter.show(done, done, at_once=True)
    return f"sha256:{sha.hexdigest()}"
