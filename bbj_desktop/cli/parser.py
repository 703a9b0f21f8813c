"""The command line's grammar. Imports nothing but the standard library and the table of settings, so that ``--help`` is
there at once; each command names the function that does it, which is imported when it runs."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import NoReturn

from bbj_desktop import __version__
from bbj_desktop.cli.grammar.carrying import declare_bundle, declare_extras
from bbj_desktop.cli.grammar.commands import SETTING, Commands, Formatter, subparsers
from bbj_desktop.cli.grammar.conversation import declare_conversation, declare_editors
from bbj_desktop.cli.grammar.models import declare_machine, declare_versions
from bbj_desktop.cli.grammar.programs import declare_engine, declare_rest
from bbj_desktop.cli.grammar.registry import declare_registry
from bbj_desktop.core.errors import UserInputError
from bbj_desktop.core.settings import SETTINGS

PROGRAM = "bbj-desktop"
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
update available, 21 volumes missing, 22 as named by Ollama, 70 a bug, 130 stopped."""


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


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar."""
    parser = Parser(
        prog=PROGRAM,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=Formatter,
        allow_abbrev=False,  # else demo --ollama is one too short of --ollama-host, --ollama-profile …
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.set_defaults(run="", command="")
    common = argparse.ArgumentParser(add_help=False)
    commands = Commands(subparsers(parser, "COMMAND", required=False), common)
    for each in (common, parser):
        _add_common_options(each)
    declare_machine(commands)
    declare_versions(commands)
    declare_conversation(commands)
    declare_editors(commands)
    declare_registry(commands)
    declare_bundle(commands)
    declare_extras(commands)
    declare_engine(commands)
    declare_rest(commands)
    return parser


def given_flags(arguments: argparse.Namespace) -> dict[str, str]:
    """The settings that the command line gives, as text, by their names."""
    return {name: text for name in SETTINGS if (text := getattr(arguments, SETTING + name, None)) is not None}


def wants_json(argv: Sequence[str]) -> bool:
    """Whether the answer must be JSON, known even when the rest can't be parsed."""
    return "--json" in argv


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
        settings.add_argument(setting.flag, dest=SETTING + setting.name, metavar=metavar, help=setting.help)
