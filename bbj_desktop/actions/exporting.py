"""Writing models and all that is signed about them into a folder, for machines without a network."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.recommending import choose, read_offering, recommend
from bbj_desktop.core.errors import NoSpaceError, NotFoundError, TransportError, TrustError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import ChunkIndex, Extra, Offering, Release, Variant
from bbj_desktop.core.units import format_bytes
from bbj_desktop.core.versions import model_name, version_key_of
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.registry.bundle import Bundle, BundleContent, BundlePiece
from bbj_desktop.services.registry.bundle_volumes import chunks_of, plan_pieces, split_pieces, write_piece
from bbj_desktop.services.registry.bundle_writing import Snapshot, overhead_bytes, take_snapshot, write_texts
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.registry.known import KnownRegistries
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.fetch import bytes_missing, fetch
from bbj_desktop.services.transfer.folder import FolderSource
from bbj_desktop.services.transfer.source import Source

log = logging.getLogger(__name__)

Chosen = tuple[Release, Variant]


class Exported(BaseModel):
    """The end of an export.

    Attributes:
        registry: Identity of the registry.
        volumes: Folders that go onto sticks; 0 when the folder itself is the bundle.
        extras: What went along.
        fetched_bytes: Model bytes that came from the registry or the store; the rest was in the folder already.
    """

    model_config = ConfigDict(frozen=True)

    folder: Path
    registry: str
    channel: str
    contents: tuple[BundleContent, ...]
    extras: tuple[BundleContent, ...] = ()
    volumes: int
    size_bytes: int
    fetched_bytes: int
    seconds: float


def choose_variants(
    context: Context,
    wishes: Sequence[Wishes],
    report: Report,
    cancel: Cancel,
    *,
    everything: bool = False,
    profile: HardwareProfile | None = None,
) -> tuple[Chosen, ...]:
    """What to export.

    Args:
        wishes: What is asked for; a part that is left open means every one. A wish without any part means what is
            recommended for a machine.
        everything: Every variant that the wishes' roles match.
        profile: The machine to recommend for; None is this one.

    Raises:
        NotFoundError: The registry offers nothing like a wish.
        TrustError, TransportError: As the registry says.
    """
    found: dict[str, Chosen] = {}
    for wish in wishes:
        named = everything or (wish.model, wish.size, wish.quantisation, wish.version) != (None,) * 4
        some = _named(context, wish, report, cancel) if named else _recommended(context, wish, report, cancel, profile)
        found |= {version_key_of(release, variant.quantisation): (release, variant) for release, variant in some}
    return tuple(found.values())


def _named(context: Context, wish: Wishes, report: Report, cancel: Cancel) -> list[Chosen]:
    offering = read_offering(context, cancel, version=wish.version, report=report)
    found = [
        (offer.release, variant)
        for offer in offering.offers
        for variant in offer.release.variants
        if _matches(offer.release, variant, wish)
    ]
    if not found:
        raise NotFoundError("The registry offers no such model.", hint=f"It offers: {_offered(offering)}.")
    return found


def _matches(release: Release, variant: Variant, wish: Wishes) -> bool:
    return (
        release.role in wish.roles
        and wish.model in (None, release.model, model_name(release))
        and wish.size in (None, release.size)
        and wish.quantisation in (None, variant.quantisation)
    )


def _offered(offering: Offering) -> str:
    keys = [
        version_key_of(each.release, variant.quantisation)
        for each in offering.offers
        for variant in each.release.variants
    ]
    return ", ".join(keys) or "nothing yet"


def _recommended(
    context: Context, wish: Wishes, report: Report, cancel: Cancel, profile: HardwareProfile | None
) -> list[Chosen]:
    recommended = recommend(context, wish, report, cancel, profile=profile)
    choices = [role.choice for role in recommended.recommendation.choices if role.choice is not None]
    return [(each.release, each.variant) for each in choices or [choose(recommended, wish)]]


def export_bundle(
    context: Context,
    folder: Path,
    chosen: Sequence[Chosen],
    report: Report,
    cancel: Cancel,
    *,
    volume_bytes: int | None = None,
    extras: Sequence[Extra] = (),
) -> Exported:
    """Writes a bundle. Interrupted anywhere, doing it again keeps what is there and verifies it.

    Args:
        folder: Where to; made when it isn't there.
        chosen: The models.
        volume_bytes: Room on each stick; None makes one folder that is a mirror.
        extras: What goes along.

    Raises:
        NoSpaceError: Before the first byte of a model.
        UserInputError: ``volume_bytes`` is too small.
        TransportError, TrustError, StoreError, Cancelled: As the services say.
    """
    started = time.monotonic()
    channel, registries = context.settings.values.channel, KnownRegistries(context.paths.registries)
    state = registries.state(context.known_registry())
    registry = context.open_registry()
    try:
        report(Step("catalogue", "Reading the registry"))
        registry.refresh(cancel)
        snapshot = take_snapshot(
            registry, state, channel, chosen, cancel, app_version=context.app_version, extras=extras
        )
        bundle = Bundle(
            registry=registry.identity,
            channel=channel,
            created=context.now(),
            contents=tuple(map(_content, chosen)),
            extras=tuple(map(_extra_content, extras)),
        )
        bundle = _cut(bundle, snapshot, volume_bytes)
        fetched = _Export(context.open_store(), registry, folder, snapshot, bundle, Disk(), report, cancel).write()
        _check(folder / "volume-1" if bundle.volumes else folder, state, cancel)
    finally:
        registry.close()
    log.info("exported %d models to %s: %d bytes written", len(chosen), folder, fetched)
    return Exported(
        folder=folder,
        registry=bundle.registry,
        channel=channel,
        contents=bundle.contents,
        extras=bundle.extras,
        volumes=bundle.volumes,
        size_bytes=sum(index.file.length_bytes for index in snapshot.indexes),
        fetched_bytes=fetched,
        seconds=time.monotonic() - started,
    )


def _cut(bundle: Bundle, snapshot: Snapshot, volume_bytes: int | None) -> Bundle:
    """The bundle with the pieces that its files are cut into: for sticks of that room, or as the registry cut them."""
    if volume_bytes is None:
        pieces = tuple(piece for index in snapshot.indexes for piece in split_pieces(index))
    else:
        pieces = plan_pieces(snapshot.indexes, volume_bytes - overhead_bytes(snapshot.files))
    return bundle.model_copy(update={"pieces": pieces, "volumes": pieces[-1].volume if pieces else 0})


def _content(chosen: Chosen) -> BundleContent:
    release, variant = chosen
    return BundleContent(
        name=version_key_of(release, variant.quantisation),
        digest=variant.own_file.digest,
        length_bytes=variant.own_file.length_bytes,
    )


def _extra_content(extra: Extra) -> BundleContent:
    return BundleContent(name=extra.key, digest=extra.file.digest, length_bytes=extra.file.length_bytes)


def _check(folder: Path, state: Path, cancel: Cancel) -> None:
    """What was written is read as a customer reads it: whole, and not older than what is known here."""
    Registry.open(FolderSource(str(folder), folder), state).refresh(cancel)


class _Export:
    """The writing of one bundle."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        folder: Path,
        snapshot: Snapshot,
        bundle: Bundle,
        disk: Disk,
        report: Report,
        cancel: Cancel,
    ) -> None:
        self._store = store
        self._registry = registry
        self._folder = folder
        self._snapshot = snapshot
        self._bundle = bundle
        self._disk = disk
        self._report = report
        self._cancel = cancel

    def write(self) -> int:
        """Returns the bytes of models that were written."""
        self._disk.make_folder(self._folder)
        self._check_space()
        fetched = sum(map(self._write_whole, self._whole)) + self._write_pieces()
        if not self._bundle.volumes:
            write_texts(self._folder, self._snapshot.files, self._bundle, self._disk, self._cancel)
        for volume in range(1, self._bundle.volumes + 1):
            own = self._bundle.model_copy(update={"volume": volume})
            write_texts(self._folder / f"volume-{volume}", self._snapshot.files, own, self._disk, self._cancel)
        return fetched

    def _check_space(self) -> None:
        """The whole need, before the first byte."""
        texts = overhead_bytes(self._snapshot.files) * max(1, self._bundle.volumes)
        needed, free = self._missing_bytes() + texts, self._disk.free_bytes(self._folder)
        if free < needed:
            raise NoSpaceError(
                f"The bundle needs {format_bytes(needed)} more in {self._folder}; {format_bytes(free)} are free.",
                needed_bytes=needed,
                free_bytes=free,
                path=self._folder,
                hint="Choose another folder, or fewer models.",
            )

    def _missing_bytes(self) -> int:
        pieces = sum(piece.length_bytes for piece in self._bundle.pieces if not self._place(piece).exists())
        return pieces + sum(bytes_missing(each, self._folder / blob_path(each.file.digest)) for each in self._whole)

    @property
    def _whole(self) -> list[ChunkIndex]:
        """What isn't cut into pieces."""
        cut = {piece.digest for piece in self._bundle.pieces}
        return [index for index in self._snapshot.indexes if index.file.digest not in cut]

    def _place(self, piece: BundlePiece) -> Path:
        return (self._folder / f"volume-{piece.volume}" if piece.volume else self._folder) / piece.path

    def _write_whole(self, index: ChunkIndex) -> int:
        path = blob_path(index.file.digest)
        destination = self._folder / path
        self._report(Step("download", f"Writing and verifying {self._name(index)}"))

        def write(sources: Sequence[Source], path: str) -> int:
            return fetch(sources, path, index, destination, self._report, self._cancel).bytes_fetched

        return self._from_the_nearest(index, write)

    def _write_pieces(self) -> int:
        if not self._bundle.pieces:
            return 0
        meter = Meter(self._report, sum(piece.length_bytes for piece in self._bundle.pieces))
        indexes = {index.file.digest: index for index in self._snapshot.indexes}
        done = fetched = 0

        def moved(count: int) -> None:
            nonlocal done
            done += count
            meter.show(done, done)

        for piece in self._bundle.pieces:
            self._report(Step("download", f"Writing and verifying {self._name(indexes[piece.digest], piece)}"))
            fetched += self._write_piece(piece, indexes[piece.digest], moved)
        meter.show(done, done, at_once=True)
        return fetched

    def _write_piece(self, piece: BundlePiece, index: ChunkIndex, moved: Callable[[int], None]) -> int:
        chunks, place = chunks_of(piece, index), self._place(piece)

        def write(sources: Sequence[Source], path: str) -> int:
            return write_piece(sources, path, chunks, place, moved, self._cancel, disk=self._disk)

        return self._from_the_nearest(index, write)

    def _from_the_nearest(self, index: ChunkIndex, write: Callable[[Sequence[Source], str], int]) -> int:
        """From the store when the file is in it, else, or when it is damaged there, from the registry."""
        here = self._store.blob_path(index.file.digest)
        if here.is_file() and here.stat().st_size == index.file.length_bytes:
            try:
                return write([FolderSource(str(here.parent), here.parent)], here.name)
            except (TransportError, TrustError) as error:
                self._report(Remark(f"{error.message} It is fetched from the registry instead.", "warning"))
        return write(self._registry.payload_sources(index), blob_path(index.file.digest))

    def _name(self, index: ChunkIndex, piece: BundlePiece | None = None) -> str:
        if piece is not None and piece.volume:
            return f"volume {piece.volume} of {self._bundle.volumes}"
        named = (*self._bundle.contents, *self._bundle.extras)
        return next((each.name for each in named if each.digest == index.file.digest), "a base model")
