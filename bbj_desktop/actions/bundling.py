"""Models for machines without a network: exporting them where there is one, importing them where there is none."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.extras import ExtrasImport, ImportedExtra
from bbj_desktop.actions.installing import InstallPlan, plan_install
from bbj_desktop.actions.recommending import choose, read_offering, recommend
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.core.errors import (
    NoSpaceError,
    NotFoundError,
    NoTrustedRootError,
    TransportError,
    TrustError,
    UserInputError,
)
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import ChunkIndex, Extra, Offer, Offering, Release, Role, Variant, version_key
from bbj_desktop.core.settings import SETTINGS
from bbj_desktop.core.units import format_bytes
from bbj_desktop.core.versions import model_name, slot_of, version_key_of
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.registry.bundle import (
    Bundle,
    BundleContent,
    BundleFolder,
    BundlePiece,
    BundleSource,
    find_bundles,
)
from bbj_desktop.services.registry.bundle_reading import Taken, copy_texts, names_of_missing, take_what_is_here
from bbj_desktop.services.registry.bundle_volumes import chunks_of, plan_pieces, split_pieces, write_piece
from bbj_desktop.services.registry.bundle_writing import Snapshot, overhead_bytes, take_snapshot, write_texts
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.registry.known import KnownRegistries, KnownRegistry
from bbj_desktop.services.registry.layout import METADATA
from bbj_desktop.services.registry.offline import OfflineRegistry
from bbj_desktop.services.registry.root import MAX_ROOT_BYTES, describe_root, identity_of
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


class ImportedModel(BaseModel):
    """A model of a bundle, as far as it is here.

    Attributes:
        key: Its version's key.
        version: Its release's version.
        missing_bytes: What of it isn't here yet.
        missing: Names of the pieces that are to be brought, with their volumes.
    """

    model_config = ConfigDict(frozen=True)

    key: str
    version: str
    digest: str
    length_bytes: int
    missing_bytes: int = 0
    missing: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        return not self.missing_bytes


class Imported(BaseModel):
    """The end of an import.

    Attributes:
        extras: Installers and the like, where they were put.
        newer_known: This machine had seen newer metadata than the bundle holds, and judged by that.
        refused: Models in the bundle that the newest metadata known here doesn't offer (any more).
        copied_bytes: Model bytes that were copied and verified.
    """

    model_config = ConfigDict(frozen=True)

    registry: RegistryView
    channel: str
    models: tuple[ImportedModel, ...]
    extras: tuple[ImportedExtra, ...] = ()
    newer_known: bool
    refused: tuple[str, ...]
    copied_bytes: int
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
    disk, channel = Disk(), context.settings.values.channel
    registries, known = KnownRegistries(context.paths.registries), context.known_registry()
    registry = context.open_registry()
    try:
        report(Step("catalogue", "Reading the registry"))
        registry.refresh(cancel)
        state, app_version = registries.state(known), context.app_version
        snapshot = take_snapshot(registry, state, channel, chosen, cancel, app_version=app_version, extras=extras)
        bundle = Bundle(
            registry=registry.identity,
            channel=channel,
            created=context.now(),
            contents=tuple(map(_content, chosen)),
            extras=tuple(map(_extra_content, extras)),
        )
        if volume_bytes is None:
            pieces = tuple(piece for index in snapshot.indexes for piece in split_pieces(index))
        else:
            pieces = plan_pieces(snapshot.indexes, volume_bytes - overhead_bytes(snapshot.files))
        bundle = bundle.model_copy(update={"pieces": pieces, "volumes": pieces[-1].volume if pieces else 0})
        writer = _Export(context.open_store(), registry, folder, snapshot, bundle, disk, report, cancel)
        fetched = writer.write()
        _check(folder if volume_bytes is None else folder / "volume-1", registries.state(known), cancel)
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


def trusted_registry_of(context: Context, folders: Sequence[BundleFolder]) -> KnownRegistry | None:
    """The registry of a bundle, if this machine trusts it: one of the bundle's roots is the one that it began with."""
    known = {each.identity: each for each in KnownRegistries(context.paths.registries).all()}
    for path in BundleSource(folders).metadata_folder.files:
        if path.startswith(f"{METADATA}/") and path.endswith(".root.json"):
            root = BundleSource(folders).read(path, limit_bytes=MAX_ROOT_BYTES, cancel=Cancel())
            if identity_of(root) in known:
                return known[identity_of(root)]
    return None


def open_bundles(paths: Sequence[Path]) -> tuple[BundleFolder, ...]:
    """The bundles and volumes that folders are or hold. Raises as ``find_bundles``."""
    return find_bundles(paths)


def import_bundle(
    context: Context,
    folders: Sequence[BundleFolder],
    report: Report,
    cancel: Cancel,
    *,
    root: bytes | None = None,
    extras_folder: Path | None = None,
) -> Imported:
    """Takes over what is new in bundles and volumes: metadata, signed texts, and every part of a model that is there.

    Volumes may come in any order and one at a time; what is here stays. Afterwards the registry has a mirror on this
    machine, so that everything else works as with a network.

    Args:
        folders: As ``open_bundles`` found them.
        root: The first root to trust, where the registry isn't trusted yet; its fingerprint was compared.
        extras_folder: Where to put installers and the like; None for the data folder's ``extras``.

    Raises:
        NoTrustedRootError: The registry isn't trusted, and there is no ``root``.
        TrustError: The bundle isn't what was signed.
        NoSpaceError: Before the first byte of a model.
        TransportError, StoreError, Cancelled: As the services say: a stick that was pulled, e.g.
    """
    started = time.monotonic()
    registries, source = KnownRegistries(context.paths.registries), BundleSource(folders)
    known = trusted_registry_of(context, folders)
    if known is None:
        known = _new(context, root, source)
    mirror, channel = registries.state(known) / "offline", folders[0].bundle.channel
    registry = OfflineRegistry.open(source, registries.state(known), initial_root=root, now=context.now)
    registry.expiry = context.settings.values.bundle_expiry
    report(Step("catalogue", f"Verifying {source.address}"))
    registry.refresh(cancel)
    for remark in registry.remarks:
        report(remark)
    offers = registry.all_offers(channel, cancel, app_version=context.app_version)
    wanted = _in_bundle(source, offers)
    indexes = [[registry.chunk_index(part, cancel) for part in variant.parts] for _, variant in wanted]
    extras = ExtrasImport.plan(source, registry, channel, extras_folder or context.paths.extras, cancel)
    for release, _ in wanted:
        registry.tokenizer(release, cancel)
    report(Step("mirror", "Keeping the signed metadata"))
    copy_texts(source, mirror, wanted, cancel, with_metadata=not registry.behind)
    known = _with_mirror(known, mirror)
    registries.remember(known)
    store = context.open_store()
    needed = sum(bytes_missing(index, store.blob_path(index.file.digest)) for some in indexes for index in some)
    extras.check_space(context.paths.store, needed)
    store.check_space(needed)
    models, copied = [], 0
    for (release, variant), parts in zip(wanted, indexes, strict=True):
        key = version_key_of(release, variant.quantisation)
        report(Step("import", f"Copying and verifying {key}"))
        taken = [take_what_is_here(source, each, store.blob_path(each.file.digest), report, cancel) for each in parts]
        copied += sum(each.copied_bytes for each in taken)
        models.append(_imported(source, release, variant, taken))
    imported_extras = extras.take(report, cancel)
    log.info("imported %d models from %s: %d bytes copied", len(models), source.address, copied)
    return Imported(
        registry=RegistryView.of(known, current=context.known_registry().identity == known.identity),
        channel=channel,
        models=tuple(models),
        newer_known=registry.behind,
        extras=imported_extras,
        refused=_refused(folders, {variant.own_file.digest for _, variant in wanted} | extras.digests),
        copied_bytes=copied + sum(each.copied_bytes for each in imported_extras),
        seconds=time.monotonic() - started,
    )


def plan_imported(
    context: Context, imported: Imported, report: Report, cancel: Cancel, *, allow_older: bool = False
) -> tuple[InstallPlan, ...]:
    """What to install of an import: for each role the best for this machine among the models that came, newest first.

    Raises:
        UserInputError: It is older than what is active, and ``allow_older`` wasn't given.
        NotFoundError: Nothing came whole, or this machine has no engine for it.
        TrustError, TransportError: As the registry says.
    """
    digests = {model.digest for model in imported.models if model.whole}
    if not digests:
        raise NotFoundError("No model of this bundle is whole yet.", hint="Import the other volumes, too.")
    own = reading(context, imported)
    best: dict[Role, Candidate] = {}
    for version in sorted({model.version for model in imported.models if model.whole}, key=version_key, reverse=True):
        recommended = recommend(own, Wishes(version=version), report, cancel)
        for role in recommended.recommendation.choices:
            candidates = ((role.choice,) if role.choice is not None else ()) + role.others
            came = next((each for each in candidates if each.variant.own_file.digest in digests), None)
            if came is not None:
                best.setdefault(role.role, came)
    if not best:
        raise NotFoundError("Nothing here can run the models of this bundle.", hint="bbj-desktop doctor says why.")
    for candidate in best.values():
        _refuse_older(context.open_store(), candidate, allow_older=allow_older)
    return tuple(plan_install(own, candidate, cancel) for candidate in best.values())


def reading(context: Context, imported: Imported) -> Context:
    """A context that reads the registry and the channel of an import."""
    channel = imported.channel
    if channel not in SETTINGS["channel"].choices:
        raise UserInputError(f"The bundle is of the channel {channel!r}, which can't be chosen here.")
    values = replace(context.settings.values, registry=imported.registry.address, channel=channel)  # type: ignore[arg-type]
    return replace(context, settings=replace(context.settings, values=values))


def _refuse_older(store: Store, candidate: Candidate, *, allow_older: bool) -> None:
    release = candidate.release
    active = store.active(slot_of(release))
    if active is None or allow_older or version_key(active.release.version) <= version_key(release.version):
        return
    raise UserInputError(
        f"{release.title} {release.version} is older than {active.key}, which is active.",
        hint="Add --allow-older to go back to it.",
    )


def _new(context: Context, root: bytes | None, source: BundleSource) -> KnownRegistry:
    if root is None:
        raise NoTrustedRootError(
            f"The registry of the bundle {source.address} isn't trusted on this machine.",
            hint="Compare its fingerprint: add --fingerprint DIGEST, or --root ROOT.json from a safe place.",
        )
    return KnownRegistry(identity=describe_root(root).identity, address="", added_at=context.now())


def _with_mirror(known: KnownRegistry, mirror: Path) -> KnownRegistry:
    """The mirror on this machine is asked last; it is the registry's address when there is no other."""
    place = str(mirror)
    mirrors = (
        known.mirrors if place in (known.address, *known.mirrors) or not known.address else (*known.mirrors, place)
    )
    offline = known.offline if place in known.offline else (*known.offline, place)
    return known.model_copy(update={"address": known.address or place, "mirrors": mirrors, "offline": offline})


def _in_bundle(source: BundleSource, offers: Sequence[Offer]) -> list[Chosen]:
    """The models that the registry offers and that the bundle says it has, or has a part of."""
    listed = {content.digest for folder in source.folders for content in folder.bundle.contents}
    found = {
        variant.own_file.digest: (offer.release, variant)
        for offer in offers
        for variant in offer.release.variants
        if variant.own_file.digest in listed or source.ranges(variant.own_file.digest)
    }
    return list(found.values())


def _imported(source: BundleSource, release: Release, variant: Variant, taken: Sequence[Taken]) -> ImportedModel:
    files = zip(variant.parts, taken, strict=True)
    return ImportedModel(
        key=version_key_of(release, variant.quantisation),
        version=release.version,
        digest=variant.own_file.digest,
        length_bytes=variant.length_bytes,
        missing_bytes=sum(each.missing_bytes for each in taken),
        missing=tuple(name for part, each in files for name in names_of_missing(source, part.file.digest, each)),
    )


def _refused(folders: Sequence[BundleFolder], wanted: set[str]) -> tuple[str, ...]:
    names = {
        content.digest: content.name
        for folder in folders
        for content in (*folder.bundle.contents, *folder.bundle.extras)
        if content.digest not in wanted
    }
    return tuple(sorted(names.values()))
