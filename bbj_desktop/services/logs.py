"""The log file. No prompt, answer or secret gets into it: our code never logs the first two, and what looks like a
credential is blotted out whoever wrote it."""

from __future__ import annotations

import logging
import re
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG_FILE = "bbj-desktop.log"
MAX_LOG_BYTES = 1_000_000  # bytes
KEPT_LOGS = 3

# httpcore writes headers at debug level, keys and all; httpx every address at info level.
_TALKATIVE = ("httpcore", "httpx", "tuf", "securesystemslib", "asyncio", "markdown_it")
_SECRETS = (
    (re.compile(r"(?<=://)[^/@\s\"']+@"), "…@"),
    (re.compile(r"(?i)(bearer|basic)\s+[\w.~+/=-]+"), r"\1 …"),
    (re.compile(r"(?i)((?:authorization|cookie)[\"']?\s*[=:](?!\s*(?:bearer|basic)\s)\s*)[^\s][^\r\n]*"), r"\1…"),
    (
        re.compile(
            r"(?i)((?:(?:api|access|private)[-_]?key|token|passphrase|passwd|password|pwd|secret|credentials?|signature"
            r"|\bsig)[\"']?\s*[=:]\s*)(?:\"[^\"\n]*\"|'[^'\n]*'|[^\s,;&]+)"
        ),
        r"\1…",
    ),
)


def redacted(text: str) -> str:
    """The text with credentials blotted out: user and password in addresses, tokens, keys."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return text


class _RedactingFormatter(logging.Formatter):
    """Blots out the finished entry, tracebacks included."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))


@contextmanager
def logging_to(folder: Path, level: str) -> Iterator[Path | None]:
    """Writes the log to a file that rotates, as long as the context lasts.

    Args:
        folder: Made if needed.
        level: ``debug``, ``info``, ``warning`` or ``error``.

    Yields:
        The log file; None when the folder can't be written: a program without a log is better than none.
    """
    path = folder / LOG_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handler = RotatingFileHandler(path, maxBytes=MAX_LOG_BYTES, backupCount=KEPT_LOGS, encoding="utf-8")
    except OSError:
        yield None
        return
    handler.setFormatter(_RedactingFormatter("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        yield path
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
        handler.close()


def write_crash_report(error: BaseException) -> Path:
    """Writes a traceback to a temporary file, for where there is no log. Returns the file."""
    text = redacted("".join(traceback.format_exception(error)))
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", prefix="bbj-desktop-crash-", suffix=".txt", delete=False
    ) as file:
        file.write(text)
    return Path(file.name)
