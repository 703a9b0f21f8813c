"""``complete``."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from bbj_desktop.actions.completing import Completion, open_completion
from bbj_desktop.actions.connected import connected_versions
from bbj_desktop.actions.versions import list_versions
from bbj_desktop.cli.describe import statistics_line
from bbj_desktop.cli.naming import find_installed
from bbj_desktop.cli.ollama import offer_ollama
from bbj_desktop.cli.results.answers import CompleteResult
from bbj_desktop.cli.screen import Screen
from bbj_desktop.cli.session import Outcome, Session
from bbj_desktop.core.chat import ChatEvent, Delta, Finished, Statistics
from bbj_desktop.core.errors import Cancelled, EngineCrashedError, UserInputError
from bbj_desktop.core.fim import Gap

_MAX_BYTES = 32 * 2**20  # of a source file; more is no source file


def complete(session: Session) -> Outcome:
    """What belongs at the cursor. It alone goes to stdout, as it comes; its figures go to stderr."""
    arguments = session.arguments
    prefix, suffix = _around(session)
    completion = _open(session)
    around = completion.around(prefix, suffix, arguments.max_tokens)
    _say_left_out(session.screen, around)
    pieces: list[str] = []
    cancel = session.interrupts.cancel
    statistics = session.wait_for(
        lambda: _write(
            session.screen,
            completion.fill(
                around,
                cancel,
                seed=arguments.seed,
                max_tokens=arguments.max_tokens,
                temperature=arguments.temperature,
            ),
            pieces,
        )
    )
    if statistics.stop_reason == "cancelled":
        raise Cancelled
    if not session.screen.json:
        session.screen.write("\n")
        session.screen.message(statistics_line(statistics), "dim")
    result = CompleteResult(
        version=completion.version.key,
        runtime=completion.runtime.name,
        completion="".join(pieces),
        prompt_tokens=around.prompt_tokens,
        tokens_counted=completion.counter.tokenizer is not None,
        left_out_before=around.left_out_before,
        left_out_behind=around.left_out_behind,
        statistics=statistics,
    )
    return Outcome(result, lambda _screen: None)


def _open(session: Session) -> Completion:
    text = session.arguments.model
    here = (*list_versions(session.context), *connected_versions(session.context)) if text else ()
    key = find_installed(here, text).key if text else None
    offer_ollama(session)
    return open_completion(session.context, key)


def _write(screen: Screen, events: Iterator[ChatEvent], pieces: list[str]) -> Statistics:
    statistics: Statistics | None = None
    for event in events:
        if isinstance(event, Delta):
            pieces.append(event.text)
            if not screen.json:
                screen.write(event.text)
        elif isinstance(event, Finished):
            statistics = event.statistics
    if statistics is None:
        raise EngineCrashedError("The engine ended in the middle of its answer.", hint="Try again.")
    return statistics


def _say_left_out(screen: Screen, around: Gap) -> None:
    places = (("at its beginning", around.left_out_before), ("at its end", around.left_out_behind))
    said = [f"{characters:,} characters {where}" for where, characters in places if characters]
    if said:
        screen.message(f"The file is longer than the context: left out are {' and '.join(said)}.", "yellow")


def _around(session: Session) -> tuple[str, str]:
    """Prefix and suffix, from their files or from one text with a mark at the cursor."""
    arguments: Namespace = session.arguments
    if arguments.prefix_file is None and arguments.suffix_file is None:
        with session.interrupts.asking():
            text = sys.stdin.read(_MAX_BYTES)
        prefix, mark, suffix = text.partition(arguments.cursor)
        if not mark or arguments.cursor in suffix:
            raise UserInputError(
                f"The text must have one {arguments.cursor}, where the cursor is.",
                hint="Or name the parts: --prefix-file FILE --suffix-file FILE",
            )
        return prefix, suffix
    return _read(arguments.prefix_file), _read(arguments.suffix_file)


def _read(name: str | None) -> str:
    """BBj sources are of any encoding; a byte that isn't UTF-8 stands for itself in Latin-1."""
    if name is None:
        return ""
    path = Path(name)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UserInputError(f"{path} can't be read: {error.strerror or error}.") from error
    if len(content) > _MAX_BYTES:
        raise UserInputError(f"{path} has more than {_MAX_BYTES >> 20} MiB: that is no source file.")
    if content.startswith(b"<<bbj>>"):
        raise UserInputError(f"{path} is a tokenised BBj program.", hint="Give the source that it was made from.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")
