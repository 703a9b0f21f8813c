"""Trusting a registry: look at its root, compare the fingerprint, add it."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import NotFoundError, NoTrustedRootError, RollbackError, StoreAccessError, UserInputError
from bbj_desktop.core.ollama_names import check_ollama_address, is_ollama_address
from bbj_desktop.core.progress import Cancel, Remark, Report, Step
from bbj_desktop.services.registry.client import Registry
from bbj_desktop.services.registry.known import KnownRegistries, KnownRegistry
from bbj_desktop.services.registry.offline import OfflineRegistry
from bbj_desktop.services.registry.root import RootDescription, describe_root, packaged_root
from bbj_desktop.services.registry.root import fetch_root as root_of
from bbj_desktop.services.transfer.sources import open_source

MAX_ROOT_BYTES = 512 * 1024  # bytes; as python-tuf limits roots


class RegistryView(BaseModel):
    """A trusted registry as a person wants to see it.

    Attributes:
        mirrors: Where it is read from, too.
        current: Whether it is the one in use.
    """

    model_config = ConfigDict(frozen=True)

    address: str
    identity: str
    mirrors: tuple[str, ...] = ()
    current: bool

    @classmethod
    def of(cls, known: KnownRegistry, *, current: bool) -> RegistryView:
        return cls(
            address=known.address, identity=known.identity, mirrors=(*known.mirrors, *known.ollama), current=current
        )


def read_root(path: Path) -> bytes:
    """Reads a root file that the user names.

    Raises:
        StoreAccessError: It can't be read, or is too long to be a root.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_ROOT_BYTES + 1)
    except OSError as error:
        raise StoreAccessError(f"The root file {path} can't be read: {error.strerror or error}.") from error
    if len(data) > MAX_ROOT_BYTES:
        raise StoreAccessError(f"{path} is longer than {MAX_ROOT_BYTES // 1024} KB: that isn't a root file.")
    return data


def fetch_root(context: Context, address: str, cancel: Cancel) -> bytes:
    """Reads a registry's first root from the registry itself. It proves nothing until its fingerprint was compared.

    Raises:
        NotFoundError: There is no registry at this address.
        TransportError: It can't be reached.
    """
    source = open_source(address.rstrip("/"), context.network())
    try:
        return root_of(source, cancel)
    finally:
        source.close()


def describe(root: bytes) -> RootDescription:
    """What a root file says: fingerprint, roles, expiry. Raises FormatError or SignatureError."""
    return describe_root(root)


def add_registry(
    context: Context, address: str, root: bytes, report: Report, cancel: Cancel, *, offline: bool = False
) -> RegistryView:
    """Trusts a registry, after its metadata was read once with that root: a mistyped address or a root of another
    registry is noticed before anything is kept. The registry becomes the current one.

    Args:
        context: Whose registries.
        address: ``http(s)://…``, ``file://…`` or a folder.
        root: The first root to trust; its fingerprint was compared.
        report: Told what is read.
        cancel: Obeyed while reading.
        offline: Nobody refreshes it every few days: there ``bundle_expiry`` says what expired metadata means.

    Raises:
        FormatError, SignatureError: ``root`` is no root, or not signed by its own keys.
        TrustError: The registry isn't the root's.
        TransportError: It can't be reached.
    """
    description = describe_root(root)
    report(Step("registry", f"Reading {address}"))
    registries = KnownRegistries(context.paths.registries)
    before = registries.with_identity(description.identity)
    known = KnownRegistry(
        identity=description.identity,
        address=address.rstrip("/"),
        mirrors=before.mirrors if before else (),
        ollama=before.ollama if before else (),
        added_at=context.now(),
    )
    known = _declared(known, before.offline if before else (), known.address, offline=offline)
    registry = _open(context, known, known.address, root)
    try:
        registry.refresh(cancel)
        _tell(registry, report)
    finally:
        registry.close()
    registries.remember(known)
    return RegistryView.of(known, current=True)


def _open(context: Context, known: KnownRegistry, address: str, root: bytes | None = None) -> OfflineRegistry:
    """A registry, to be read from one address only."""
    state = KnownRegistries(context.paths.registries).state(known)
    source = open_source(address, context.network())
    registry = OfflineRegistry.open(source, state, initial_root=root, now=context.now)
    registry.offline = frozenset(known.offline)
    registry.expiry = context.settings.values.bundle_expiry
    return registry


def _declared(known: KnownRegistry, before: tuple[str, ...], address: str, *, offline: bool) -> KnownRegistry:
    """With an address that is among the offline ones, or isn't any more."""
    others = tuple(each for each in before if each != address)
    return known.model_copy(update={"offline": (*others, address) if offline else others})


def _tell(registry: Registry, report: Report) -> None:
    for remark in registry.remarks:
        report(remark)


def add_mirror(
    context: Context, address: str, report: Report, cancel: Cancel, *, offline: bool = False
) -> RegistryView:
    """Adds a mirror to the registry in use, after its metadata was read from there once. One that is behind is added
    all the same, which a remark says.

    Args:
        context: Whose registries.
        address: ``http(s)://…``, ``file://…`` or a folder; or ``ollama://…``, which nobody asks until an install.
        report: Told what is read.
        cancel: Obeyed while reading.
        offline: As in ``add_registry``.

    Raises:
        NoTrustedRootError: No registry is set up.
        UserInputError: It is one of the registry's addresses already.
        TrustError: It isn't a mirror of this registry.
        TransportError, NotFoundError: It can't be read.
    """
    if is_ollama_address(address):
        return _add_ollama(context, address)
    known, registries = context.known_registry(), KnownRegistries(context.paths.registries)
    address = address.rstrip("/")
    if address in (known.address, *known.mirrors):
        raise UserInputError(f"{address} is one of the addresses of {known.address} already.")
    report(Step("registry", f"Reading {address}"))
    known = _declared(known, known.offline, address, offline=offline)
    registry = _open(context, known, address)
    try:
        registry.refresh(cancel)
        _tell(registry, report)
        behind = registry.behind
    except RollbackError:
        behind = True
    finally:
        registry.close()
    if behind:
        report(Remark(f"The mirror {address} is behind now.", "warning"))
    known = known.model_copy(update={"mirrors": (*known.mirrors, address)})
    registries.remember(known)
    return RegistryView.of(known, current=True)


def _add_ollama(context: Context, address: str) -> RegistryView:
    """A name from which Ollama may pull the bytes of models."""
    known, address = context.known_registry(), check_ollama_address(address)
    if address in known.ollama:
        raise UserInputError(f"{address} is one of the addresses of {known.address} already.")
    known = known.model_copy(update={"ollama": (*known.ollama, address)})
    KnownRegistries(context.paths.registries).remember(known)
    return RegistryView.of(known, current=True)


def remove_mirror(context: Context, address: str) -> RegistryView:
    """Doesn't read the registry in use from a mirror any more. Raises NotFoundError, NoTrustedRootError."""
    known, address = context.known_registry(), address.rstrip("/")
    if address not in (*known.mirrors, *known.ollama):
        raise NotFoundError(
            f"{address} is no mirror of {known.address}.", hint="bbj-desktop registry show lists the mirrors."
        )
    left = {name: tuple(each for each in getattr(known, name) if each != address) for name in ("mirrors", "ollama")}
    known = known.model_copy(update=left)
    KnownRegistries(context.paths.registries).remember(known)
    return RegistryView.of(known, current=True)


def list_registries(context: Context) -> tuple[RegistryView, ...]:
    """The registries that this machine trusts."""
    try:
        current = context.known_registry().identity
    except NoTrustedRootError:
        current = ""
    return tuple(
        RegistryView.of(known, current=known.identity == current)
        for known in KnownRegistries(context.paths.registries).all()
    )


def forget_registry(context: Context, address: str) -> RegistryView:
    """Stops trusting a registry. Installed versions stay. Raises NotFoundError."""
    known = KnownRegistries(context.paths.registries).forget(address)
    return RegistryView.of(known, current=False)


def trust_packaged_registry(context: Context) -> None:
    """On the first start of a packaged build: takes over the registry and root that it carries, if it carries one."""
    packaged = packaged_root()
    if packaged is None:
        return
    address, root = packaged
    registries = KnownRegistries(context.paths.registries)
    identity = describe_root(root).identity
    if any(known.identity == identity for known in registries.all()):
        return
    known = KnownRegistry(identity=identity, address=address, added_at=context.now())
    source = open_source(address, context.network())
    try:
        Registry.open(source, registries.state(known), initial_root=root, now=context.now)
    finally:
        source.close()
    registries.remember(known)
