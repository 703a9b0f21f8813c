"""The writer of registries: create one, publish a validated release, promote, withdraw, refresh the timestamp.

Readers see the old state until the last step of each of these, then the new one (see ``ledger``). Saying the same
again changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bbj_desktop.core.chunks import MAX_FILE_BYTES
from bbj_desktop.core.errors import NotFoundError, PublishError
from bbj_desktop.core.ollama_names import check_ollama_address
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.release import (
    Catalogue,
    CatalogueEntry,
    FileReference,
    FitRow,
    Release,
    ReleaseTexts,
    TierTable,
    Variant,
    format_of,
    parse_catalogue,
    parse_release,
    version_key,
)
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.registry.adapters import read_adapters
from bbj_desktop.services.registry.blobs import place_bytes, reference_to, tokenizer_of
from bbj_desktop.services.registry.draft import (
    ModelFile,
    ReleaseDraft,
    check_models,
    check_texts,
    load_draft,
    read_model,
)
from bbj_desktop.services.registry.keys import CHANNEL_PLANS, KEY_PLANS, KeyFolder, KeyPlan, PublicKey, Signers
from bbj_desktop.services.registry.layout import INITIAL_ROOT, METADATA, catalogue_target, manifest_target
from bbj_desktop.services.registry.ledger import Ledger, Lifetimes
from bbj_desktop.services.registry.payloads import HashedVariant, hash_variants
from bbj_desktop.services.registry.rendering import check_prompt
from bbj_desktop.services.registry.root import RootDescription, describe_root
from bbj_desktop.services.registry.rotation import change_keys
from bbj_desktop.services.registry.staging import Stage, StagingLedger, publish_stage

__all__ = [
    "Publisher",
    "ReleaseDraft",
    "Terms",
    "create_registry",
    "load_draft",
    "promote",
    "publish",
    "publish_staged",
    "refresh_timestamp",
    "renew",
    "rotate",
    "withdraw",
]

FIT_CONTEXTS = (2048, 4096, 8192, 16384, 32768)
"""Context lengths of the fit table, as far as the model was trained for them."""

Measure = Callable[[Path, Sequence[int]], tuple[FitRow, ...]]
"""Records a GGUF's fit table at these context lengths."""


def measure_with_engine(gguf: Path, context_lengths: Sequence[int]) -> tuple[FitRow, ...]:
    """Asks llama.cpp itself, in a process of its own. Raises EngineError."""
    from bbj_desktop.services.runtime.fit_table import record_fit_table

    return record_fit_table(gguf, context_lengths)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a new state is signed.

    Attributes:
        stage: A new folder where it waits for signatures; None signs with the keys that are here and publishes.
        clock_is_right: The timestamp's time is over, and not by a wrong clock.
    """

    stage: Path | None = None
    clock_is_right: bool = False


def create_registry(folder: Path, keys_folder: Path, passphrase: str) -> RootDescription:
    """Creates an empty registry with the channels ``beta`` and ``stable``, and its keys.

    Args:
        folder: To be served by a web server, or to be used as it is.
        keys_folder: Gets the private keys, sealed. The makers take ``root-*.key`` and ``targets-*.key`` offline.
        passphrase: Seals the keys.

    Raises:
        PublishError: Something is there already, or can't be written.
    """
    keys = KeyFolder(keys_folder, passphrase)
    publisher = Publisher(folder, keys)
    with publisher.locked():
        if (folder / METADATA).exists():
            raise PublishError(f"There is a registry in {folder} already.", hint="Choose another folder.")
        for role, plan in {**KEY_PLANS, **CHANNEL_PLANS}.items():
            keys.generate(role, plan.keys)
        return publisher.create(KEY_PLANS, CHANNEL_PLANS)


def publish(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    draft: ReleaseDraft,
    channel: str,
    report: Report,
    cancel: Cancel,
    *,
    tiers: TierTable | None = None,
    measure: Measure = measure_with_engine,
    max_file_bytes: int = MAX_FILE_BYTES,
    ollama_mirrors: Sequence[str] | None = None,
    terms: Terms = Terms(),
) -> Release:
    """Checks a release, signs it and puts it into a channel.

    Args:
        folder: The registry.
        keys_folder: With the keys of the channel, of snapshot and of timestamp.
        passphrase: Of the keys.
        draft: The release and its files.
        channel: e.g. ``beta``.
        report: Told what is done, and the bytes that are hashed.
        cancel: Obeyed between and within files; nothing is visible before the end.
        tiers: Replaces the channel's tier table; None leaves it.
        measure: Records the fit tables.
        max_file_bytes: Models that are longer are split into files of at most this length.
        ollama_mirrors: Where Ollama may pull it from (``ollama://…``), in place of what was said before; None leaves
            that.
        terms: How it is signed.

    Returns:
        The release as signed: a former one with the same content when it was published before.

    Raises:
        PublishError: A rule is broken, keys are missing, or this version was published with other content.
        UserInputError: Ollama could pull nothing from a mirror.
        NotFoundError: There is no registry, or no such channel.
        EngineError: The fit table can't be recorded.
        StoreBusyError: Another process publishes into it.
        Cancelled: By ``cancel``.
    """
    purpose = f"publish {draft.name} in {channel}"
    with opened(folder, keys_folder, passphrase, terms, purpose) as publisher:
        return publisher.publish(
            draft,
            channel,
            report,
            cancel,
            tiers=tiers,
            measure=measure,
            max_file_bytes=max_file_bytes,
            ollama_mirrors=ollama_mirrors,
        )


def promote(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    *,
    model: str,
    role: str,
    size: str,
    version: str,
    source: str = "beta",
    target: str = "stable",
    tiers: TierTable | None = None,
    terms: Terms = Terms(),
) -> Release:
    """Offers a release of one channel in another one too: the same manifest, signed by the other channel's keys.

    Args:
        folder: The registry.
        keys_folder: With the keys of ``target``, of snapshot and of timestamp.
        passphrase: Of the keys.
        model: With ``role``, ``size`` and ``version``: which release.
        role: ``chat`` or ``fim``.
        size: E.g. ``7b``.
        version: E.g. ``2026.1``.
        source: The channel that offers it.
        target: The channel that shall.
        tiers: Replaces the tier table of ``target``; None leaves it.
        terms: How it is signed.

    Raises:
        NotFoundError: ``source`` doesn't offer it.
        PublishError: It was withdrawn there, keys are missing, or ``target`` has it with other content.
    """
    purpose = f"promote {model} {role} {size} {version} from {source} to {target}"
    with opened(folder, keys_folder, passphrase, terms, purpose) as publisher:
        return publisher.promote((model, role, size, version), source, target, tiers=tiers)


def withdraw(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    channel: str,
    *,
    model: str,
    role: str,
    size: str,
    version: str,
    reason: str,
    terms: Terms = Terms(),
) -> Catalogue:
    """Takes a release back: it isn't offered any more, and whoever has it is told why. Its files stay.

    Args:
        folder: The registry.
        keys_folder: With the keys of the channel, of snapshot and of timestamp.
        passphrase: Of the keys.
        channel: E.g. ``stable``.
        model: With ``role``, ``size`` and ``version``: which release.
        role: ``chat`` or ``fim``.
        size: E.g. ``7b``.
        version: E.g. ``2026.1``.
        reason: For its users, a sentence.
        terms: How it is signed.

    Raises:
        NotFoundError: The channel has no such release.
        PublishError: No reason, or keys are missing.
    """
    purpose = f"withdraw {model} {role} {size} {version} from {channel}"
    with opened(folder, keys_folder, passphrase, terms, purpose) as publisher:
        return publisher.withdraw((model, role, size, version), channel, reason)


def refresh_timestamp(folder: Path, keys_folder: Path, passphrase: str, *, clock_is_right: bool = False) -> datetime:
    """Signs a new timestamp (and a new snapshot when its time is half over), so that clients know that nothing is held
    back. To be done well before the timestamp's end; see ``Lifetimes``.

    Args:
        folder: The registry.
        keys_folder: With the keys of snapshot and timestamp.
        passphrase: Of the keys.
        clock_is_right: The timestamp's time is over, and not by a wrong clock.

    Returns:
        Until when the new timestamp is good (UTC).

    Raises:
        NotFoundError: There is no registry.
        PublishError: Keys are missing, the clock is doubtful, or it can't be written.
    """
    with opened(folder, keys_folder, passphrase, Terms(clock_is_right=clock_is_right)) as publisher:
        return publisher.ledger.refresh()


def renew(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    *roles: str,
    terms: Terms = Terms(),
) -> None:
    """Signs roles anew as they are, before their time is over: ``root``, ``targets``, channels.

    Raises:
        NotFoundError: There is no registry, or no such role.
        PublishError: Keys are missing, or it can't be written.
    """
    with opened(folder, keys_folder, passphrase, terms, f"sign {', '.join(roles)} anew") as publisher:
        publisher.ledger.demand_signers(*roles, "snapshot", "timestamp")
        publisher.ledger.commit(*roles)


def rotate(
    folder: Path,
    stage: Path,
    role: str,
    *,
    add: Sequence[PublicKey] = (),
    remove: Sequence[str] = (),
    threshold: int | None = None,
    clock_is_right: bool = False,
) -> None:
    """Stages a change of a role's keys. Nothing changes before the stage is signed and published.

    Args:
        folder: The registry.
        stage: A new folder for the stage.
        role: Any: ``root``, ``targets``, ``snapshot``, ``timestamp``, a channel.
        add: New keys.
        remove: Ids of keys that shall count no more, or their first digits.
        threshold: How many must sign from now on; None leaves it.
        clock_is_right: The timestamp's time is over, and not by a wrong clock.

    Raises:
        NotFoundError: There is no registry, or no such role or key.
        PublishError: Too few keys would be left, or it can't be written.
    """
    terms = Terms(stage=stage, clock_is_right=clock_is_right)
    with opened(folder, stage, "", terms, f"change the keys of {role}") as publisher:
        change_keys(publisher.ledger, role, add=add, remove=remove, threshold=threshold)


def publish_staged(
    folder: Path, keys_folder: Path, passphrase: str, stage: Path, *, clock_is_right: bool = False
) -> tuple[str, ...]:
    """Makes a stage visible that enough people have signed.

    Args:
        folder: The registry.
        keys_folder: With the keys of snapshot and timestamp.
        passphrase: Of the keys.
        stage: The stage's folder.
        clock_is_right: The timestamp's time is over, and not by a wrong clock.

    Returns:
        The roles that were replaced.

    Raises:
        NotFoundError: There is no registry, or no stage.
        FormatError, TrustError: The stage is damaged.
        PublishError: Signatures or files are missing, or something was published meanwhile.
    """
    with opened(folder, keys_folder, passphrase, Terms(clock_is_right=clock_is_right)) as publisher:
        return publish_stage(publisher.ledger, Stage.load(stage))


@contextmanager
def opened(
    folder: Path,
    keys_folder: Path,
    passphrase: str,
    terms: Terms = Terms(),
    purpose: str = "",
) -> Iterator[Publisher]:
    """A registry, loaded, for writing, by nobody else meanwhile. Raises as the functions above."""
    publisher = Publisher(folder, KeyFolder(keys_folder, passphrase), terms=terms, purpose=purpose)
    if not (folder / METADATA).is_dir():
        raise NotFoundError(f"There is no registry in {folder}.", hint="Create one first: registry create")
    with publisher.locked():
        publisher.ledger.load()
        publisher.ledger.check_clock()
        yield publisher


Name = tuple[str, str, str, str]
"""Model, role, size and version of a release."""


class Publisher:
    """What the functions above share: one registry, open for writing by one process.

    Args:
        folder: The registry.
        signers: Who signs.
        lifetimes: How long for.
        now: Clock (UTC).
        wrote: Told about each file after it is in place.
        terms: How it is signed.
        purpose: What a stage is for, in a sentence.

    Attributes:
        ledger: Its metadata.

    Its methods take and raise what the functions of the same names document.
    """

    def __init__(
        self,
        folder: Path,
        signers: Signers,
        *,
        lifetimes: Lifetimes | None = None,
        now: Callable[[], datetime] = _utc_now,
        wrote: Callable[[Path], None] = lambda _path: None,
        terms: Terms = Terms(),
        purpose: str = "",
    ) -> None:
        self._folder = folder
        lifetimes, sure = lifetimes or Lifetimes(), terms.clock_is_right
        if terms.stage is None:
            self.ledger = Ledger(folder, signers, lifetimes=lifetimes, now=now, wrote=wrote, clock_is_right=sure)
        else:
            self.ledger = StagingLedger(
                folder, terms.stage, purpose, signers, lifetimes=lifetimes, now=now, clock_is_right=sure
            )

    def locked(self) -> FileLock:
        return FileLock(self._folder / ".lock", what=f"the registry in {self._folder}")

    def create(self, plans: Mapping[str, KeyPlan], channels: Mapping[str, KeyPlan]) -> RootDescription:
        self.ledger.create(plans, channels)
        for channel in channels:
            self.put_catalogue(Catalogue(channel=channel))
        self.ledger.commit(*channels)
        return describe_root((self._folder / INITIAL_ROOT).read_bytes())

    def publish(
        self,
        draft: ReleaseDraft,
        channel: str,
        report: Report,
        cancel: Cancel,
        *,
        tiers: TierTable | None = None,
        measure: Measure = measure_with_engine,
        max_file_bytes: int = MAX_FILE_BYTES,
        ollama_mirrors: Sequence[str] | None = None,
    ) -> Release:
        self.ledger.channel(channel)
        mirrors = None if ollama_mirrors is None else tuple(dict.fromkeys(map(check_ollama_address, ollama_mirrors)))
        self.ledger.demand_signers(channel, "snapshot", "timestamp")
        report(Step("check", f"Checking {draft.title} {draft.version}"))
        check_texts(draft)
        self._refuse_withdrawn((draft.model, draft.role, draft.size, draft.version), channel)
        wholes = [read_model(quantisation, path) for quantisation, path in sorted(draft.files.items())]
        bases = [read_model(quantisation, each.base) for quantisation, each in sorted(draft.adapters.items())]
        models = [*wholes, *bases]
        check_models(draft, models)
        checked = check_prompt(draft, models[0].header)
        for remark in checked.unchecked:
            report(Remark(remark))
        draft = draft.model_copy(update={"prompt": checked.prompt})
        adapters = read_adapters(draft, bases)
        report(Step("hash", f"Reading {len(models) + len(adapters)} model files"))
        hashed = hash_variants(wholes, bases, adapters, max_file_bytes, report, cancel)
        tokenizer = tokenizer_of(models[0].path, models[0].header)
        candidate = _assemble(draft, reference_to(tokenizer), [item.variant() for item in hashed])
        known = self._published(candidate)
        release = known.get(channel) or next(iter(known.values()), None)
        same = self._has_tiers(channel, tiers) and self._has_mirrors(channel, candidate, mirrors)
        if channel in known and release is not None and same:
            report(Remark(f"{draft.title} {draft.version} is published in {channel} already; nothing changed."))
            return release
        if release is None:
            report(Step("fit", "Recording what the engine allocates"))
            rows = [_measured(item.model, measure, cancel) for item in hashed]
            variants = [item.variant(table) for item, table in zip(hashed, rows, strict=True)]
            release = _assemble(draft, candidate.tokenizer, variants)
        report(Step("publish", f"Signing {draft.title} {draft.version} for {channel}"))
        self._place(hashed, tokenizer, cancel)
        self._offer(release, channel, tiers, mirrors)
        return release

    def promote(self, name: Name, source: str, target: str, *, tiers: TierTable | None = None) -> Release:
        entry = self._entry(source, name)
        self._refuse_withdrawn(name, source)
        self._refuse_withdrawn(name, target)
        release = parse_release(self.ledger.read_target(source, entry.manifest) or b"")
        mirrors = entry.ollama_mirrors or None
        same = self._has_tiers(target, tiers) and self._has_mirrors(target, release, mirrors)
        if target in self._published(release) and same:
            return release
        self._offer(release, target, tiers, mirrors)
        return release

    def withdraw(self, name: Name, channel: str, reason: str) -> Catalogue:
        if not reason.strip():
            raise PublishError("A release isn't withdrawn without a reason: its users will read it.")
        old = self._entry(channel, name)
        catalogue = self.catalogue(channel)
        if old.withdrawn == reason:
            return catalogue
        entries = tuple(
            entry.model_copy(update={"withdrawn": reason}) if entry == old else entry for entry in catalogue.entries
        )
        catalogue = catalogue.model_copy(update={"entries": entries})
        self.put_catalogue(catalogue)
        self.ledger.commit(channel)
        return catalogue

    def _published(self, candidate: Release) -> dict[str, Release]:
        """By channel, the release of this name with this content.

        Raises:
            PublishError: Some channel has it with other content.
        """
        found = {}
        for channel in self.ledger.channels:
            manifest = self.ledger.read_target(channel, manifest_target(channel, candidate))
            if manifest is None:
                continue
            release = parse_release(manifest)
            if _as_written(release) != _as_written(candidate):
                raise PublishError(
                    f"{candidate.title} {candidate.version} was published in {channel} with other content.",
                    hint="What is published stays as it is: give the new one a new version.",
                )
            found[channel] = release
        return found

    def _place(self, hashed: Sequence[HashedVariant], tokenizer: bytes, cancel: Cancel) -> None:
        place_bytes(self.ledger, tokenizer)
        for item in hashed:
            for file in item.files:
                file.place(self.ledger, cancel)

    def _offer(self, release: Release, channel: str, tiers: TierTable | None, mirrors: tuple[str, ...] | None) -> None:
        manifest = manifest_target(channel, release)
        entry = CatalogueEntry(
            model=release.model,
            role=release.role,
            size=release.size,
            version=release.version,
            released=release.released,
            manifest=manifest,
        )
        self.ledger.add_target(channel, manifest, release.model_dump_json(indent=1).encode())
        catalogue = self.catalogue(channel)
        entries = {_name(each): each for each in catalogue.entries}
        entry = entries.get(_name(entry), entry)
        entries[_name(entry)] = entry if mirrors is None else entry.model_copy(update={"ollama_mirrors": mirrors})
        ordered = sorted(entries.values(), key=lambda each: (_name(each)[:3], version_key(each.version)))
        changes = {"entries": tuple(ordered), "tiers": tiers or catalogue.tiers}
        self.put_catalogue(catalogue.model_copy(update=changes))
        self.ledger.commit(channel)

    def catalogue(self, channel: str) -> Catalogue:
        return parse_catalogue(self.ledger.read_target(channel, catalogue_target(channel)) or b"")

    def _has_tiers(self, channel: str, tiers: TierTable | None) -> bool:
        return tiers is None or tiers == self.catalogue(channel).tiers

    def _has_mirrors(self, channel: str, release: Release, mirrors: tuple[str, ...] | None) -> bool:
        name = (release.model, release.role, release.size, release.version)
        entries = {_name(entry): entry for entry in self.catalogue(channel).entries}
        return mirrors is None or (name in entries and entries[name].ollama_mirrors == mirrors)

    def _entry(self, channel: str, name: Name) -> CatalogueEntry:
        for entry in self.catalogue(channel).entries:
            if _name(entry) == name:
                return entry
        raise NotFoundError(f"The channel {channel!r} has no release {' '.join(name)}.")

    def _refuse_withdrawn(self, name: Name, channel: str) -> None:
        for entry in self.catalogue(channel).entries:
            if _name(entry) == name and entry.withdrawn is not None:
                raise PublishError(
                    f"{' '.join(name)} was withdrawn from {channel}: {entry.withdrawn}",
                    hint="What was withdrawn is never offered again: give the mended one a new version.",
                )

    def put_catalogue(self, catalogue: Catalogue) -> None:
        data = catalogue.model_dump_json(indent=1).encode()
        self.ledger.add_target(catalogue.channel, catalogue_target(catalogue.channel), data)


def _name(entry: CatalogueEntry) -> Name:
    return entry.model, entry.role, entry.size, entry.version


def _measured(model: ModelFile, measure: Measure, cancel: Cancel) -> tuple[FitRow, ...]:
    cancel.check()
    lengths = [length for length in FIT_CONTEXTS if length <= model.architecture.trained_context]
    return measure(model.path, lengths or [model.architecture.trained_context])


def _assemble(draft: ReleaseDraft, tokenizer: FileReference | None, variants: Sequence[Variant]) -> Release:
    texts = {name: getattr(draft, name) for name in ReleaseTexts.model_fields} | {"format": format_of(variants)}
    return Release(**texts, tokenizer=tokenizer, variants=tuple(variants))


def _as_written(release: Release) -> Release:
    """A release without what is measured or follows from the rest: that may differ from one program to the next."""
    variants = tuple(variant.model_copy(update={"fit_table": ()}) for variant in release.variants)
    prompt = release.prompt.model_copy(update={"rendering": None})
    return release.model_copy(update={"variants": variants, "prompt": prompt})
