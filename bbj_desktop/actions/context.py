"""What every action stands on: settings, folders, clock, and the services that they lead to."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from bbj_desktop import __version__
from bbj_desktop.actions.paths import Paths
from bbj_desktop.core.network import Network
from bbj_desktop.core.settings import ResolvedSettings

if TYPE_CHECKING:
    import ssl

    from bbj_desktop.core.hardware import HardwareProfile
    from bbj_desktop.services.registry.client import Registry
    from bbj_desktop.services.registry.known import KnownRegistry
    from bbj_desktop.services.runtime.base import Runtime
    from bbj_desktop.services.runtime.embedded_host.door import DoorOptions
    from bbj_desktop.services.runtime.engine import EngineProgram
    from bbj_desktop.services.runtime.lending import SharedEngine
    from bbj_desktop.services.store.store import Store

log = logging.getLogger(__name__)

RuntimeName = Literal["ollama", "embedded"]


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Context:
    """One face's view of the services. Made once by each face; used by one job at a time or by several that only read.

    Attributes:
        settings: With the origin of each value.
        paths: Where everything of ours lies.
        app_version: This program's version.
        now: Clock (UTC); tests replace it.
    """

    settings: ResolvedSettings
    paths: Paths
    app_version: str = __version__
    now: Callable[[], datetime] = _utc_now
    _runtimes: dict[RuntimeName, Runtime] = field(default_factory=dict, repr=False)

    def network(self) -> Network:
        """How the settings say to reach other machines. Raises SettingsError when the proxy isn't an address."""
        return self.settings.values.network()

    def open_store(self) -> Store:
        """Raises StoreError when the folder can't be used."""
        from bbj_desktop.services.store.store import Store

        return Store(self.paths.store, now=self.now, shared=self.settings.values.shared_store)

    def known_registry(self) -> KnownRegistry:
        """The registry of the settings, else the most recently added one, else the packaged one.

        Raises:
            NoTrustedRootError: There is none.
        """
        from bbj_desktop.actions.registering import trust_packaged_registry
        from bbj_desktop.services.registry.known import KnownRegistries

        trust_packaged_registry(self)
        return KnownRegistries(self.paths.registries).choose(self.settings.values.registry)

    def open_registry(self) -> Registry:
        """The trusted registry, not yet refreshed.

        Raises:
            NoTrustedRootError: None is set up.
        """
        from bbj_desktop.services.registry.known import KnownRegistries
        from bbj_desktop.services.registry.offline import OfflineRegistry
        from bbj_desktop.services.transfer.sources import open_source

        known = self.known_registry()
        network = self.network()
        mirrors = tuple(open_source(address, network) for address in known.mirrors)
        state = KnownRegistries(self.paths.registries).state(known)
        source = open_source(known.address, network)
        registry = OfflineRegistry.open(source, state, mirrors=mirrors, now=self.now)
        registry.offline = frozenset(known.offline)
        registry.expiry = self.settings.values.bundle_expiry
        return registry

    def runtime(self, name: RuntimeName) -> Runtime:
        """The runtime of that name; started only when it is used."""
        if name not in self._runtimes:
            self._runtimes[name] = self._make_runtime(name)
        return self._runtimes[name]

    def _make_runtime(self, name: RuntimeName) -> Runtime:
        if name == "ollama":
            from bbj_desktop.services.runtime.ollama import OllamaRuntime

            values = self.settings.values
            return OllamaRuntime(
                values.ollama_host,
                tls=self.ollama_tls(),
                notes=self.paths.temporary / "ollama",
                keep_alive_s=values.ollama_keep_alive_s,
            )
        from bbj_desktop.services.runtime.embedded import EmbeddedRuntime

        lender = self.shared_engine() if self.settings.values.shared_engine else None
        return EmbeddedRuntime(self.paths.cache / "engine", lender=lender, program=self.engine_program())

    def engine_program(self) -> EngineProgram:
        """What the settings say the embedded engine is."""
        from bbj_desktop.services.runtime.engine import EngineProgram

        return EngineProgram(self.settings.values.engine, self.settings.values.llama_server)

    def gateway_options(self) -> DoorOptions:
        """What the settings say about the gateway for IDEs."""
        from bbj_desktop.services.runtime.embedded_host.door import DoorOptions

        values, program = self.settings.values, self.engine_program()
        return DoorOptions(
            port=values.gateway_port,
            key_file=str(self.paths.config / "gateway.key"),
            store=str(self.paths.store),
            shared=str(values.shared_store or ""),
            program=program.name,
            executable=str(program.executable or ""),
        )

    def shared_engine(self) -> SharedEngine:
        """The way to the user's engine host; started only when it is used."""
        from bbj_desktop.services.runtime.embedded_host.host import HostOptions
        from bbj_desktop.services.runtime.embedded_host.record import HostPlace
        from bbj_desktop.services.runtime.lending import SharedEngine

        values = self.settings.values
        options = HostOptions(
            folder=str(self.paths.runtime),
            state=str(self.paths.cache / "engine"),
            unload_s=values.engine_unload_s,
            exit_s=values.engine_exit_s,
            app_version=self.app_version,
            gateway=asdict(self.gateway_options()) if values.gateway else None,
        )
        return SharedEngine(HostPlace(self.paths.runtime), options)

    def ollama_tls(self) -> ssl.SSLContext | None:
        """What an Ollama on an https address must show; None for what the system trusts."""
        values = self.settings.values
        if values.ca_file is None or "https://" not in (values.ollama_host or "").lower():
            return None
        from bbj_desktop.services.transfer.web import tls_context

        return tls_context(self.network())

    def runtimes(self) -> tuple[Runtime, ...]:
        """The runtimes that the settings allow, the preferred one first."""
        wanted = self.settings.values.runtime
        names: tuple[RuntimeName, ...] = ("ollama", "embedded") if wanted == "auto" else (wanted,)
        return tuple(self.runtime(name) for name in names)

    def profile(self) -> HardwareProfile:
        """Looks at this machine. Never fails: what can't be seen becomes a note in the profile."""
        from bbj_desktop.core.hardware import VolumePurpose
        from bbj_desktop.services.probe import probe_hardware

        places = {VolumePurpose.STORE: self.paths.store, VolumePurpose.TEMPORARY: self.paths.temporary}
        models = self.runtime("ollama").status().models_folder
        if models is not None:
            places[VolumePurpose.OLLAMA] = models
        return probe_hardware(places)

    def close(self) -> None:
        """Ends the engines that were started through this context."""
        for name, runtime in self._runtimes.items():
            log.debug("closing runtime %s", name)
            runtime.close()
        self._runtimes.clear()
