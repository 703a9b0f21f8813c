"""Finding out what this machine should get."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.recommend import HardwareTables, judge, load_tables
from bbj_desktop.core.recommend import recommend as decide
from bbj_desktop.core.recommendation import Candidate, Recommendation, Wishes
from bbj_desktop.core.release import Offer, Offering, TierTable, Variant, version_key
from bbj_desktop.core.tiers import load_tiers
from bbj_desktop.resources import resource


class Recommended(BaseModel):
    """A recommendation together with what it was made from."""

    model_config = ConfigDict(frozen=True)

    profile: HardwareProfile
    runtimes: tuple[RuntimeStatus, ...]
    offering: Offering
    recommendation: Recommendation


def recommend(
    context: Context, wishes: Wishes, report: Report, cancel: Cancel, *, profile: HardwareProfile | None = None
) -> Recommended:
    """Looks at the machine and the registry and decides.

    Args:
        profile: Another machine's; None looks at this one.

    Raises:
        NoTrustedRootError: No registry is set up.
        TransportError: The registry can't be reached.
        TrustError: What it serves isn't trustworthy.
    """
    report(Step("detect", "Looking at this machine"))
    machine = profile or context.profile()
    runtimes = tuple(runtime.status() for runtime in context.runtimes())
    cancel.check()
    report(Step("catalogue", "Reading the registry"))
    offering = read_offering(context, cancel, version=wishes.version)
    recommendation = decide(
        machine,
        offering,
        runtimes,
        with_settings(context, wishes),
        tables=hardware_tables(),
        tiers=tiers_of(offering),
        installed=installed_digests(context) if profile is None else frozenset(),
    )
    return Recommended(profile=machine, runtimes=runtimes, offering=offering, recommendation=recommendation)


def with_settings(context: Context, wishes: Wishes) -> Wishes:
    """Fills what the user left open from the settings."""
    configured = context.settings.values.context_length
    if wishes.context_length is None and configured is not None:
        return wishes.model_copy(update={"context_length": configured})
    return wishes


def read_offering(context: Context, cancel: Cancel, *, version: str | None = None) -> Offering:
    """What the registry's channel offers now.

    Args:
        version: Only the releases of this version, older ones too; None takes the newest of each.

    Raises:
        NotFoundError: The channel has no release of that version.
    """
    channel = context.settings.values.channel
    registry = context.open_registry()
    try:
        offering = registry.offering(channel, cancel, app_version=context.app_version)
        if version is None:
            return offering
        offers = registry.all_offers(channel, cancel, app_version=context.app_version)
    finally:
        registry.source.close()
    matching = tuple(offer for offer in offers if offer.release.version == version)
    if not matching:
        known = ", ".join(sorted({offer.release.version for offer in offers})) or "none"
        raise NotFoundError(f"The channel {channel} has no version {version}.", hint=f"It has: {known}.")
    return offering.model_copy(update={"offers": matching})


def hardware_tables() -> HardwareTables:
    """Bandwidths of known GPUs and the like, as they come with the program."""
    return load_tables(resource("hardware/bandwidth.json").read_text(encoding="utf-8"))


def tiers_of(offering: Offering) -> TierTable:
    """The channel's tier table, or the one that comes with the program."""
    return offering.catalogue.tiers or load_tiers(resource("tiers.json").read_text(encoding="utf-8"))


def installed_digests(context: Context) -> frozenset[str]:
    """Files that are here already, and so take no further room."""
    return frozenset(version.variant.file.digest for version in context.open_store().versions())


def choose(recommended: Recommended, wishes: Wishes) -> Candidate:
    """The variant for a user's own choice, judged for the machine; or the recommended one of the first role asked for.

    Raises:
        NotFoundError: The registry offers nothing like it.
    """
    if wishes.size is None and wishes.quantisation is None and wishes.model is None:
        return _recommended(recommended, wishes)
    offer, variant = _find(recommended.offering, wishes)
    return judge(
        recommended.profile,
        offer,
        variant,
        recommended.runtimes,
        context_length=wishes.context_length,
        runtime=wishes.runtime,
        tiers=tiers_of(recommended.offering),
        tables=hardware_tables(),
    )


def _recommended(recommended: Recommended, wishes: Wishes) -> Candidate:
    for role in wishes.roles:
        found = recommended.recommendation.for_role(role)
        if found is not None and found.choice is not None:
            return found.choice
    reasons = [
        reason.text
        for role in wishes.roles
        if (found := recommended.recommendation.for_role(role)) is not None
        for reason in found.reasons
    ]
    raise NotFoundError(
        "The registry has nothing that this machine can run. " + " ".join(reasons),
        hint="bbj-desktop recommend shows everything that is offered; install SIZE --force takes one all the same.",
    )


def _find(offering: Offering, wishes: Wishes) -> tuple[Offer, Variant]:
    """The newest offer and variant that match the wishes; of several quantisations Q4_K_M, else the smallest."""
    matching = [
        offer
        for offer in offering.offers
        if offer.release.role in wishes.roles
        and wishes.model in (None, offer.release.model)
        and wishes.size in (None, offer.release.size)
        and (wishes.quantisation is None or offer.release.variant(wishes.quantisation) is not None)
    ]
    if not matching:
        offered = ", ".join(
            f"{offer.release.model} {offer.release.size} {variant.quantisation}"
            for offer in offering.offers
            for variant in offer.release.variants
        )
        raise NotFoundError("The registry offers no such variant.", hint=f"It offers: {offered or 'nothing yet'}.")
    offer = max(matching, key=lambda each: version_key(each.release.version))
    if wishes.quantisation is not None:
        variant = offer.release.variant(wishes.quantisation)
    else:
        variant = offer.release.variant("Q4_K_M") or min(offer.release.variants, key=lambda v: v.file.length_bytes)
    if variant is None:
        raise NotFoundError(f"{offer.release.title} isn't offered as {wishes.quantisation}.")
    return offer, variant
