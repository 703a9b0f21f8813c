"""Letting Ollama itself pull a model from where somebody named one, for its bytes alone.

Nothing but the weights counts of what comes: whether they have the signed digest. A name that was there before isn't
pulled, because that would replace what it means; a name that came by this is noted first and removed afterwards, in
the next run if need be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

from bbj_desktop.core.documents import parse_document
from bbj_desktop.core.errors import DigestError, EngineError, EngineRefusedError, FormatError, StoreAccessError
from bbj_desktop.core.ollama_names import is_loopback, local_name
from bbj_desktop.core.progress import Cancel, Report, Transfer
from bbj_desktop.core.release import FileReference
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_release import served_adapters, served_digest
from bbj_desktop.services.store.disk import Disk

NOTE_FORMAT = 1
_LARGE_BYTES = 16 * 2**20  # templates and licences are smaller; what is larger and wasn't signed isn't waited for


class PullNote(BaseModel):
    """A name that isn't in Ollama yet, and that we are about to let it pull."""

    model_config = ConfigDict(frozen=True)

    format: int = NOTE_FORMAT
    name: Annotated[str, StringConstraints(min_length=1, max_length=400)]


def parse_pull_note(text: str | bytes) -> PullNote:
    """Reads a note. Raises TooNewError or FormatError."""
    return parse_document(PullNote, text, what="note on a pull of Ollama's", newest=NOTE_FORMAT)


@dataclass(frozen=True, slots=True)
class NamedPulls:
    """Pulls by Ollama of what others named.

    Attributes:
        api: Ollama, on this machine.
        notes: A folder of ours.
    """

    api: OllamaApi
    notes: Path

    def bring(self, name: str, files: Sequence[FileReference], report: Report, cancel: Cancel) -> int:
        """Lets Ollama pull ``name``, unless it has it; afterwards it has blobs that it names as ``files`` are named.

        Args:
            name: With host and tag.
            files: The signed ones: the model, and its adapter if it has one.

        Returns:
            Bytes of ``files`` that Ollama fetched.

        Raises:
            DigestError: What is there has other files; nothing of it stays that wasn't there before.
            EngineRefusedError: The name is somebody's already; or Ollama says no: unknown, unreachable.
            EngineError, Cancelled: It broke off; what came Ollama keeps for the next time.
        """
        listed = local_name(name)
        note = self._note(listed)
        if listed in self.api.tags() and not note.exists():
            if self._has(listed, files):
                return 0
            raise EngineRefusedError(
                f"Ollama has a model {listed} of yours, which a pull would replace: it isn't pulled.",
                hint="Remove it or give it another name, if it may be replaced.",
            )
        Disk().make_folder(self.notes)
        Disk().write_atomic(note, PullNote(name=listed).model_dump_json().encode())
        try:
            fetched = self._pull(name, files, report, cancel)
            if not self._has(listed, files):
                raise _wrong(name, files[0].digest, served_digest((self.api.show(listed) or {}).get("modelfile", "")))
        except DigestError:
            self.drop(name)
            raise
        except EngineRefusedError:  # nothing came; a pull that broke off instead is taken up the next time
            with suppress(EngineError):
                self.drop(name)
            raise
        return fetched

    def drop(self, name: str) -> None:
        """Removes a name that came by ``bring``; its files stay where another name has them. Others' names stay."""
        note = self._note(local_name(name))
        if note.exists():
            self.api.delete(local_name(name))
            Disk().unlink(note)

    def drop_all(self) -> None:
        """Removes what interrupted ones left."""
        for path in sorted(self.notes.glob("pull-*.json")) if self.notes.is_dir() else ():
            with suppress(FormatError):
                self.drop(parse_pull_note(_read(path)).name)

    def _pull(self, name: str, files: Sequence[FileReference], report: Report, cancel: Cancel) -> int:
        signed = {file.digest: file.length_bytes for file in files}
        there = {digest for digest in signed if self.api.has_blob(digest, cancel)}
        completed: dict[str, int] = {}
        total = sum(signed.values())
        with closing(self.api.pull(name, cancel, insecure=is_loopback(name))) as lines:
            for line in lines:
                if line.digest in signed:
                    completed[line.digest] = max(completed.get(line.digest, 0), line.completed)
                    report(Transfer(done_bytes=min(sum(completed.values()), total), total_bytes=total))
                elif line.total > _LARGE_BYTES:
                    raise _wrong(name, files[0].digest, line.digest)
        return sum(came for digest, came in completed.items() if digest not in there)

    def _has(self, listed: str, files: Sequence[FileReference]) -> bool:
        modelfile = (self.api.show(listed) or {}).get("modelfile", "")
        return (served_digest(modelfile), *served_adapters(modelfile)) == tuple(file.digest for file in files)

    def _note(self, listed: str) -> Path:
        return self.notes / f"pull-{hashlib.sha256(listed.encode()).hexdigest()[:32]}.json"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error.strerror}.") from error


def _wrong(name: str, signed: str, found: str | None) -> DigestError:
    return DigestError(
        f"{name} isn't what was signed: Ollama found other weights there.",
        expected=signed,
        actual=found or "",
        hint="Tell who put it there, or remove this mirror: bbj-desktop registry mirror remove.",
    )
