"""The registry's part of a diagnosis: is it trustworthy, can it be reached, and if not, what is in the way."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.finding import Finding
from bbj_desktop.core.errors import (
    BBjDesktopError,
    Cancelled,
    NoTrustedRootError,
    TransportError,
    TrustError,
    UserInputError,
)
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Variant
from bbj_desktop.services.network_check import hosts_of, interpret, observe
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host
from bbj_desktop.services.transfer.source import Source


def reach(context: Context, cancel: Cancel, *, online: bool) -> Iterator[Finding]:
    """Looks at the registry in use, and at the way to each of its mirrors.

    Args:
        context: Whose registry.
        cancel: Obeyed while reading.
        online: Without it nobody is asked, and only what is known here is told.

    Raises:
        Cancelled: By ``cancel``.
        SettingsError: The network settings can't be used.
    """
    try:
        registry = context.open_registry()
    except NoTrustedRootError as error:
        yield Finding(area="registry", state="warning", text=error.message, hint=error.hint)
        return
    try:
        if online:
            yield from _ask(context, registry, cancel)
        else:
            yield _not_asked(registry)
            yield from _hosts(context, {host for source in registry.sources for host in hosts_of(source.address)})
    finally:
        registry.close()


def _not_asked(registry: Registry) -> Finding:
    return Finding(
        area="registry",
        state="note",
        text=f"{registry.source.address} isn't asked: update_checks is off",
        hint="bbj-desktop doctor --online asks it.",
    )


def _ask(context: Context, registry: Registry, cancel: Cancel) -> Iterator[Finding]:
    verdict = _trusted(registry, cancel)
    yield verdict
    for remark in registry.remarks:
        yield Finding(area="registry", state="note", text=remark.text)
    hosts: set[str] = set()
    for source in registry.sources:
        seen = observe(source.address, context.network(), context.now())
        if seen is None:
            continue
        hosts.update(seen.hosts or hosts_of(source.address))
        for each in interpret(seen):
            # one of several mirrors may be out of reach
            state = "warning" if each.state == "error" and verdict.state == "ok" else each.state
            yield Finding(area="network", state=state, text=each.text, hint=each.hint)
    if verdict.state == "ok":
        yield from _models_come(context, registry, cancel)
    for source in registry.sources:
        hosts.update(getattr(source, "hosts", ()))
    yield from _hosts(context, hosts)


def _trusted(registry: Registry, cancel: Cancel) -> Finding:
    try:
        registry.refresh(cancel)
    except TransportError as error:
        text = f"{registry.source.address}: {error.message}"
        return Finding(area="registry", state="error", text=text, hint=error.hint)
    except TrustError as error:
        text = f"{registry.source.address} isn't trustworthy now: {error.message}"
        return Finding(area="registry", state="error", text=text, hint=error.hint)
    return Finding(area="registry", state="ok", text=f"{registry.source.address} answers and its signatures hold")


def _models_come(context: Context, registry: Registry, cancel: Cancel) -> Iterator[Finding]:
    """One byte of a model from each server: large files often come from other hosts than the metadata."""
    try:
        offers = registry.offering(context.settings.values.channel, cancel, app_version=context.app_version).offers
    except Cancelled:
        raise
    except BBjDesktopError as error:
        yield Finding(area="registry", state="warning", text=error.message, hint=error.hint)
        return
    if not offers:
        return
    variant = offers[0].release.variants[0]
    path = blob_path(variant.file.digest)
    for source in _sources_of(registry, variant, cancel):
        if not hosts_of(source.address):
            continue
        try:
            _first_byte(source, path, cancel)
        except Cancelled:
            raise
        except BBjDesktopError as error:
            text = f"Models don't come from {source.address}: {error.message}"
            state = "warning" if len(registry.sources) > 1 else "error"
            yield Finding(area="network", state=state, text=text, hint=error.hint)
        else:
            yield Finding(area="network", state="ok", text=f"Models come from {source.address}")


def _sources_of(registry: Registry, variant: Variant, cancel: Cancel) -> tuple[Source, ...]:
    """Where the model is read from; without its chunk index as if it weren't split."""
    try:
        return registry.payload_sources(registry.chunk_index(variant, cancel))
    except Cancelled:
        raise
    except BBjDesktopError:
        return registry.sources


def _first_byte(source: Source, path: str, cancel: Cancel) -> None:
    with source.stream(path, length=1, cancel=cancel) as stream:
        next(iter(stream), b"")


def _hosts(context: Context, hosts: set[str]) -> Iterator[Finding]:
    """Whom a firewall has to let through."""
    if context.settings.values.runtime != "embedded":
        hosts = {*hosts, *_ollamas_host(context)}
    if hosts:
        yield Finding(area="network", state="note", text=f"Hosts to allow: {', '.join(sorted(hosts))}")


def _ollamas_host(context: Context) -> Iterator[str]:
    """Of an Ollama on another machine."""
    try:
        address = parse_ollama_host(context.settings.values.ollama_host or DEFAULT_ADDRESS)
    except UserInputError:  # said where Ollama is looked at
        return
    if not is_local(address):
        yield urlsplit(address).netloc
