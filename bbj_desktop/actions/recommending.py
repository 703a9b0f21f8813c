"""Finding out what this machine should get."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.machine import read_profile
from bbj_desktop.actions.measured import what_is_learned
from bbj_desktop.actions.placing import lying_elsewhere
from bbj_desktop.core import reasons as say
from bbj_desktop.core.assumed_engines import assumed_engines
from bbj_desktop.core.engines import OLLAMA_ACCELERATORS, RuntimeStatus
from bbj_desktop.core.errors import EngineMissingError, NotFoundError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.judging import pick_runtime, with_kinds_in_order
from bbj_desktop.core.measuring import Learned
from bbj_desktop.core.progress import Cancel, Report, Step, silent
from bbj_desktop.core.recommend import HardwareTables, judge, load_tables
from bbj_desktop.core.recommend import recommend as decide
from bbj_desktop.core.recommendation import Candidate, ReasonKind, Recommendation, Wishes
from bbj_desktop.core.release import Offer, Offering, TierTable, Variant
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.resources import resource
from bbj_desktop.services.registry.client import Registry


class Recommended(BaseModel):
    """A recommendation together with what it was made from.

    Attributes:
        here: Bytes of model files that are in the store already, whole or in part, by digest.
        learned: What was measured here.
        away: Digests of model files that can't be had now.
    """

    model_config = ConfigDict(frozen=True)

    profile: HardwareProfile
    runtimes: tuple[RuntimeStatus, ...]
    offering: Offering
    recommendation: Recommendation
    here: Mapping[str, int] = MappingProxyType({})
    learned: Learned = Learned()
    away: frozenset[str] = frozenset()


def recommend(
    context: Context, wishes: Wishes, report: Report, cancel: Cancel, *, profile: HardwareProfile | None = None
) -> Recommended:
    """Looks at the machine and the registry and decides.

    Args:
        profile: Another machine's, of which the engines aren't known: they are assumed, which a remark says. None
            looks at this one.

    Raises:
        NoTrustedRootError: No registry is set up.
        TransportError: The registry can't be reached.
        TrustError: What it serves isn't trustworthy.
    """
    report(Step("detect", "Looking at this machine"))
    machine = profile or context.profile()
    if profile is None:
        machine, runtimes = _elsewhere(context, machine, tuple(runtime.status() for runtime in context.runtimes()))
        here, learned = context.open_store().held_bytes(), what_is_learned(context, runtimes)
    else:
        runtimes, here, learned = assumed_engines(profile, wishes.runtime), {}, Learned()
    cancel.check()
    report(Step("catalogue", "Reading the registry"))
    offering, away = _offering_and_away(context, cancel, wishes.version, report)
    if profile is not None:
        away = frozenset()  # what is here is of no use there
    recommendation = decide(
        machine,
        offering,
        runtimes,
        with_settings(context, wishes),
        tables=hardware_tables(),
        tiers=tiers_of(offering),
        here=here,
        learned=learned,
        away=away,
    )
    if profile is not None:
        recommendation = _with_assumption(recommendation, runtimes, wishes)
    return Recommended(
        profile=machine,
        runtimes=runtimes,
        offering=offering,
        recommendation=recommendation,
        here=here,
        learned=learned,
        away=away,
    )


def _elsewhere(
    context: Context, machine: HardwareProfile, runtimes: tuple[RuntimeStatus, ...]
) -> tuple[HardwareProfile, tuple[RuntimeStatus, ...]]:
    """Where an Ollama on another machine would run the model and that machine's profile was saved: that profile with
    this machine's volumes, where the files go. Raises what ``read_profile`` raises."""
    path = context.settings.values.ollama_profile
    wanted = context.settings.values.runtime
    engine = pick_runtime(runtimes, None if wanted == "auto" else wanted)
    if path is None or engine is None or engine.local or not engine.available:
        return machine, runtimes
    there = read_profile(path).model_copy(update={"volumes": machine.volumes})
    known = engine.model_copy(update={"accelerators": OLLAMA_ACCELERATORS})
    return there, tuple(known if each is engine else each for each in runtimes)


def _unless_unknown(candidate: Candidate, runtimes: tuple[RuntimeStatus, ...]) -> Candidate:
    """What a machine can't run of which nothing is known isn't refused: it is said."""
    engine = next((each for each in runtimes if each.name == candidate.runtime), None)
    against = [reason.code for reason in candidate.reasons if reason.kind is ReasonKind.WARNING]
    unknown = engine is not None and engine.available and engine.accelerators is None
    if (
        candidate.can_run
        or not unknown
        or any(code in ("engine_missing", "disk_short", "not_brought") for code in against)
    ):
        return candidate
    return candidate.model_copy(update={"can_run": True})


def _with_assumption(
    recommendation: Recommendation, runtimes: tuple[RuntimeStatus, ...], wishes: Wishes
) -> Recommendation:
    engine = pick_runtime(runtimes, wishes.runtime)
    if engine is None:
        return recommendation
    remark = say.engines_assumed(engine.name, chosen=wishes.runtime is not None)
    return recommendation.model_copy(update={"remarks": (*recommendation.remarks, remark)})


def with_settings(context: Context, wishes: Wishes) -> Wishes:
    """Fills what the user left open from the settings."""
    configured = context.settings.values.context_length
    if wishes.context_length is None and configured is not None:
        return wishes.model_copy(update={"context_length": configured})
    return wishes


def read_offering(context: Context, cancel: Cancel, *, version: str | None = None, report: Report = silent) -> Offering:
    """What the registry's channel offers now.

    Args:
        version: Only the releases of this version, older ones too; None takes the newest of each.
        report: Told which mirrors were set aside.

    Raises:
        NotFoundError: The channel has no release of that version.
    """
    return _offering_and_away(context, cancel, version, report)[0]


def _offering_and_away(
    context: Context, cancel: Cancel, version: str | None, report: Report
) -> tuple[Offering, frozenset[str]]:
    """As ``read_offering``, and what of it can't be had now."""
    channel = context.settings.values.channel
    registry = context.open_registry()
    try:
        offering = registry.offering(channel, cancel, app_version=context.app_version)
        for remark in registry.remarks:
            report(remark)
        if version is not None:
            offers = registry.all_offers(channel, cancel, app_version=context.app_version)
            offering = offering.model_copy(update={"offers": _of_version(offers, version, channel)})
        return offering, _away(context, registry, offering)
    finally:
        registry.close()


def _of_version(offers: Sequence[Offer], version: str, channel: str) -> tuple[Offer, ...]:
    matching = tuple(offer for offer in offers if offer.release.version == version)
    if not matching:
        known = ", ".join(sorted({offer.release.version for offer in offers})) or "none"
        raise NotFoundError(f"The channel {channel} has no version {version}.", hint=f"It has: {known}.")
    return matching


def _away(context: Context, registry: Registry, offering: Offering) -> frozenset[str]:
    """Digests of the files that neither are here whole nor lie where the registry was found. Where Ollama may pull from
    other places there are none: these aren't asked before."""
    if context.settings.values.publisher_mirrors or context.known_registry().ollama:
        return frozenset()
    variants = (variant for offer in offering.offers for variant in offer.release.variants)
    files = {part.file for variant in variants for part in variant.parts}
    lacking = {file for file in files if not registry.can_bring(file.digest)}
    if not lacking:
        return frozenset()
    store = context.open_store()
    lacking -= lying_elsewhere(store)
    return frozenset(file.digest for file in lacking if not store.has_whole(file))


def hardware_tables() -> HardwareTables:
    """Bandwidths of known GPUs and the like, as they come with the program."""
    return load_tables(resource("hardware/bandwidth.json").read_text(encoding="utf-8"))


def tiers_of(offering: Offering) -> TierTable:
    """The channel's tier table, or the one that comes with the program."""
    return offering.catalogue.tiers or load_tiers(resource("tiers.json").read_text(encoding="utf-8"))


def choose(recommended: Recommended, wishes: Wishes) -> Candidate:
    """The variant for a user's own choice, judged for the machine; or the recommended one of the first role asked for.
    What the choice leaves open is taken as recommended: of ``7b`` the quantisation that is best here.

    Raises:
        NotFoundError: The registry offers nothing like it.
        EngineMissingError: Nothing can be recommended because no engine can be used.
    """
    if wishes.size is None and wishes.quantisation is None and wishes.model is None:
        return _recommended(recommended, wishes)
    offer, variant = _best(recommended, wishes)
    candidate = judge(
        recommended.profile,
        offer,
        variant,
        recommended.runtimes,
        context_length=wishes.context_length,
        runtime=wishes.runtime,
        tiers=tiers_of(recommended.offering),
        tables=hardware_tables(),
        concurrency=wishes.concurrency,
        here=recommended.here,
        learned=recommended.learned,
        away=recommended.away,
    )
    candidate = _unless_unknown(candidate, recommended.runtimes)
    return candidate if candidate.can_run else _with_a_way_out(candidate, recommended)


def _with_a_way_out(candidate: Candidate, recommended: Recommended) -> Candidate:
    """Adds what is recommended instead, where no other quantisation of the same release was named."""
    role = recommended.recommendation.for_role(candidate.release.role)
    if role is None or role.choice is None or any(reason.code == "would_fit" for reason in candidate.reasons):
        return candidate
    instead = say.fits_smaller(say.name_of(role.choice.release, role.choice.variant))
    return candidate.model_copy(update={"reasons": with_kinds_in_order((*candidate.reasons, instead))})


def _best(recommended: Recommended, wishes: Wishes) -> tuple[Offer, Variant]:
    """The best variant that matches the wishes: the recommendation has judged and sorted all of them."""
    for role in recommended.recommendation.choices:
        for candidate in (*((role.choice,) if role.choice is not None else ()), *role.others):
            if _matches(candidate, wishes):
                return candidate.selection.offer, candidate.variant
    offered = ", ".join(
        f"{offer.release.model} {offer.release.size} {variant.quantisation}"
        for offer in recommended.offering.offers
        for variant in offer.release.variants
    )
    raise NotFoundError("The registry offers no such variant.", hint=f"It offers: {offered or 'nothing yet'}.")


def _matches(candidate: Candidate, wishes: Wishes) -> bool:
    release = candidate.release
    return (
        release.role in wishes.roles
        and wishes.model in (None, release.model)
        and wishes.size in (None, release.size)
        and wishes.quantisation in (None, candidate.variant.quantisation)
    )


def _recommended(recommended: Recommended, wishes: Wishes) -> Candidate:
    for role in wishes.roles:
        found = recommended.recommendation.for_role(role)
        if found is not None and found.choice is not None:
            return found.choice
    reasons = [
        reason
        for role in wishes.roles
        if (found := recommended.recommendation.for_role(role)) is not None
        for reason in found.reasons
    ]
    engine = next((reason.text for reason in reasons if reason.code == "engine_missing"), None)
    if engine is not None:
        raise EngineMissingError(engine, hint="bbj-desktop doctor says what each engine lacks.")
    awaited = " ".join(reason.text for reason in reasons if reason.code == "awaited")
    if awaited:
        raise NotFoundError(awaited, hint="When it is there: bbj-desktop bundle import FOLDER")
    raise NotFoundError(
        "The registry has nothing that this machine can run. " + " ".join(reason.text for reason in reasons),
        hint="bbj-desktop recommend shows everything that is offered; install SIZE --force takes one all the same.",
    )
