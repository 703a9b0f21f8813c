"""Using what an Ollama elsewhere has already: a team's server has the model, a workstation just connects."""

from __future__ import annotations

from bbj_desktop.actions.connected import Connections, remember
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.learning import keep_tokenizers
from bbj_desktop.actions.ollama import is_cloud
from bbj_desktop.core.errors import (
    EngineMismatchError,
    EngineMissingError,
    NotFoundError,
)
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.core.release import Offer, Variant
from bbj_desktop.core.versions import InstalledVersion, Registration, version_key_of
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_drift import is_version_tag
from bbj_desktop.services.runtime.ollama_release import differences_from, read_parameters, served_digest

ROUTE = "connect"


def connect(context: Context, report: Report, cancel: Cancel) -> tuple[InstalledVersion, ...]:
    """Looks at the Ollama of the settings for versions that the registry offers, compares each with what was signed,
    and remembers those. Nothing is downloaded, and nothing there is changed.

    Raises:
        EngineMissingError: It doesn't answer.
        NotFoundError: It has no version of the registry.
        EngineMismatchError: It has some, and each is otherwise than it was signed.
        NoTrustedRootError, TransportError, TrustError: The registry can't be read.
    """
    status = context.runtime("ollama").status()
    if not status.available:
        raise EngineMissingError(status.reason, hint="See bbj-desktop doctor.")
    report(Step("catalogue", "Reading the registry"))
    offers = _offers(context, cancel)
    api = OllamaApi(status.address, context.ollama_tls())
    try:
        names = sorted(name for name in api.tags() if is_version_tag(name) and not is_cloud(name))
        report(Step("connect", f"Looking at {status.address}"))
        known = [name for name in names if name in offers]
        found = [_compared(context, api, name, offers[name], report) for name in known]
    finally:
        api.close()
    versions = tuple(version for version in found if version is not None)
    if not known:
        raise NotFoundError(
            f"The Ollama at {status.address} has no version that the registry offers.",
            hint="Whoever administers it installs one there: bbj-desktop install --ollama-host ADDRESS",
        )
    if not versions:
        raise EngineMismatchError(f"What {status.address} has isn't as it was signed.", hint="Install it there again.")
    remember(context, Connections(address=status.address, versions=versions))
    _keep_tokenizers(context, versions, cancel)
    return versions


def _keep_tokenizers(context: Context, versions: tuple[InstalledVersion, ...], cancel: Cancel) -> None:
    registry = context.open_registry()
    try:
        keep_tokenizers(context, registry, [version.release for version in versions], cancel)
    finally:
        registry.close()


def _offers(context: Context, cancel: Cancel) -> dict[str, tuple[Offer, Variant, str]]:
    """Every variant of the channel by its key, with the registry's identity."""
    registry = context.open_registry()
    try:
        offers = registry.all_offers(context.settings.values.channel, cancel, app_version=context.app_version)
        return {
            version_key_of(offer.release, variant.quantisation): (offer, variant, registry.identity)
            for offer in offers
            for variant in offer.release.variants
        }
    finally:
        registry.close()


def _compared(
    context: Context, api: OllamaApi, name: str, offered: tuple[Offer, Variant, str], report: Report
) -> InstalledVersion | None:
    """The version as it is served; None, said aloud, when it isn't what was signed."""
    offer, variant, identity = offered
    shown = api.show(name) or {}
    length = read_parameters(shown.get("parameters", "")).get("num_ctx", (0,))[0]
    served = served_digest(shown.get("modelfile", ""))
    version = InstalledVersion(
        release=offer.release,
        quantisation=variant.quantisation,
        path=context.open_store().blob_path(variant.file.digest),
        channel=offer.channel,
        registry=identity,
        context_length=max(1, int(float(length))),
        installed_at=context.now(),
        registrations=(Registration(runtime="ollama", tag=name, route=ROUTE, served_digest=served),),
    )
    if different := differences_from(version, shown):
        report(Remark(f"{name} isn't used: there {', '.join(different)} aren't the release's.", "warning"))
        return None
    if served != variant.file.digest:
        text = f"{name} is served as {served or 'an unnamed file'}, which isn't the signed digest: Ollama rewrote it."
        report(Remark(text))
    return version
