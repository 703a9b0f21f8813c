"""Commands with a third word: ``data gate draw``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping


def add_actions(parser: argparse.ArgumentParser, actions: Mapping[str, str]) -> dict[str, argparse.ArgumentParser]:
    """Adds words to a command.

    Args:
        parser: The command's.
        actions: Words with their help.

    Returns:
        The parser of each word, for its arguments; ``arguments.word`` is the one that was given.
    """
    found: dict[str, argparse.ArgumentParser] = {}
    subparsers = parser.add_subparsers(dest="word", metavar="ACTION", title="actions", required=True)
    for word, text in actions.items():
        made = subparsers.add_parser(word, help=text, description=f"{text[:1].upper()}{text[1:]}.")
        made.add_argument(
            "--json", action="store_true", default=argparse.SUPPRESS, help="print the result as one JSON document"
        )
        found[word] = made
    return found
