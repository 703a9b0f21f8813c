"""One archive that tells the makers what is the matter here, and nothing that is nobody's business."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import platform
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.doctoring import Diagnosis
from bbj_desktop.actions.ollama import look_at_ollama
from bbj_desktop.core.errors import BBjDesktopError, StoreAccessError, UserInputError
from bbj_desktop.core.settings import SETTINGS, as_text
from bbj_desktop.services.logs import LOG_FILE
from bbj_desktop.services.redacting import Redactor, hosts_in
from bbj_desktop.services.registry.known import KnownRegistries

REPORT_FORMAT = 1
MAX_LOG_BYTES = 256 * 1024  # bytes of each log, its end
LAST_ERRORS = 30
_PACKAGES = ("httpx", "ollama", "psutil", "pydantic", "PySide6", "rich", "tuf", "xllamacpp")
_FIXED_TIME = (2026, 1, 1, 0, 0, 0)

_REMOVED = (
    "Taken out: passwords, keys and tokens; names of users, their home folders and mail addresses; names and\n"
    "addresses of machines (host-1 is the same one everywhere); prompts and answers.\n"
    "Look through it before you send it.\n"
)


class ReportFile(BaseModel):
    """One file of the archive.

    Attributes:
        about: What it is, for a person.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    about: str
    size_bytes: int


class Report(BaseModel):
    """An archive, not yet written.

    Attributes:
        contents: Text by file name.
    """

    model_config = ConfigDict(frozen=True)

    files: tuple[ReportFile, ...]
    contents: dict[str, str]

    def write(self, path: Path) -> None:
        """Writes the archive at once or not at all.

        Raises:
            UserInputError: There is a file already.
            StoreAccessError: It can't be written.
        """
        if path.exists():
            raise UserInputError(f"There is a file {path} already.", hint="Name another one.")
        new = path.with_name(f"{path.name}.part")
        try:
            new.write_bytes(self._packed())
            new.replace(path)
        except OSError as error:
            new.unlink(missing_ok=True)
            raise StoreAccessError(f"{path} can't be written: {error.strerror or error}.") from error

    def _packed(self) -> bytes:
        """A ZIP file that tells nothing about where it was packed."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, text in self.contents.items():
                entry = zipfile.ZipInfo(name, _FIXED_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, text.encode("utf-8"))
        return buffer.getvalue()


def collect_report(context: Context, diagnosis: Diagnosis) -> Report:
    """Puts an archive together; nothing is written.

    Args:
        diagnosis: What ``doctor`` found.
    """
    redactor = Redactor.for_this_machine(hosts=_hosts(context), secrets=_keys(context))
    raw: tuple[tuple[str, str, Any], ...] = (
        ("doctor.json", "what doctor found", _findings(diagnosis)),
        ("profile.json", "this machine", diagnosis.profile.model_dump(mode="json")),
        ("settings.json", "every setting and where it comes from", _settings(context)),
        ("versions.json", "versions of the program, its parts and the models", _versions(context)),
        ("ollama.json", "the Ollama here", look_at_ollama(context).model_dump(mode="json")),
    )
    found = dict(_logs(context))
    for _ in range(2):  # a host that only a later text tells by its form may stand bare in one before: so twice
        logs = {name: redactor.log(text, ours=name.startswith(LOG_FILE)) for name, text in found.items()}
        told = [(name, about, redactor.document(value)) for name, about, value in raw]
    documents = (
        *told,
        ("errors.txt", "the last errors", _last_errors(logs)),
        *((f"logs/{name}", "the end of a log", text) for name, text in logs.items()),
    )
    listed = "".join(f"{name}: {about}\n" for name, about, _ in documents)
    first = f"BBj Desktop {context.app_version}, report format {REPORT_FORMAT}\n\n{listed}\n{_REMOVED}"
    every = (("README.txt", "this list", first), *documents)
    return Report(
        files=tuple(
            ReportFile(name=name, about=about, size_bytes=len(text.encode("utf-8"))) for name, about, text in every
        ),
        contents={name: text for name, _, text in every},
    )


def _hosts(context: Context) -> tuple[str, ...]:
    values = context.settings.values
    addresses = [values.registry, values.ollama_host, values.proxy]
    for known in KnownRegistries(context.paths.registries).all():
        addresses += [known.address, *known.mirrors]
    return hosts_in(*addresses)


def _keys(context: Context) -> tuple[str, ...]:
    """What our doors ask for. A key that can't be read here isn't in what we wrote either."""
    keys = []
    for path in context.paths.config.glob("*.key"):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            keys.append(path.read_text(encoding="utf-8").strip())
    return tuple(keys)


def _findings(diagnosis: Diagnosis) -> dict[str, Any]:
    return {
        "format": REPORT_FORMAT,
        "worst": diagnosis.worst,
        "findings": [finding.model_dump(mode="json") for finding in diagnosis.findings],
    }


def _settings(context: Context) -> dict[str, Any]:
    return {
        name: {
            "value": as_text(name, getattr(context.settings.values, name)),
            "origin": context.settings.origin(name).kind.value,
            "place": context.settings.origin(name).place,
        }
        for name in SETTINGS
    }


def _versions(context: Context) -> dict[str, Any]:
    try:
        models: Any = [
            {
                "key": version.key,
                "active": version.active,
                "pinned": version.pinned,
                "context_length": version.context_length,
                "digest": version.variant.file.digest,
                "registrations": [registration.model_dump(mode="json") for registration in version.registrations],
            }
            for version in context.open_store().versions()
        ]
    except BBjDesktopError as error:
        models = error.message
    return {
        "bbj-desktop": context.app_version,
        "python": platform.python_version(),
        "packages": {name: _version_of(name) for name in _PACKAGES},
        "models": models,
    }


def _version_of(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _logs(context: Context) -> Iterator[tuple[str, str]]:
    """The end of each log file, by name."""
    folder = context.paths.logs
    try:
        paths = sorted(path for path in folder.glob("*.log*") if path.is_file() and not path.is_symlink())
    except OSError:
        return
    for path in paths:
        try:
            with path.open("rb") as file:
                length = file.seek(0, io.SEEK_END)
                file.seek(max(0, length - MAX_LOG_BYTES))
                data = file.read()
        except OSError as error:
            yield path.name, f"It can't be read: {error.strerror}."
            continue
        text = data.decode("utf-8", errors="replace")
        yield path.name, text.partition("\n")[2] if length > MAX_LOG_BYTES else text


def _last_errors(logs: dict[str, str]) -> str:
    """From the program's own logs, newest last: how commands ended badly, and bugs with their tracebacks."""
    lines: list[str] = []
    for name in sorted((name for name in logs if name.startswith(LOG_FILE)), reverse=True):
        wanted = False
        for line in logs[name].splitlines():
            if line[:4].isdigit():
                wanted = " ends: " in line or " ERROR " in line or " CRITICAL " in line
            if wanted:
                lines.append(line)
    entries = "\n".join(lines[-LAST_ERRORS * 10 :])
    return f"{entries}\n" if entries else "None.\n"
