"""Newer releases for what is installed here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context, RuntimeName
from bbj_desktop.actions.installing import Installed, InstallPlan, install, plan_install
from bbj_desktop.actions.recommending import hardware_tables, read_offering, tiers_of
from bbj_desktop.core.engines import RuntimeStatus
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.recommend import judge
from bbj_desktop.core.recommendation import Candidate
from bbj_desktop.core.release import Offer, Offering, Release, Variant, version_key
from bbj_desktop.core.versions import InstalledVersion


class Update(BaseModel):
    """A newer release for one active version."""

    model_config = ConfigDict(frozen=True)

    installed: InstalledVersion
    offer: Offer


class Withdrawn(BaseModel):
    """An installed version that its makers withdrew since."""

    model_config = ConfigDict(frozen=True)

    installed: InstalledVersion
    reason: str


class UpdateCheck(BaseModel):
    """Attributes:
    updates: Newer releases of active versions.
    held: Newer releases of active versions that are pinned: they aren't installed.
    withdrawn: Installed versions that should not be used any more.
    """

    model_config = ConfigDict(frozen=True)

    offering: Offering
    updates: tuple[Update, ...] = ()
    held: tuple[Update, ...] = ()
    withdrawn: tuple[Withdrawn, ...] = ()


def check(context: Context, report: Report, cancel: Cancel) -> UpdateCheck:
    """Asks the registry, changes nothing.

    Raises:
        NoTrustedRootError, TransportError, TrustError: As for any reading of the registry.
    """
    report(Step("catalogue", "Reading the registry"))
    offering = read_offering(context, cancel, report=report)
    installed = context.open_store().versions()
    return UpdateCheck(
        offering=offering,
        updates=find_updates(installed, offering),
        held=find_held(installed, offering),
        withdrawn=find_withdrawn(installed, offering),
    )


def find_updates(installed: tuple[InstalledVersion, ...], offering: Offering) -> tuple[Update, ...]:
    """For each active version that isn't pinned the newest later offer of the same model, role and size."""
    return tuple(each for each in _newer(installed, offering) if not each.installed.pinned)


def find_held(installed: tuple[InstalledVersion, ...], offering: Offering) -> tuple[Update, ...]:
    """The updates that a pin keeps back."""
    return tuple(each for each in _newer(installed, offering) if each.installed.pinned)


def _newer(installed: tuple[InstalledVersion, ...], offering: Offering) -> Iterator[Update]:
    for version in installed:
        release = version.release
        later = [
            offer
            for offer in offering.offers
            if (offer.release.model, offer.release.role, offer.release.size)
            == (release.model, release.role, release.size)
            and version_key(offer.release.version) > version_key(release.version)
        ]
        if version.active and later:
            newest = max(later, key=lambda offer: version_key(offer.release.version))
            yield Update(installed=version, offer=newest)


def find_withdrawn(installed: tuple[InstalledVersion, ...], offering: Offering) -> tuple[Withdrawn, ...]:
    """Installed versions whose catalogue entry says why they were withdrawn."""
    reasons = {
        (entry.model, entry.role, entry.size, entry.version): entry.withdrawn for entry in offering.catalogue.entries
    }
    found = []
    for version in installed:
        release = version.release
        reason = reasons.get((release.model, release.role, release.size, release.version))
        if reason is not None:
            found.append(Withdrawn(installed=version, reason=reason))
    return tuple(found)


def plan_updates(context: Context, found: UpdateCheck, cancel: Cancel) -> tuple[InstallPlan, ...]:
    """Says what each update of a check would fetch, in the variant that is installed where it is offered, else the
    one that is nearest to it. Changes nothing.

    Raises:
        As ``plan_install``.
    """
    if not found.updates:
        return ()
    profile = context.profile()
    candidates = (_candidate(context, each, found.offering, profile) for each in found.updates)
    return tuple(plan_install(context, candidate, cancel) for candidate in candidates)


def update(
    context: Context,
    found: UpdateCheck,
    report: Report,
    cancel: Cancel,
    *,
    force: bool = False,
    plans: Sequence[InstallPlan] | None = None,
) -> tuple[Installed, ...]:
    """Installs every update of a check; the old version stays, so that it can be activated again.

    Args:
        force: As for ``install``.
        plans: Those of ``plan_updates``, if they were made already.

    Raises:
        As ``install``.
    """
    plans = plan_updates(context, found, cancel) if plans is None else plans
    return tuple(install(context, plan, report, cancel, force=force) for plan in plans)


def _candidate(context: Context, update: Update, offering: Offering, profile: HardwareProfile) -> Candidate:
    release, installed = update.offer.release, update.installed
    statuses = tuple(each.status() for each in context.runtimes())
    return judge(
        profile,
        update.offer,
        _like(installed, release),
        statuses,
        context_length=installed.context_length,
        runtime=_runtime_of(installed, statuses),
        tiers=tiers_of(offering),
        tables=hardware_tables(),
        here=context.open_store().held_bytes(),
    )


def _like(installed: InstalledVersion, release: Release) -> Variant:
    """The variant that continues an installed one: of the same name, so that whoever has an adapter over a base stays
    with that; else with the same weights; else the one that is nearest in size."""
    same = release.variant(installed.quantisation)
    if same is not None:
        return same
    weights, size = installed.variant.weights_quantisation, installed.variant.length_bytes
    alike = [variant for variant in release.variants if variant.weights_quantisation == weights]
    return min(alike or release.variants, key=lambda variant: abs(variant.length_bytes - size))


def _runtime_of(version: InstalledVersion, statuses: Sequence[RuntimeStatus]) -> RuntimeName | None:
    """Where it was registered first, of what can be used now: the update goes there too."""
    known = [registration.runtime for registration in version.registrations]
    if not known:
        return None
    usable = {status.name for status in statuses if status.available}
    return "ollama" if next((name for name in known if name in usable), known[0]) == "ollama" else "embedded"
