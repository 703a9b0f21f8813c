"""The tokenizer of an installed version: out of its model where that is here, else out of the small signed file."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from bbj_desktop.core.errors import DigestError, FormatError, StoreAccessError
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.release import Release
from bbj_desktop.core.tokenizing import Tokenizer, tokenizer_from
from bbj_desktop.core.versions import InstalledVersion

log = logging.getLogger(__name__)


def tokenizer_of(version: InstalledVersion, folder: Path) -> Tokenizer | None:
    """None where there is no file to read it from, or its kind isn't known here: tokens are estimated then.

    Args:
        folder: Where kept tokenizers lie.
    """
    kept = _place(folder, version.release)
    for path in (version.path, kept):
        if path is not None and (tokenizer := _read(path)) is not None:
            return tokenizer
    return None


def _read(path: Path) -> Tokenizer | None:
    try:
        with path.open("rb") as stream:
            return tokenizer_from(read_header(stream).metadata)
    except FileNotFoundError:
        return None
    except (OSError, FormatError) as error:
        log.warning("tokens are estimated: %s: %s", path, error)
        return None


def keep_tokenizer(folder: Path, release: Release, content: bytes) -> Path:
    """Keeps a release's tokenizer for a version whose model isn't in the store: Ollama alone has it.

    Raises:
        DigestError: It isn't the signed one.
        StoreAccessError: The folder can't be written.
    """
    path = _place(folder, release)
    actual = f"sha256:{hashlib.sha256(content).hexdigest()}"
    expected = release.tokenizer.digest if release.tokenizer is not None else ""
    if path is None or actual != expected:
        raise DigestError("This isn't the release's tokenizer.", expected=expected, actual=actual)
    new = path.with_suffix(".new")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        new.write_bytes(content)
        new.replace(path)
    except OSError as error:
        raise StoreAccessError(f"{path} can't be written: {error.strerror or error}.") from error
    return path


def _place(folder: Path, release: Release) -> Path | None:
    """Named by its content, so that releases share one."""
    return None if release.tokenizer is None else folder / f"{release.tokenizer.digest.partition(':')[2]}.gguf"
