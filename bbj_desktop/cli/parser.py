"""The command line's grammar. Imports nothing but the standard library and the table of settings, so that ``--help`` is
there at once; each command names the function that does it, which is imported when it runs."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from bbj_desktop import __version__
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.settings import SETTINGS

PROGRAM = "bbj-desktop"
_SETTING = "setting_"
_INVALID_CHOICE = re.compile(
    r"argument (?P<what>\S+): invalid choice: '(?P<given>[^']*)' \(choose from (?P<known>.*)\)"
)

_DESCRIPTION = """\
Gets bbj-coder, a code model for BBj, running on this machine.
Without a command it opens the window."""

_EPILOG = """\
Start with: bbj-desktop doctor, then bbj-desktop install, then bbj-desktop chat.
COMMAND --help tells more about a command. Exit codes: 0 done, 1 doctor found something broken, 2 wrong input, 3 not
found, 4 no connection, 5 not trustworthy, 6 unreadable, 7 local store, 8 does not fit, 9 engine, 10 publishing, 20
update available, 21 volumes missing, 70 a bug, 130 stopped."""


class Parser(argparse.ArgumentParser):
    """Raises UserInputError instead of ending the process, so that wrong usage ends like any other wrong input."""

    def error(self, message: str) -> NoReturn:
        match = _INVALID_CHOICE.match(message)
        hint = f"{self.prog} --help shows how."
        if match and match["what"] in ("COMMAND", "ACTION"):
            message = f"there is no command {match['given']!r}"
            near = difflib.get_close_matches(match["given"], re.findall(r"[\w-]+", match["known"]), n=1)
            hint = f"Did you mean {self.prog} {near[0]}?" if near else hint
        raise UserInputError(f"{message[:1].upper()}{message[1:].rstrip('.')}.", hint=hint)


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves the settings out of the usage line: each has a line of its own below."""

    def add_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None) -> None:
        shown = [action for action in actions if not action.dest.startswith(_SETTING)]
        super().add_usage(usage, shown, groups, prefix)


class _Commands:
    """Adds commands that share the common options."""

    def __init__(self, subparsers: Any, common: argparse.ArgumentParser, prefix: str = "") -> None:
        self._subparsers = subparsers
        self._common = common
        self._prefix = prefix

    def add(self, name: str, run: str, help_text: str, *, description: str = "") -> argparse.ArgumentParser:
        """``run`` is ``module:function`` below ``bbj_desktop.cli``."""
        parser: argparse.ArgumentParser = self._subparsers.add_parser(
            name,
            parents=[self._common],
            help=help_text,
            description=description or help_text[:1].upper() + help_text[1:] + ".",
            formatter_class=_Formatter,
        )
        parser.set_defaults(run=run, command=f"{self._prefix}{name}")
        return parser

    def group(self, name: str, help_text: str) -> _Commands:
        parser: argparse.ArgumentParser = self._subparsers.add_parser(name, help=help_text, description=help_text)
        return _Commands(_subparsers(parser, "ACTION", required=True), self._common, f"{self._prefix}{name} ")


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    parser = Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=_Formatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.set_defaults(run="", command="")
    common = argparse.ArgumentParser(add_help=False)
    commands = _Commands(_subparsers(parser, "COMMAND", required=False), common)
    for each in (common, parser):
        _add_common_options(each)
    _declare_machine(commands)
    _declare_versions(commands)
    _declare_conversation(commands)
    _declare_registry(commands)
    _declare_bundle(commands)
    _declare_extras(commands)
    _declare_engine(commands)
    _declare_rest(commands)
    return parser


def given_flags(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line gives, as text, by their names."""
    return {name: text for name in SETTINGS if (text := getattr(arguments, _SETTING + name, None)) is not None}


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the answer must be JSON, known even when the rest can't be parsed."""
    return "--json" in argv


def _subparsers(parser: argparse.ArgumentParser, metavar: str, *, required: bool) -> Any:
    title = "commands" if metavar == "COMMAND" else "actions"
    return parser.add_subparsers(metavar=metavar, title=title, required=required)


def _add_common_options(parser: argparse.ArgumentParser) -> None:
    """Options that stand before or after the command. Their defaults are suppressed: a subcommand would otherwise
    overwrite what stood before it."""
    general = parser.add_argument_group("output", argument_default=argparse.SUPPRESS)
    general.add_argument("--json", action="store_true", help="print the result as one JSON document")
    general.add_argument("-y", "--yes", action="store_true", help="answer every question with yes")
    general.add_argument("-v", "--verbose", action="store_true", help="tell more, and write more to the log")
    settings = parser.add_argument_group(
        "settings, for this call",
        "settings show lists what is in force and where it comes from",
        argument_default=argparse.SUPPRESS,
    )
    for setting in SETTINGS.values():
        kinds = {"path": "PATH", "switch": "on|off", "choice": "|".join(setting.choices)}
        metavar = kinds.get(setting.kind, "TEXT" if setting.kind == "text" else setting.unit.upper())
        settings.add_argument(setting.flag, dest=_SETTING + setting.name, metavar=metavar, help=setting.help)


def _number(kind: type[int | float], least: int, greatest: int) -> Callable[[str], float]:
    """Reads a number within limits, for ``type=``."""

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = least - 1
        if not least <= number <= greatest:
            whole = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {whole} between {least} and {greatest}, not {text!r}")
        return number

    return read


def _declare_machine(commands: _Commands) -> None:
    doctor = commands.add(
        "doctor", "machine:doctor", "check machine, registry, network, store and runtimes; say what to do"
    )
    doctor.add_argument("--online", action="store_true", help="ask the registry even where update checks are off")
    doctor.add_argument("--bundle", metavar="FILE", help="write what was found, settings and logs into one ZIP archive")
    recommend = commands.add("recommend", "recommend:recommend", "show what this machine should get, and why")
    recommend.add_argument("--profile", metavar="FILE", help="decide for the machine of this saved profile")
    recommend.add_argument("--save-profile", metavar="FILE", help="save this machine's profile for somebody else")
    recommend.add_argument(
        "--concurrency", type=_number(int, 1, 64), default=1, metavar="N", help="conversations at once (default 1)"
    )
    recommend.add_argument("--all", action="store_true", help="show every variant that is offered")
    _add_choice(recommend)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", choices=("chat", "fim"), help="only for chat, or only for tab completion (fim)")
    parser.add_argument("--size", metavar="SIZE", help="only this size, e.g. 7b")
    parser.add_argument("--quantisation", metavar="NAME", help="only this quantisation, e.g. Q4_K_M")


def _declare_versions(commands: _Commands) -> None:
    install = commands.add(
        "install",
        "install:install",
        "download, verify and register a model",
        description="Downloads, verifies and registers models: those named, or what this machine is recommended.\n"
        "Interrupted anywhere, the same command takes up where it ended.",
    )
    install.add_argument("model", nargs="*", metavar="MODEL", help="e.g. 7b, bbj-coder:7b or bbj-coder:7b-q4_k_m")
    _add_choice(install)
    install.add_argument("--version", metavar="VERSION", help="this release instead of the newest")
    install.add_argument("--force", action="store_true", help="install what this machine can't run, too")
    install.add_argument("--dry-run", action="store_true", help="show what would be fetched, and stop")
    install.add_argument("--explain", action="store_true", help="show by which way it gets into Ollama, and why")
    update = commands.add("update", "update:update", "install newer releases of what is active here")
    update.add_argument("--check", action="store_true", help="only ask: exit code 0 up to date, 20 update available")
    update.add_argument("--force", action="store_true", help="install what this machine can't run, too")
    commands.add("versions", "versions:versions", "list the installed versions")
    activate = commands.add("activate", "versions:activate", "make an installed version the one in use")
    activate.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    rollback = commands.add("rollback", "versions:rollback", "go back to the version that was active before")
    rollback.add_argument(
        "slot", nargs="?", metavar="MODEL", help="bbj-coder:7b or bbj-coder; default: the one that can go back"
    )
    commands.add(
        "connect",
        "ollama:connect",
        "use what an Ollama elsewhere has already, without installing anything",
        description="Looks at the Ollama of --ollama-host for versions that the registry offers, compares them with\n"
        "what was signed, and uses them from now on. Nothing is downloaded, nothing there is changed.",
    )
    pin = commands.add("pin", "versions:pin", "keep a version: no removal, no update in its place")
    unpin = commands.add("unpin", "versions:unpin", "lift the pin of a version")
    for parser in (pin, unpin):
        parser.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    verify = commands.add("verify", "repairing:verify", "read an installed model and compare it with what was signed")
    repair = commands.add(
        "repair",
        "repairing:repair",
        "fetch what of an installed model is damaged",
        description="Reads an installed model's file and fetches what of it isn't as it was signed, and no more.\n"
        "Interrupted anywhere, the file is as it was, and the same command takes up where it ended.",
    )
    for parser in (verify, repair):
        parser.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    commands.add("rebuild", "versions:rebuild", "restore records of installed versions from what verifies")
    remove = commands.add("remove", "versions:remove", "remove installed versions and free their space")
    remove.add_argument("version", nargs="+", metavar="VERSION", help="its key, or its beginning: 2026.1")


def _declare_conversation(commands: _Commands) -> None:
    chat = commands.add(
        "chat",
        "chat:chat",
        "talk to the installed model",
        description="Talks to the installed model. Ctrl-C stops an answer; /reset begins anew, /quit or the end of "
        "input ends.\nWith --json each line of the input is a question and each answer one line of JSON.",
    )
    ask = commands.add("ask", "chat:ask", "ask one question, for scripts; the question may come from stdin")
    ask.add_argument("question", nargs="*", metavar="QUESTION", help="the question; none, or -, reads stdin")
    complete = commands.add(
        "complete",
        "complete:complete",
        "let a completion model fill in what belongs at the cursor",
        description="Lets a completion model fill in what belongs between a prefix and a suffix. Without files it\n"
        "reads stdin, which has a mark where the cursor is. What is too long for the context is left out far from it.",
    )
    complete.add_argument("--prefix-file", metavar="FILE", help="what stands before the cursor")
    complete.add_argument("--suffix-file", metavar="FILE", help="what stands behind it")
    complete.add_argument("--cursor", default="<CURSOR>", metavar="MARK", help="the mark in stdin (default <CURSOR>)")
    for parser in (chat, ask, complete):
        active = "completion" if parser is complete else "chat"
        parser.add_argument(
            "--model", metavar="VERSION", help=f"an installed version; default: the active {active} model"
        )
        parser.add_argument("--seed", type=_number(int, 0, 2**31 - 1), metavar="N", help="makes the answer repeatable")
        parser.add_argument(
            "--max-tokens", type=_number(int, 1, 2**20), metavar="N", help="ends the answer after so many tokens"
        )
        parser.add_argument(
            "--temperature", type=_number(float, 0, 2), metavar="T", help="0 … 2; default: the release's"
        )
    for parser in (chat, ask):
        parser.add_argument("--check", action="store_true", help="compile the answer's BBj, where there is a compiler")
        parser.add_argument(
            "--mend", action="store_true", help="and ask the model to mend what doesn't compile, up to three times"
        )
    report = commands.add(
        "report",
        "reporting:report",
        "write a failed answer down for the makers, redacted; nothing is sent",
        description="Writes a question, the answer that failed, what the compiler says of it and, if you have it, the\n"
        "right code into a Markdown file without secrets, names, machines and folders. You see it first, and you hand\n"
        "it on yourself.",
    )
    report.add_argument("file", metavar="FILE", help="the report, a new file, e.g. report.md")
    report.add_argument("--question", required=True, metavar="TEXT", help="what was asked")
    report.add_argument("--answer", required=True, metavar="FILE", help="the answer; - reads stdin")
    report.add_argument("--correction", metavar="FILE", help="the right code")
    report.add_argument(
        "--generation",
        choices=("all", "character", "vpro5", "bbj-gui", "dwc"),
        default="all",
        help="the BBj generation it is about (default all)",
    )
    ide = commands.group("ide", "bring installed models into an editor")
    shown = ide.add("show", "ide:show", "show the addresses, and Continue's configuration")
    applied = ide.add("apply", "ide:apply", "put the models into Continue's config.yaml; the rest of it stays")
    applied.add_argument("--dry-run", action="store_true", help="only show what would change")
    for parser in (shown, applied):
        parser.add_argument("--file", metavar="FILE", help="another config.yaml than ~/.continue/config.yaml")
    ide.add("undo", "ide:undo", "take the last change of that file back")
    ide.add("test", "ide:test", "ask the models as an IDE would, and show what works")
    mcp = commands.add("mcp", "mcp:mcp", "serve BBj tools to clients of the Model Context Protocol")
    mcp.add_argument("--http", type=_number(int, 1, 65535), metavar="PORT", help="on this loopback port, not on stdio")
    mcp.add_argument("--model", metavar="VERSION", help="an installed version; default: the active chat model")


def _declare_registry(commands: _Commands) -> None:
    registry = commands.group("registry", "trust a registry; create one and publish to it")
    add = registry.add("add", "registry:add", "trust a registry, after comparing its fingerprint")
    add.add_argument("address", metavar="ADDRESS", help="http(s)://…, hf://…, file://… or a folder")
    add.add_argument("--root", metavar="FILE", help="its root file, from a safe place; default: the registry's own")
    add.add_argument("--fingerprint", metavar="DIGEST", help="the fingerprint it must have; asks no question")
    _add_offline(add)
    registry.add("show", "registry:show", "list the trusted registries")
    root = registry.add("root", "registry:root", "show what a root file says: fingerprint, keys, expiry")
    root.add_argument("file", metavar="FILE", help="a root file, e.g. 1.root.json")
    forget = registry.add("forget", "registry:forget", "stop trusting a registry; installed versions stay")
    forget.add_argument("address", metavar="ADDRESS")
    mirror = registry.group("mirror", "more addresses of the registry in use")
    for action, what in (("add", "read the registry from there, too"), ("remove", "don't read it from there any more")):
        parser = mirror.add(action, f"registry:{action}_mirror", what)
        kinds = "http(s)://…, hf://…, file://…, a folder, or ollama://… for bytes that Ollama pulls"
        parser.add_argument("address", metavar="ADDRESS", help=kinds)
        if action == "add":
            _add_offline(parser)
    login = registry.add("login", "login:login", "keep a token or password for its server in the keyring")
    logout = registry.add("logout", "login:logout", "remove that token or password")
    for parser in (login, logout):
        parser.add_argument(
            "address", nargs="?", metavar="ADDRESS", help="https://… or hf://…; default: the one in use"
        )
    create = registry.add("create", "registry:create", "create an empty registry and its encrypted keys")
    publish = registry.add("publish", "registry:publish", "sign and publish a release")
    publish.add_argument("draft", metavar="DRAFT", help="the release's description (JSON), beside its GGUF files")
    publish.add_argument("--to", default="beta", metavar="CHANNEL", help="channel (default beta)")
    publish.add_argument(
        "--max-file-size",
        default="50GB",
        metavar="SIZE",
        help="split models into files of at most this size (default 50GB, as the Hugging Face Hub takes them)",
    )
    _declare_extras_of_makers(registry)
    refresh = registry.add("refresh", "registry:refresh", "sign a new timestamp, so that clients see it is current")
    promote = registry.add("promote", "registry:promote", "take a release from beta over to stable")
    withdraw = registry.add("withdraw", "registry:withdraw", "never offer a release again; installed ones are flagged")
    for parser in (promote, withdraw):
        parser.add_argument("--role", choices=("chat", "fim"), default="chat", help="the release's role (default chat)")
        parser.add_argument("release", metavar="RELEASE", help="e.g. bbj-coder:2026.1-7b, as registry publish says it")
    for parser in (publish, promote):
        parser.add_argument("--tiers", metavar="FILE", help="a tier table (JSON) that replaces the channel's own")
    withdraw.add_argument("--reason", required=True, help="why; shown to whoever has it installed")
    withdraw.add_argument("--to", default="stable", metavar="CHANNEL", help="channel (default stable)")
    renew = registry.add("renew", "signing:renew", "sign root, targets or channels anew, before their time is over")
    renew.add_argument("role", nargs="+", metavar="ROLE", help="root, targets, stable, beta")
    _declare_signing(registry)
    for parser in (publish, promote, withdraw, renew):
        parser.add_argument(
            "--stage", metavar="DIR", help="a new folder: others shall sign it there, nothing is published"
        )
    for parser in (create, publish, refresh, promote, withdraw, renew):
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
        _add_keys(parser, required=parser in (create, refresh))
    for parser in (publish, refresh, promote, withdraw, renew):
        _add_clock(parser)


def _declare_extras_of_makers(registry: _Commands) -> None:
    add = registry.add("add-extra", "extras:add", "sign an installer or IDE extension into a channel's catalogue")
    add.add_argument("file", metavar="FILE", help="the file; customers get it verified, and nothing runs it")
    add.add_argument("--name", required=True, metavar="NAME", help="what of, e.g. ollama")
    add.add_argument(
        "--kind", required=True, choices=("ollama-installer", "app-installer", "ide-extension"), help="what it is"
    )
    add.add_argument("--platform", default="any", metavar="PLATFORM", help="e.g. windows-x86_64 (default any)")
    add.add_argument("--version", required=True, metavar="VERSION", help="its makers' own, e.g. 0.33.1")
    add.add_argument("--note", default="", metavar="TEXT", help="what to do with it, a sentence; default: by its kind")
    add.add_argument("--max-file-size", default="50GB", metavar="SIZE", help="split it into files of at most this size")
    remove = registry.add("remove-extra", "extras:remove", "take an extra out of a channel's catalogue")
    remove.add_argument("key", metavar="EXTRA", help="as registry list-extras shows it: ollama-0.33.1-windows-x86_64")
    show = registry.add("list-extras", "extras:list_signed", "list the extras of a registry's folder")
    for parser in (add, remove, show):
        parser.add_argument("--to", default="stable", metavar="CHANNEL", help="channel (default stable)")
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
    for parser in (add, remove):
        parser.add_argument("--stage", metavar="DIR", help="a new folder: others shall sign it there")
        _add_keys(parser, required=False)
        _add_clock(parser)


def _declare_extras(commands: _Commands) -> None:
    extras = commands.group("extras", "installers and IDE extensions that the registry signs")
    extras.add("list", "extras:list_", "list what the registry offers besides models")
    fetch = extras.add(
        "fetch",
        "extras:fetch",
        "download extras into a folder, verified; nothing is run",
        description="Downloads extras into a folder, verified. Nothing is run: what to do with each is said.\n"
        "Interrupted anywhere, the same command takes up where it ended.",
    )
    fetch.add_argument(
        "extra", nargs="+", metavar="EXTRA", help="all; or a name, kind, platform or version; ollama:windows-x86_64"
    )
    fetch.add_argument("--folder", metavar="DIR", help="where to; default: extras in the data folder")


def _declare_signing(registry: _Commands) -> None:
    stage = registry.add("stage", "signing:stage", "show what a stage changes, and who has signed it")
    sign = registry.add("sign", "signing:sign", "add your signatures to a stage, after showing what they are for")
    merge = registry.add("merge", "signing:merge", "put the signatures of several copies of a stage together")
    live = registry.add("publish-staged", "signing:publish_staged", "make a stage visible that enough people signed")
    for parser in (stage, sign, merge, live):
        parser.add_argument("stage", metavar="STAGE", help="the stage's folder")
    merge.add_argument("others", nargs="+", metavar="COPY", help="copies of it that others signed")
    rotate = registry.add("rotate", "signing:rotate", "stage a change of the keys that may sign for a role")
    rotate.add_argument("role", metavar="ROLE", help="root, targets, snapshot, timestamp, stable, beta")
    rotate.add_argument(
        "--add", action="append", default=[], metavar="FILE", help="a new key's file.pub; may be repeated"
    )
    rotate.add_argument("--remove", action="append", default=[], metavar="KEYID", help="a key, or its first digits")
    rotate.add_argument("--threshold", type=_number(int, 1, 16), metavar="N", help="how many must sign from now on")
    rotate.add_argument("--stage", required=True, metavar="DIR", help="a new folder for the stage")
    key = registry.add("key", "signing:key", "make a key of your own for a role")
    key.add_argument("role", metavar="ROLE", help="root, targets, snapshot, timestamp, stable, beta")
    status = registry.add(
        "status", "signing:status", "how long each role is still good; ends with 1 if one isn't for long"
    )
    for parser in (live, rotate, status):
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
    for parser in (sign, live, key):
        _add_keys(parser, required=True)
    for parser in (live, rotate):
        _add_clock(parser)
    verify = registry.add("verify", "signing:verify", "read a whole mirror and compare it with what is signed")
    verify.add_argument("address", metavar="ADDRESS", help="http(s)://…, hf://…, file://… or a folder")
    verify.add_argument("--root", metavar="FILE", help="the trusted root file; default: the mirror's own")


def _add_keys(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--keys", required=required, metavar="DIR", help="the folder of the keys; keep it offline")
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="holds the keys' passphrase; default: asks, or reads BBJ_DESKTOP_PASSPHRASE",
    )


def _add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock-is-right",
        action="store_true",
        help="sign though the registry's last signature is long ago, or ahead: somebody checked this clock",
    )


def _add_offline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline",
        action="store_true",
        help="nobody refreshes it every few days: --bundle-expiry decides about expiry",
    )


def _declare_bundle(commands: _Commands) -> None:
    bundle = commands.group("bundle", "carry models to machines without a network")
    export = bundle.add(
        "export",
        "bundle:export",
        "write models and all that is signed about them into a folder",
        description="Writes models and all that is signed about them into a folder: those named, or what this machine\n"
        "is recommended. Interrupted anywhere, the same command takes up where it ended.",
    )
    export.add_argument("folder", metavar="DIR", help="where to")
    export.add_argument("model", nargs="*", metavar="MODEL", help="e.g. 7b, bbj-coder:7b or bbj-coder:7b-q4_k_m")
    _add_choice(export)
    export.add_argument("--all", action="store_true", help="every variant of the newest releases")
    export.add_argument("--profile", metavar="FILE", help="what the machine of this saved profile is recommended")
    export.add_argument(
        "--extras", action="append", default=[], metavar="EXTRA", help="these go along, see extras fetch; repeatable"
    )
    export.add_argument("--volume-size", metavar="SIZE", help="cut it into folders of at most this size, e.g. 4GB")
    take = bundle.add("import", "bundle:import_", "verify a bundle, or volumes in any order, and take over what is new")
    take.add_argument("folder", nargs="+", metavar="DIR", help="a bundle, a volume, or what they lie on")
    take.add_argument("--root", metavar="FILE", help="the registry's root file, if it isn't trusted yet")
    take.add_argument("--fingerprint", metavar="DIGEST", help="the fingerprint that root must have; asks no question")
    take.add_argument("--extras-folder", metavar="DIR", help="where extras go; default: extras in the data folder")
    take.add_argument("--install", action="store_true", help="install the best of it for this machine, too")
    take.add_argument("--allow-older", action="store_true", help="with --install: go back to an older release")


def _declare_engine(commands: _Commands) -> None:
    engine = commands.group("engine", "the embedded engine, which all programs of a user share")
    engine.add("status", "engine:status", "show what runs, who uses it, and which model is in memory")
    engine.add("stop", "engine:stop", "end it, whoever uses it; the next question starts a new one")
    engine.add("logs", "engine:logs", "show the last lines of its logs")
    ollama = commands.group("ollama", "the Ollama of this machine")
    ollama.add("status", "ollama:status", "show who runs it, how, where its models lie and what is loaded")
    ollama.add("start", "ollama:start", "start the one that is installed, and wait until it answers")
    ollama.add("stop", "ollama:stop", "end the one that this program started; never another one")
    gateway = commands.group("gateway", "an address on this machine where IDEs reach the embedded engine")
    start = gateway.add("start", "gateway:start", "open it; it stays open until it is stopped or you log out")
    start.add_argument("--renew-key", action="store_true", help="make a new key; IDEs need the new one from now on")
    gateway.add("stop", "gateway:stop", "close it")
    status = gateway.add("status", "gateway:status", "show whether it is open, and its address")
    for parser in (start, status):
        parser.add_argument("--show-key", action="store_true", help="print the key that IDEs must send")


def _declare_rest(commands: _Commands) -> None:
    settings = commands.group("settings", "see what is set, and by whom")
    settings.add("show", "settings:show", "list every setting, its value and where it comes from")
    commands.add("purge", "purge:purge", "list, then remove everything of ours on this machine")
    demo = commands.add(
        "demo",
        "demo:demo",
        "try the whole line with a small stand-in model and a throw-away registry",
        description="Publishes a small stand-in model (not a BBj model) into a throw-away signed registry on this\n"
        "machine, then does what a customer does: detect, recommend, download, verify, register, ask.\n"
        "Leaves nothing outside its own folder.",
    )
    demo.add_argument("--ollama", action="store_true", help="register with the Ollama that answers here")
    demo.add_argument("--model", metavar="GGUF", help="another GGUF than the packaged stand-in")
    demo.add_argument("--folder", metavar="DIR", help="where to work; default: a temporary folder, removed afterwards")
