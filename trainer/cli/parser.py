"""The grammar: which commands there are. The arguments of a command are declared by its own module."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

from bbj_desktop import __version__
from bbj_desktop.core.errors import UserInputError

PROGRAM = "bbj-trainer"

GROUPS: dict[str, tuple[str, dict[str, str]]] = {
    "data": (
        "training data: read, label, check, repair, review, split",
        {
            "show": "what is in the data, or one example as the model sees it",
            "label": "infer generation and type; confirm what was inferred",
            "check": "find what is wrong, with file, line and what to do",
            "fix": "repair what is safe, into a new version of the data",
            "convert": "write the examples in another format",
            "split": "decide which examples train and which are held out",
            "gate": "draw the fixed cases that every release is judged by; show them",
            "export": "write one side of a split, general examples mixed in",
            "contamination": "find evaluation prompts that the training side knows",
            "synthesize": "ask a model for instructions to real code, for review",
            "corpus": "pack BBj sources for continued pretraining; cut fill-in-the-middle examples",
            "review": "list, accept and reject what models wrote and the field reported",
        },
    ),
}
"""Groups with their help, and their actions with theirs. ``data show`` is ``trainer/cli/data_show.py``."""

_EPILOG = """\
COMMAND ACTION --help tells more. Exit codes: 0 done, 1 something was found that must be looked at, 2 wrong input, 3 not
found, 4 no connection, 6 unreadable, 7 can't be written, 70 a bug, 130 stopped."""
_INVALID_CHOICE = re.compile(
    r"argument (?:COMMAND|ACTION): invalid choice: '(?P<given>[^']*)' \(choose from (?P<known>.*)\)"
)


class Parser(argparse.ArgumentParser):
    """Raises UserInputError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        hint = f"{self.prog} --help shows how."
        if match := _INVALID_CHOICE.match(message):
            message = f"there is no command {match['given']!r}"
            near = difflib.get_close_matches(match["given"], re.findall(r"[\w-]+", match["known"]), n=1)
            hint = f"Did you mean {self.prog} {near[0]}?" if near else hint
        raise UserInputError(f"{message[:1].upper()}{message[1:].rstrip('.')}.", hint=hint)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Reads the command line; ``module`` of the result names the module that runs it.

    Raises:
        UserInputError: It isn't understood.
    """
    return build_parser(tuple(word for word in argv if not word.startswith("-"))[:2]).parse_args(argv)


def build_parser(chosen: tuple[str, ...]) -> argparse.ArgumentParser:
    """The grammar, with the arguments of the chosen command only: the other commands' modules aren't imported.

    Args:
        chosen: Group and action, as far as they are given.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Turns BBj examples into a model: the makers' side of BBj Desktop.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_common(parser)
    groups = parser.add_subparsers(metavar="COMMAND", title="commands", required=True)
    for group, (help_text, actions) in GROUPS.items():
        inner = groups.add_parser(group, help=help_text, description=_sentence(help_text))
        subparsers = inner.add_subparsers(metavar="ACTION", title="actions", required=True)
        for action, text in actions.items():
            _add_action(subparsers, group, action, text, import_it=chosen == (group, action))
    return parser


def _add_action(subparsers: Any, group: str, action: str, text: str, *, import_it: bool) -> None:
    parser = subparsers.add_parser(
        action, help=text, description=_sentence(text), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module = f"trainer.cli.{group}_{action}".replace("-", "_")
    parser.set_defaults(module=module, command=f"{group} {action}")
    _add_common(parser)
    if import_it:
        import_module(module).declare(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", default=argparse.SUPPRESS, help="print the result as one JSON document"
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
