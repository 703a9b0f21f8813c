"""Taking models over from bundles and volumes, on machines without a network."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.extras import ExtrasImport, ImportedExtra
from bbj_desktop.actions.installing import InstallPlan, plan_install
from bbj_desktop.actions.recommending import recommend
from bbj_desktop.actions.registering import RegistryView
from bbj_desktop.core.errors import (
    NotFoundError,
    NoTrustedRootError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import ChunkIndex, Release, Role, Variant, version_key
from bbj_desktop.core.settings import SETTINGS
from bbj_desktop.core.versions import slot_of, version_key_of
from bbj_desktop.services.registry.bundle import (
    BundleFolder,
    BundleSource,
)
from bbj_desktop.services.registry.bundle_reading import Taken, copy_texts, names_of_missing, take_what_is_here
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.known import KnownRegistries, KnownRegistry
from bbj_desktop.services.registry.layout import METADATA
from bbj_desktop.services.registry.offline import OfflineRegistry
from bbj_desktop.services.registry.root import MAX_ROOT_BYTES, describe_root, identity_of
from bbj_desktop.services.store.store import Store
from bbj_desktop.services.transfer.fetch import bytes_missing

log = logging.getLogger(__name__)


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


def trusted_registry_of(context: Context, folders: Sequence[BundleFolder]) -> KnownRegistry | None:
    """The registry of a bundle, if this machine trusts it: one of the bundle's roots is the one that it began with."""
    known = {each.identity: each for each in KnownRegistries(context.paths.registries).all()}
    for path in BundleSource(folders).metadata_folder.files:
        if path.startswith(f"{METADATA}/") and path.endswith(".root.json"):
            root = BundleSource(folders).read(path, limit_bytes=MAX_ROOT_BYTES, cancel=Cancel())
            if identity_of(root) in known:
                return known[identity_of(root)]
    return None


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
        folders: As ``find_bundles`` found them.
        root: The first root to trust, where the registry isn't trusted yet; its fingerprint was compared.
        extras_folder: Where to put installers and the like; None for the data folder's ``extras``.

    Raises:
        NoTrustedRootError: The registry isn't trusted, and there is no ``root``.
        TrustError: The bundle isn't what was signed.
        NoSpaceError: Before the first byte of a model.
        TransportError, StoreError, Cancelled: As the services say: a stick that was pulled, e.g.
    """
    started, source = time.monotonic(), BundleSource(folders)
    known = trusted_registry_of(context, folders) or _new(context, root, source)
    registry = _verified(context, known, source, root, report, cancel)
    channel = folders[0].bundle.channel
    coming = _in_bundle(source, registry, channel, context.app_version, cancel)
    extras = ExtrasImport.plan(source, registry, channel, extras_folder or context.paths.extras, cancel)
    report(Step("mirror", "Keeping the signed metadata"))
    known = _keep_texts(context, known, registry, source, coming, cancel)
    _check_space(context, coming, extras)
    models, copied = _take_models(context.open_store(), source, coming, report, cancel)
    imported_extras = extras.take(report, cancel)
    log.info("imported %d models from %s: %d bytes copied", len(models), source.address, copied)
    return Imported(
        registry=RegistryView.of(known, current=context.known_registry().identity == known.identity),
        channel=channel,
        models=models,
        newer_known=registry.behind,
        extras=imported_extras,
        refused=_refused(folders, {each.variant.own_file.digest for each in coming} | extras.digests),
        copied_bytes=copied + sum(each.copied_bytes for each in imported_extras),
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True, slots=True)
class _Coming:
    """A model that the registry offers, and of which the bundle has something.

    Attributes:
        indexes: Of each of its files.
    """

    release: Release
    variant: Variant
    indexes: tuple[ChunkIndex, ...]


def _verified(
    context: Context, known: KnownRegistry, source: BundleSource, root: bytes | None, report: Report, cancel: Cancel
) -> OfflineRegistry:
    """The registry as the bundle tells it, or newer metadata that is known here."""
    state = KnownRegistries(context.paths.registries).state(known)
    registry = OfflineRegistry.open(source, state, initial_root=root, now=context.now)
    registry.expiry = context.settings.values.bundle_expiry
    report(Step("catalogue", f"Verifying {source.address}"))
    registry.refresh(cancel)
    for remark in registry.remarks:
        report(remark)
    return registry


def _in_bundle(
    source: BundleSource, registry: Registry, channel: str, app_version: str, cancel: Cancel
) -> tuple[_Coming, ...]:
    """The models that the registry offers and that the bundle says it has, or has a part of."""
    listed = {content.digest for folder in source.folders for content in folder.bundle.contents}
    found = {
        variant.own_file.digest: (offer.release, variant)
        for offer in registry.all_offers(channel, cancel, app_version=app_version)
        for variant in offer.release.variants
        if variant.own_file.digest in listed or source.ranges(variant.own_file.digest)
    }
    return tuple(
        _Coming(release, variant, tuple(registry.chunk_index(part, cancel) for part in variant.parts))
        for release, variant in found.values()
    )


def _keep_texts(
    context: Context,
    known: KnownRegistry,
    registry: OfflineRegistry,
    source: BundleSource,
    coming: Sequence[_Coming],
    cancel: Cancel,
) -> KnownRegistry:
    """Makes the mirror on this machine, from which everything signed is read from now on; models follow."""
    registries = KnownRegistries(context.paths.registries)
    mirror = registries.state(known) / "offline"
    for each in coming:
        registry.tokenizer(each.release, cancel)
    models = [(each.release, each.variant) for each in coming]
    copy_texts(source, mirror, models, cancel, with_metadata=not registry.behind)
    known = _with_mirror(known, mirror)
    registries.remember(known)
    return known


def _check_space(context: Context, coming: Sequence[_Coming], extras: ExtrasImport) -> None:
    """The whole need, before the first byte of a model."""
    store = context.open_store()
    indexes = [index for each in coming for index in each.indexes]
    needed = sum(bytes_missing(index, store.blob_path(index.file.digest)) for index in indexes)
    extras.check_space(context.paths.store, needed)
    store.check_space(needed)


def _take_models(
    store: Store, source: BundleSource, coming: Sequence[_Coming], report: Report, cancel: Cancel
) -> tuple[tuple[ImportedModel, ...], int]:
    """The models as far as they are here now, and the bytes that were copied for it."""
    models, copied = [], 0
    for each in coming:
        report(Step("import", f"Copying and verifying {version_key_of(each.release, each.variant.quantisation)}"))
        taken = [
            take_what_is_here(source, index, store.blob_path(index.file.digest), report, cancel)
            for index in each.indexes
        ]
        copied += sum(part.copied_bytes for part in taken)
        models.append(_imported(source, each.release, each.variant, taken))
    return tuple(models), copied


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
