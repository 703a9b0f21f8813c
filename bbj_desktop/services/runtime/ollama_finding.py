"""What an Ollama on this machine is, from raw inputs: who runs it, how it was installed, where its models lie.

Touches nothing; ``ollama_reading`` collects what is interpreted here, and a recording can stand in for a machine. What
can't be read is guessed, and a guess is said to be one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from bbj_desktop.core.errors import UserInputError
from bbj_desktop.services.probe.raw import RawInputs
from bbj_desktop.services.runtime.ollama_address import DEFAULT_ADDRESS, is_local, parse_ollama_host

UNIT_PROPERTIES = "LoadState,ActiveState,User,Environment,EnvironmentFiles,FragmentPath,MainPID"
UNIT_TOOL = f"systemctl show ollama.service --property={UNIT_PROPERTIES}"
"""systemd's answer is the same for every user; an unknown unit has ``LoadState=not-found``."""
LAUNCH_VARIABLES = ("OLLAMA_HOST", "OLLAMA_MODELS")
"""What Ollama's FAQ tells users of the macOS app to set with ``launchctl setenv``."""

Kind = Literal["service", "app", "command", "container", "unseen"]
Source = Literal["process", "unit", "settings", "environment", "guess"]

_CONTAINERS = ("docker", "libpod", "containerd", "kubepods", "lxc")
_APP = ("/ollama.app/", "\\programs\\ollama\\", "ollama app.exe")
_SERVICE_HOME = "/usr/share/ollama"


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True)


class ModelsFolder(_Value):
    """Where an Ollama keeps its models.

    Attributes:
        source: What said so: the server's ``process``, its systemd ``unit``, the system's ``settings`` (Windows
            registry, launchd), our own ``environment``; or nobody: then it is a ``guess``.
        owner: The user whose folder it is; None when that can't be read.
        readable: By us, the blobs in it too; None when it can't be told.
        writable: By us, likewise.
    """

    path: str
    source: Source
    exists: bool = False
    owner: str | None = None
    readable: bool | None = None
    writable: bool | None = None

    @property
    def guessed(self) -> bool:
        return self.source == "guess"


class OllamaServer(_Value):
    """A server that runs.

    Attributes:
        kind: ``service`` (systemd, Windows), ``app`` (the desktop app's), ``command`` (``ollama serve``),
            ``container``; ``unseen`` answers, but no process of it can be seen.
        user: Whose process it is, when known.
        mine: It is this user's.
    """

    kind: Kind
    pid: int | None = None
    user: str | None = None
    mine: bool = False


class OllamaFinding(_Value):
    """What is known about Ollama here.

    Attributes:
        address: The one that was asked about.
        local: It is this machine's.
        executable: The program, when it is installed.
        service: State of its service: ``active``, ``inactive`` …; None when there is none.
        server: The one that serves ``address``, as far as can be told.
        models: Where its models lie; None where that can't mean anything here (another machine, a container).
        notes: What is noteworthy, for a person.
    """

    address: str
    local: bool
    executable: str | None = None
    service: str | None = None
    server: OllamaServer | None = None
    models: ModelsFolder | None = None
    notes: tuple[str, ...] = ()

    @property
    def startable(self) -> bool:
        """It is installed here and nothing of it runs at the address."""
        return self.local and self.executable is not None and self.server is None


def interpret(raw: RawInputs, address: str) -> OllamaFinding:
    """Makes sense of what was read.

    Args:
        address: The server in question, as ``parse_ollama_host`` returns it.
    """
    if not is_local(address):
        note = f"{address} is another machine: what it has and where its models lie can't be seen from here."
        return OllamaFinding(address=address, local=False, notes=(note,))
    executables = raw.answer("executables").get("found", [])
    server = _server(raw, address)
    models = _models(raw, server) if server is None or server.kind != "container" else None
    service = _service_state(raw)
    here = bool(executables) or server is not None or service is not None
    return OllamaFinding(
        address=address,
        local=True,
        executable=str(executables[0]) if executables else None,
        service=service,
        server=server,
        models=models,
        notes=tuple(_notes(server, models, service, address)) if here else (),
    )


def candidate_folders(raw: RawInputs, address: str) -> tuple[str, ...]:
    """The folders whose owner and rights have to be read before ``interpret`` can say them."""
    found = interpret(raw, address)
    return (found.models.path,) if found.models is not None else ()


# -- the server


def _server(raw: RawInputs, address: str) -> OllamaServer | None:
    serving = [_process(pid, facts) for pid, facts in raw.answer("processes").items() if _serves(facts)]
    mine = [each for each in serving if each.port == urlsplit(address).port]
    if mine or not raw.answer("listening").get(address):
        return _described(raw, mine[0]) if mine else None
    unknown = [each for each in serving if each.port is None]
    return _described(raw, unknown[0]) if unknown else OllamaServer(kind="unseen")


class _Process(_Value):
    pid: int
    user: str | None
    command: tuple[str, ...]
    executable: str
    environment: Mapping[str, str] | None
    cgroup: str
    port: int | None


def _serves(facts: object) -> bool:
    """Whether it is a server: models run in ``ollama runner`` or ``llama-server`` children of it."""
    return isinstance(facts, Mapping) and "serve" in facts.get("command", ())[1:2]


def _process(pid: str, facts: Mapping[str, Any]) -> _Process:
    environment = facts.get("environment")
    listens = facts.get("listens") or ()
    port = int(str(listens[0]).rpartition(":")[2]) if listens else None
    if port is None and environment is not None:
        port = _port(str(environment.get("OLLAMA_HOST", "")))
    return _Process(
        pid=int(pid),
        user=facts.get("user"),
        command=tuple(facts.get("command", ())),
        executable=str(facts.get("exe") or ""),
        environment=environment,
        cgroup=str(facts.get("cgroup", "")),
        port=port,
    )


def _port(host: str) -> int | None:
    try:
        return urlsplit(parse_ollama_host(host or DEFAULT_ADDRESS)).port
    except (UserInputError, ValueError):
        return None


def _described(raw: RawInputs, process: _Process) -> OllamaServer:
    user = _plain(process.user)
    mine = user is not None and user == raw.answer("me").get("user")
    return OllamaServer(kind=_kind(raw, process), pid=process.pid, user=user, mine=mine)


def _kind(raw: RawInputs, process: _Process) -> Kind:
    place = " ".join((process.executable, *process.command[:1])).lower()
    service = str(raw.answer("windows").get("service", {}).get("pid"))
    if any(name in process.cgroup for name in _CONTAINERS):
        return "container"
    if str(process.pid) in {_unit(raw).get("MainPID"), service} or "/ollama.service" in process.cgroup:
        return "service"
    return "app" if any(part in place for part in _APP) else "command"


def _plain(user: str | None) -> str | None:
    """Windows puts the machine's or domain's name before a user's."""
    return user.rpartition("\\")[2] if user else None


# -- the models' folder


def _models(raw: RawInputs, server: OllamaServer | None) -> ModelsFolder:
    path, source = next(_places(raw, server))
    facts = raw.answer("folders").get(path, {})
    return ModelsFolder(path=path, source=source, **{name: facts[name] for name in _FACTS if name in facts})


_FACTS = ("exists", "owner", "readable", "writable")


def _places(raw: RawInputs, server: OllamaServer | None) -> Iterator[tuple[str, Source]]:
    """What names the folder, the surest first; the last one is a guess."""
    processes = raw.answer("processes")
    running = processes.get(str(server.pid), {}) if server is not None and server.pid is not None else {}
    environment = running.get("environment")
    if environment is not None:
        home = environment.get("HOME") or environment.get("USERPROFILE") or _home(raw, running.get("user"))
        yield _told(environment) or _below(raw, str(home)), "process"
    unit = _unit(raw)
    if _from_unit(raw, server):
        variables = _unit_environment(unit)
        home = _home(raw, unit.get("User") or "root")
        if _told(variables) or (home and not unit.get("EnvironmentFiles")):
            yield _told(variables) or _below(raw, str(home)), "unit"
    settings = {name: raw.tools.get(f"launchctl getenv {name}", "").strip() for name in LAUNCH_VARIABLES}
    settings |= {**raw.answer("windows").get("machine", {}), **raw.answer("windows").get("user", {})}
    if _told(settings):
        yield _told(settings), "settings"
    if _told(raw.answer("environment")):
        yield _told(raw.answer("environment")), "environment"
    user = server.user if server is not None else None
    yield _below(raw, _home(raw, user) or _likely_home(raw)), "guess"


def _told(variables: Mapping[str, Any]) -> str:
    """``OLLAMA_MODELS`` as Ollama reads it: without spaces and quotes around it."""
    return str(variables.get("OLLAMA_MODELS") or "").strip().strip("\"'").strip()


def _from_unit(raw: RawInputs, server: OllamaServer | None) -> bool:
    """Whether the unit is what would tell: it runs the server, or it is there and nothing runs."""
    known = _unit(raw).get("LoadState") == "loaded"
    return known and (server is None or server.kind in ("service", "unseen"))


def _likely_home(raw: RawInputs) -> str:
    if raw.platform == "linux" and _unit(raw).get("LoadState") == "loaded":
        return _SERVICE_HOME
    return str(raw.answer("me").get("home", ""))


def _home(raw: RawInputs, user: str | None) -> str:
    me = raw.answer("me")
    name = _plain(user)
    return str(me.get("home", "")) if name == me.get("user") else str(raw.answer("homes").get(name or "", ""))


def _below(raw: RawInputs, home: str) -> str:
    kind: type[PurePath] = PureWindowsPath if raw.platform == "win32" else PurePosixPath
    return str(kind(home) / ".ollama" / "models")


# -- services


def _unit(raw: RawInputs) -> dict[str, str]:
    """systemd's properties; the unit's ``Environment`` is one line of words."""
    lines = raw.tools.get(UNIT_TOOL, "").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def _unit_environment(unit: Mapping[str, str]) -> dict[str, str]:
    """Words with spaces in them are quoted whole: ``"OLLAMA_MODELS=/srv/my models" OLLAMA_HOST=0.0.0.0``."""
    import shlex

    try:
        words = shlex.split(unit.get("Environment", ""))
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _service_state(raw: RawInputs) -> str | None:
    unit = _unit(raw)
    if unit.get("LoadState") == "loaded":
        return unit.get("ActiveState", "unknown")
    state = raw.answer("windows").get("service", {}).get("status")
    return str(state) if state else None


# -- words


def _notes(
    server: OllamaServer | None, models: ModelsFolder | None, service: str | None, address: str
) -> Iterator[str]:
    if server is not None and server.kind == "unseen":
        yield (
            f"Something answers at {address}, but no process of Ollama can be seen: it may run in a container, in "
            "another user's session, or behind a forwarded port."
        )
    if server is not None and server.kind == "container":
        yield "Ollama runs in a container: its models lie inside it."
    if server is not None and server.kind not in ("unseen", "container") and not server.mine:
        yield f"Ollama is run by {server.user or 'another user'}: its models are that user's."
    if server is None and service not in (None, "active", "running"):
        yield f"Ollama's service is {service}."
    if models is not None and models.guessed:
        yield f"That its models lie in {models.path} is a guess: the server's own settings can't be read."
    if models is not None and models.exists and models.writable is False:
        yield f"{models.path} belongs to {models.owner or 'another user'} and can't be written by this user."
