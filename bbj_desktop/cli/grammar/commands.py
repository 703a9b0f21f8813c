"""What the declarations of commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

SETTING = "setting_"
"""Begins the names under which parsed arguments keep settings."""


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Leaves the settings out of the usage line: each has a line of its own below."""

    def add_usage(self, usage: str | None, actions: Any, groups: Any, prefix: str | None = None) -> None:
        shown = [action for action in actions if not action.dest.startswith(SETTING)]
        super().add_usage(usage, shown, groups, prefix)


class Commands:
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
            formatter_class=Formatter,
        )
        parser.set_defaults(run=run, command=f"{self._prefix}{name}")
        return parser

    def group(self, name: str, help_text: str) -> Commands:
        parser: argparse.ArgumentParser = self._subparsers.add_parser(name, help=help_text, description=help_text)
        return Commands(subparsers(parser, "ACTION", required=True), self._common, f"{self._prefix}{name} ")


def subparsers(parser: argparse.ArgumentParser, metavar: str, *, required: bool) -> Any:
    title = "commands" if metavar == "COMMAND" else "actions"
    return parser.add_subparsers(metavar=metavar, title=title, required=required)


def number(kind: type[int | float], least: int, greatest: int) -> Callable[[str], float]:
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


def add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--role", choices=("chat", "fim"), help="only for chat, or only for tab completion (fim)")
    parser.add_argument("--size", metavar="SIZE", help="only this size, e.g. 7b")
    parser.add_argument("--quantisation", metavar="NAME", help="only this quantisation, e.g. Q4_K_M")


def add_keys(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument("--keys", required=required, metavar="DIR", help="the folder of the keys; keep it offline")
    parser.add_argument(
        "--passphrase-file",
        metavar="FILE",
        help="holds the keys' passphrase; default: asks, or reads BBJ_DESKTOP_PASSPHRASE",
    )


def add_clock(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--clock-is-right",
        action="store_true",
        help="sign though the registry's last signature is long ago, or ahead: somebody checked this clock",
    )
