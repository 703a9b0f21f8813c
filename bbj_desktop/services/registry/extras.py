"""The writer's side of extras: installers and extensions, signed with a channel's catalogue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from tuf.api.metadata import TargetFile

from bbj_desktop.core.chunks import MAX_FILE_BYTES, plan_chunks, plan_split
from bbj_desktop.core.documents import explain
from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.core.progress import Cancel, Remark, Report, Step, Transfer
from bbj_desktop.core.release import Catalogue, ChunkIndex, Extra, parse_catalogue
from bbj_desktop.services.registry.blobs import index_file, place_bytes, place_file, reference_to
from bbj_desktop.services.registry.chain import read_chain
from bbj_desktop.services.registry.layout import catalogue_target
from bbj_desktop.services.registry.publish import Terms, opened
from bbj_desktop.services.registry.staging import read_file, target_path, verify_target

AT_ONCE = Terms()
KINDS = ("ollama-installer", "app-installer", "ide-extension")


@dataclass(frozen=True, slots=True)
class ExtraDraft:
    """What people say about an extra; the fields are those of ``Extra``.

    Attributes:
        path: Its file.
        file_name: How it is called where it is put; empty takes the file's own name.
    """

    path: Path
    name: str
    kind: str
    platform: str
    version: str
    file_name: str = ""
    note: str = ""


def add_extra(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    draft: ExtraDraft,
    channel: str,
    report: Report,
    cancel: Cancel,
    *,
    max_file_bytes: int = MAX_FILE_BYTES,
    terms: Terms = AT_ONCE,
) -> Extra:
    """Signs a file into a channel's catalogue. Saying the same again changes nothing.

    Args:
        folder: The registry.
        keys_folder: With the keys of the channel, of snapshot and of timestamp.
        passphrase: Of the keys.
        draft: The file and what it is.
        channel: E.g. ``stable``.
        report: Told the bytes that are hashed.
        cancel: Obeyed; nothing is visible before the end.
        max_file_bytes: A longer file is split.
        terms: How it is signed.

    Raises:
        NotFoundError: There is no registry, or no such channel.
        PublishError: It can't be used as an extra, this version has other content, or keys are missing.
        FormatError: It is empty, or can't be split so.
        Cancelled: By ``cancel``.
    """
    purpose = f"add {draft.name} {draft.version} for {draft.platform} to {channel}"
    with opened(folder, keys_folder, passphrase, terms, purpose) as publisher:
        ledger = publisher.ledger
        ledger.channel(channel)
        ledger.demand_signers(channel, "snapshot", "timestamp")
        report(Step("hash", f"Reading {draft.path.name}"))
        index, modified_ns = _hashed(draft.path, max_file_bytes, report, cancel)
        index_bytes = index.model_dump_json().encode()
        extra = _assembled(draft, index, index_bytes)
        catalogue = publisher.catalogue(channel)
        extras = {each.key: each for each in catalogue.extras}
        former = extras.get(extra.key)
        if former == extra:
            report(Remark(f"{extra.key} is in {channel} already; nothing changed."))
            return extra
        if former is not None and former.file != extra.file:
            raise PublishError(
                f"{extra.key} was added to {channel} with other content.",
                hint="What is published stays as it is: give the new one its own version.",
            )
        place_file(ledger, draft.path, index, modified_ns, cancel)
        place_bytes(ledger, index_bytes)
        extras[extra.key] = extra
        publisher.put_catalogue(catalogue.model_copy(update={"extras": tuple(extras[key] for key in sorted(extras))}))
        ledger.commit(channel)
        return extra


def remove_extra(
    folder: Path, keys_folder: Path, passphrase: str, key: str, channel: str, *, terms: Terms = AT_ONCE
) -> Extra:
    """Takes an extra out of a channel's catalogue; its file stays for readers who have the former state.

    Args:
        key: As ``list_extras`` names it.

    The others are those of ``add_extra``.

    Raises:
        NotFoundError: The channel has no such extra.
        PublishError: Keys are missing, or it can't be written.
    """
    with opened(folder, keys_folder, passphrase, terms, f"remove {key} from {channel}") as publisher:
        catalogue = publisher.catalogue(channel)
        extras = {each.key: each for each in catalogue.extras}
        if key not in extras:
            raise NotFoundError(f"{channel} has no extra {key}.", hint=f"It has: {', '.join(extras) or 'none'}.")
        publisher.ledger.demand_signers(channel, "snapshot", "timestamp")
        removed = extras.pop(key)
        publisher.put_catalogue(catalogue.model_copy(update={"extras": tuple(extras.values())}))
        publisher.ledger.commit(channel)
        return removed


def list_extras(folder: Path, channel: str) -> tuple[Extra, ...]:
    """What a registry's channel offers now; its signatures are checked from the first root on.

    Raises:
        NotFoundError: There is no registry, or no such channel.
        FormatError, TrustError, PublishError: It is damaged or can't be read.
    """
    chain = read_chain(lambda path: read_file(folder, path))
    if channel not in chain.channels:
        raise NotFoundError(f"The registry has no channel {channel!r}.", hint=f"It has: {', '.join(chain.channels)}.")
    info: TargetFile | None = chain.channels[channel].targets.get(catalogue_target(channel))
    if info is None:
        return Catalogue(channel=channel).extras
    data = read_file(folder, target_path(info))
    verify_target(info, data)
    return parse_catalogue(data).extras


def _hashed(path: Path, max_file_bytes: int, report: Report, cancel: Cancel) -> tuple[ChunkIndex, int]:
    """The file's chunks, and when it last changed, in nanoseconds."""
    try:
        state = path.stat()
    except OSError as error:
        raise PublishError(f"{path} can't be read: {error.strerror}.") from error
    if not path.is_file():
        raise PublishError(f"{path} isn't a file.")
    lengths = plan_chunks(None, state.st_size)
    split = plan_split(lengths, max_file_bytes)

    def progress(done: int) -> None:
        report(Transfer(done_bytes=done, total_bytes=state.st_size))

    return index_file(path, lengths, progress, cancel).model_copy(update={"split": split}), state.st_mtime_ns


def _assembled(draft: ExtraDraft, index: ChunkIndex, index_bytes: bytes) -> Extra:
    try:
        return Extra(
            name=draft.name,
            kind=draft.kind,
            platform=draft.platform,
            version=draft.version,
            file_name=draft.file_name or draft.path.name,
            note=draft.note,
            file=index.file,
            chunk_index=reference_to(index_bytes),
        )
    except ValidationError as error:
        raise PublishError(f"{draft.path.name} can't be added so: {explain(error)}.") from error
