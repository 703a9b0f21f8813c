"""What can be set, declared once: name, type, default, unit, environment variable, flag and help.

A value comes from the highest layer that gives one: locking policy > flag > environment > file > default. Each value
knows where it came from. Reading files and the environment is ``services.configuration``'s business. Only the standard
library is imported here, because the command line reads this table before it can print its help.
"""

# ruff: noqa: RUF009 - _declare is dataclasses.field with names for our metadata: nothing is shared between instances
from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bbj_desktop.core.errors import SettingsError

if TYPE_CHECKING:
    from bbj_desktop.core.network import Network

Kind = Literal["text", "path", "choice", "switch", "count", "seconds"]


@dataclass(frozen=True, slots=True)
class Setting:
    """The declaration of one setting.

    Attributes:
        kind: Type of the value: ``text`` str, ``path`` Path, ``choice`` str of ``choices``, ``switch`` bool (``on`` or
            ``off`` as text), ``count`` int, ``seconds`` float.
        environment: Variables that set it, the first one set wins.
        flag: Option of the command line.
        unit: Unit of a number, e.g. ``tokens``.
        limits: Least and greatest number.
    """

    name: str
    kind: Kind
    default: object
    environment: tuple[str, ...]
    flag: str
    help: str
    unit: str = ""
    choices: tuple[str, ...] = ()
    limits: tuple[float, float] = (0, float("inf"))


def _declare(kind: Kind, default: object, *environment: str, flag: str, **details: Any) -> Any:
    """A dataclass field that carries its declaration; ``Any`` so that the field's own annotation types the value."""
    return field(default=default, metadata={"kind": kind, "environment": environment, "flag": flag, **details})


@dataclass(frozen=True, slots=True)
class Settings:
    """The values in force. Declares every setting: this is the only place."""

    data_folder: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_DATA",
        flag="--data",
        help="folder for models and everything else that is kept; default: the platform's data folder",
    )
    shared_store: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_SHARED_STORE",
        flag="--shared-store",
        help="a store that others of this machine share; its files are used, never changed",
    )
    registry: str | None = _declare(
        "text",
        None,
        "BBJ_DESKTOP_REGISTRY",
        flag="--registry",
        help="address of the model registry: http(s)://…, hf://…, file://… or a folder",
    )
    channel: Literal["stable", "beta"] = _declare(
        "choice",
        "stable",
        "BBJ_DESKTOP_CHANNEL",
        flag="--channel",
        choices=("stable", "beta"),
        help="which releases are offered",
    )
    runtime: Literal["auto", "ollama", "embedded"] = _declare(
        "choice",
        "auto",
        "BBJ_DESKTOP_RUNTIME",
        flag="--runtime",
        choices=("auto", "ollama", "embedded"),
        help="what runs the model; auto: Ollama where one answers, else the embedded engine",
    )
    ollama_host: str | None = _declare(
        "text",
        None,
        "BBJ_DESKTOP_OLLAMA_HOST",
        "OLLAMA_HOST",
        flag="--ollama-host",
        help="where Ollama listens; default: 127.0.0.1:11434",
    )
    engine: Literal["built-in", "llama-server", "llama-cpp-python"] = _declare(
        "choice",
        "built-in",
        "BBJ_DESKTOP_ENGINE",
        flag="--engine",
        choices=("built-in", "llama-server", "llama-cpp-python"),
        help="what the embedded engine is: ours, a llama-server that is here, or the package llama-cpp-python",
    )
    llama_server: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_LLAMA_SERVER",
        flag="--llama-server",
        help="the executable for --engine llama-server; default: the one on the search path",
    )
    shared_engine: bool = _declare(
        "switch",
        True,
        "BBJ_DESKTOP_SHARED_ENGINE",
        flag="--shared-engine",
        help="one embedded engine for all programs of a user; off: each has its own, which ends with it",
    )
    engine_unload_s: float = _declare(
        "seconds",
        300.0,
        "BBJ_DESKTOP_ENGINE_UNLOAD",
        flag="--engine-unload",
        unit="seconds",
        limits=(0.1, 10**7),
        help="the embedded engine frees a model's memory after so long without a question",
    )
    engine_exit_s: float = _declare(
        "seconds",
        600.0,
        "BBJ_DESKTOP_ENGINE_EXIT",
        flag="--engine-exit",
        unit="seconds",
        limits=(0.1, 10**7),
        help="the shared engine's host ends after so long without a program that uses it",
    )
    gateway: bool = _declare(
        "switch",
        False,
        "BBJ_DESKTOP_GATEWAY",
        flag="--gateway",
        help="let IDEs reach the embedded engine at a fixed address whenever it runs",
    )
    gateway_port: int = _declare(
        "count",
        11435,
        "BBJ_DESKTOP_GATEWAY_PORT",
        flag="--gateway-port",
        unit="port",
        limits=(1024, 65535),
        help="the port of that address on this machine",
    )
    ollama_profile: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_OLLAMA_PROFILE",
        flag="--ollama-profile",
        help="saved profile of the machine on which an Ollama elsewhere runs (recommend --save-profile)",
    )
    ollama_users: int = _declare(
        "count",
        1,
        "BBJ_DESKTOP_OLLAMA_USERS",
        flag="--ollama-users",
        unit="conversations",
        limits=(1, 64),
        help="conversations at once that the model shall serve: each needs a KV cache of its own",
    )
    ollama_keep_alive_s: float | None = _declare(
        "seconds",
        None,
        "BBJ_DESKTOP_OLLAMA_KEEP_ALIVE",
        flag="--ollama-keep-alive",
        unit="seconds",
        limits=(0, 10**7),
        help="Ollama frees a model's memory so long after our last question; default: Ollama's own, five minutes",
    )
    start_ollama: Literal["ask", "yes", "no"] = _declare(
        "choice",
        "ask",
        "BBJ_DESKTOP_START_OLLAMA",
        flag="--start-ollama",
        choices=("ask", "yes", "no"),
        help="start an Ollama that is installed and doesn't run; ask: only where it is needed, after asking",
    )
    context_length: int | None = _declare(
        "count",
        None,
        "BBJ_DESKTOP_CONTEXT_LENGTH",
        flag="--context",
        unit="tokens",
        limits=(256, 1_048_576),
        help="context to set models up for; default: the release's, less where memory is short",
    )
    compiler: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_COMPILER",
        flag="--compiler",
        help="bbjcpl, or the folder of the BBj installation that has it; default: BBJ_HOME, the search path",
    )
    type_check: Literal["off", "errors", "warnings"] = _declare(
        "choice",
        "off",
        "BBJ_DESKTOP_TYPE_CHECK",
        flag="--type-check",
        choices=("off", "errors", "warnings"),
        help="have the compiler check types, too, where the syntax is right; it says that apart",
    )
    compiler_prefix: str | None = _declare(
        "text",
        None,
        "BBJ_DESKTOP_COMPILER_PREFIX",
        flag="--compiler-prefix",
        help="folders in which the type check finds programs and classes, separated as on the search path",
    )
    compiler_config: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_COMPILER_CONFIG",
        flag="--compiler-config",
        help="a BBj configuration (config.bbx) whose prefixes the type check takes instead",
    )
    compiler_class_path: str | None = _declare(
        "text",
        None,
        "BBJ_DESKTOP_COMPILER_CLASS_PATH",
        flag="--compiler-class-path",
        help="name of the Java class path of the BBj installation that the type check uses",
    )
    proxy: str | None = _declare(
        "text",
        None,
        "BBJ_DESKTOP_PROXY",
        flag="--proxy",
        help="proxy for the registry: http://host:port, or direct for none; default: the system's",
    )
    ca_file: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_CA_FILE",
        flag="--ca-file",
        help="PEM file of certificate authorities to trust besides the system's",
    )
    client_certificate: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_CLIENT_CERTIFICATE",
        flag="--client-certificate",
        help="PEM file of the certificate to show to a server that asks for one",
    )
    client_key: Path | None = _declare(
        "path",
        None,
        "BBJ_DESKTOP_CLIENT_KEY",
        flag="--client-key",
        help="PEM file of that certificate's key, where its file doesn't hold it",
    )
    connect_timeout_s: float = _declare(
        "seconds",
        10.0,
        "BBJ_DESKTOP_CONNECT_TIMEOUT",
        flag="--connect-timeout",
        unit="seconds",
        limits=(0.1, 600),
        help="how long to wait for a connection",
    )
    stall_timeout_s: float = _declare(
        "seconds",
        30.0,
        "BBJ_DESKTOP_STALL_TIMEOUT",
        flag="--stall-timeout",
        unit="seconds",
        limits=(0.1, 3600),
        help="how long a connection may give no bytes",
    )
    bandwidth_limit: int | None = _declare(
        "count",
        None,
        "BBJ_DESKTOP_BANDWIDTH_LIMIT",
        flag="--bandwidth-limit",
        unit="bytes/s",
        limits=(65_536, 10**12),
        help="how fast a download may be at most; default: as fast as it goes",
    )
    update_checks: bool = _declare(
        "switch",
        True,
        "BBJ_DESKTOP_UPDATE_CHECKS",
        flag="--update-checks",
        help="ask the registry for releases when the window opens; off: only when told to",
    )
    publisher_mirrors: bool = _declare(
        "switch",
        False,
        "BBJ_DESKTOP_PUBLISHER_MIRRORS",
        flag="--publisher-mirrors",
        help="at an install Ollama may pull a model's bytes from where its makers say; off: only from where you say",
    )
    bundle_expiry: Literal["warn", "block"] = _declare(
        "choice",
        "warn",
        "BBJ_DESKTOP_BUNDLE_EXPIRY",
        flag="--bundle-expiry",
        choices=("warn", "block"),
        help="expired metadata of bundles and of mirrors declared offline: said, or refused",
    )
    theme: Literal["auto", "light", "dark"] = _declare(
        "choice",
        "auto",
        "BBJ_DESKTOP_THEME",
        flag="--theme",
        choices=("auto", "light", "dark"),
        help="colours of the window",
    )
    log_level: Literal["debug", "info", "warning", "error"] = _declare(
        "choice",
        "info",
        "BBJ_DESKTOP_LOG_LEVEL",
        flag="--log-level",
        choices=("debug", "info", "warning", "error"),
        help="how much is written to the log file",
    )

    def network(self) -> Network:
        """What they say about the network. Raises SettingsError when the proxy isn't an address."""
        from pydantic import ValidationError

        from bbj_desktop.core.documents import explain
        from bbj_desktop.core.network import Network

        try:
            return Network(
                proxy=self.proxy,
                ca_file=self.ca_file,
                client_certificate=self.client_certificate,
                client_key=self.client_key,
                connect_timeout_s=self.connect_timeout_s,
                stall_timeout_s=self.stall_timeout_s,
            )
        except ValidationError as error:
            raise SettingsError(
                f"The network settings can't be used: {explain(error)}.", hint="bbj-desktop settings show lists them."
            ) from error


SETTINGS: Mapping[str, Setting] = {
    entry.name: Setting(name=entry.name, default=entry.default, **entry.metadata) for entry in fields(Settings)
}


class OriginKind(StrEnum):
    """Where a value comes from, lowest first: a later one wins."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"
    POLICY = "policy"


_RANK = {kind: rank for rank, kind in enumerate(OriginKind)}
_TEXTUAL = frozenset({OriginKind.ENVIRONMENT, OriginKind.FLAG})


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from.

    Attributes:
        place: The file, the variable or the flag; empty for the default.
    """

    kind: OriginKind
    place: str = ""

    @property
    def locked(self) -> bool:
        return self.kind is OriginKind.POLICY


@dataclass(frozen=True, slots=True)
class Layer:
    """What one source gives, not yet checked.

    Attributes:
        given: Raw values by the setting's name: text from flags and the environment, TOML's types from files.
        place: The file; for flags and the environment each value's own flag or variable is used instead.
        places: Flag or variable by the setting's name.
    """

    kind: OriginKind
    given: Mapping[str, object]
    place: str = ""
    places: Mapping[str, str] = field(default_factory=dict)

    def origin(self, name: str) -> Origin:
        return Origin(self.kind, self.places.get(name, self.place))


@dataclass(frozen=True, slots=True)
class ResolvedSettings:
    """The values in force, and where each one came from."""

    values: Settings = field(default_factory=Settings)
    origins: Mapping[str, Origin] = field(default_factory=dict)

    def origin(self, name: str) -> Origin:
        return self.origins.get(name, Origin(OriginKind.DEFAULT))


def resolve(layers: Iterable[Layer]) -> ResolvedSettings:
    """Lays the layers over each other, in any order given.

    Raises:
        SettingsError: A name is unknown, a value is of the wrong type, or a flag contradicts a policy.
    """
    checked = [(layer, _check(layer)) for layer in sorted(layers, key=lambda layer: _RANK[layer.kind])]
    _refuse_flags_against_policy(checked)
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for layer, given in checked:
        for name, value in given.items():
            values[name] = value
            origins[name] = layer.origin(name)
    return ResolvedSettings(Settings(**values), origins)


def as_text(name: str, value: object) -> str:
    """A value as one would write it in the environment; ``-`` for none."""
    if value is None:
        return "-"
    if SETTINGS[name].kind == "switch":
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _check(layer: Layer) -> dict[str, object]:
    return {name: _converted(layer, name, raw) for name, raw in layer.given.items()}


def _refuse_flags_against_policy(checked: list[tuple[Layer, dict[str, object]]]) -> None:
    locks = {
        name: (layer, value)
        for layer, given in checked
        if layer.kind is OriginKind.POLICY
        for name, value in given.items()
    }
    for layer, given in checked:
        for name in given.keys() & locks.keys() if layer.kind is OriginKind.FLAG else ():
            policy, value = locks[name]
            if given[name] != value:
                raise SettingsError(
                    f"{layer.origin(name).place} can't be used: a policy locks {name} to {as_text(name, value)}.",
                    hint=f"Leave the flag out, or ask whoever administers {policy.origin(name).place}.",
                )


def _converted(layer: Layer, name: str, raw: object) -> object:
    setting = SETTINGS.get(name)
    if setting is None:
        raise _unknown(layer, name)
    try:
        return _from_text(setting, str(raw)) if layer.kind in _TEXTUAL else _from_toml(setting, raw)
    except ValueError as error:
        place = layer.origin(name).place
        what = place if layer.kind in _TEXTUAL else f"{place}: {name}"
        raise SettingsError(f"{what} must be {error}, not {raw!r}.", hint=_how_to_correct(layer)) from error


def _unknown(layer: Layer, name: str) -> SettingsError:
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    hint = f'Did you mean "{near[0]}"?' if near else f"Known are: {', '.join(SETTINGS)}."
    return SettingsError(f'{layer.origin(name).place}: there is no setting "{name}".', hint=hint)


def _how_to_correct(layer: Layer) -> str:
    if layer.kind is OriginKind.POLICY:
        return "Ask whoever administers this machine to correct the policy."
    return "Correct it and try again."


def _from_text(setting: Setting, text: str) -> object:
    """Reads a flag's or a variable's text. Raises ValueError with what it must be."""
    text = text.strip()
    if setting.kind == "count":
        return _number(setting, int(text) if text.isascii() and text.isdigit() else None)
    if setting.kind == "seconds":
        try:
            return _number(setting, float(text))
        except ValueError:
            return _number(setting, None)
    return _from_toml(setting, text)


def _from_toml(setting: Setting, raw: object) -> object:
    """Checks a value of a TOML file. Raises ValueError with what it must be."""
    match setting.kind:
        case "switch":
            return _switch(raw)
        case "count":
            return _number(setting, raw if isinstance(raw, int) and not isinstance(raw, bool) else None)
        case "seconds":
            numeric = isinstance(raw, int | float) and not isinstance(raw, bool)
            return _number(setting, float(raw) if numeric else None)  # type: ignore[arg-type]
        case "choice":
            if raw not in setting.choices:
                raise ValueError(f"one of {', '.join(setting.choices)}")
            return raw
        case "path" | "text":
            text = _text(raw)
            return Path(text) if text and setting.kind == "path" else text or None


def _text(raw: object) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError("text")


def _switch(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    if raw in ("on", "off"):
        return raw == "on"
    raise ValueError("on or off")


def _number(setting: Setting, number: float | None) -> float:
    low, high = setting.limits
    if number is None or not low <= number <= high:
        whole = "a whole number" if setting.kind == "count" else "a number"
        what = "a port" if setting.unit == "port" else f"{whole} of {setting.unit}"
        raise ValueError(f"{what} between {low:,g} and {high:,.10g}")
    return number
