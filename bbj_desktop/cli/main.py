"""From arguments to an exit code. Three kinds of ends: an error that is said to the user, a stop that isn't mentioned,
and a bug, which goes to the log."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bbj_desktop.cli.parser import build_parser, given_flags, wants_json
from bbj_desktop.core.errors import BBjDesktopError, Cancelled, WindowError

if TYPE_CHECKING:
    from bbj_desktop.cli.screen import Screen
    from bbj_desktop.cli.session import Session
    from bbj_desktop.core.settings import ResolvedSettings

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_BROKEN_PIPE = 141  # as a shell reports SIGPIPE
_UNLOGGED = frozenset({"purge", "demo"})  # the one removes the log, the other leaves nothing behind

WINDOW_LIBRARIES = (
    "sudo apt-get install -y libegl1 libgl1 libdbus-1-3 libfontconfig1 libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 "
    "libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xkb1"
)
"""Debian's and Ubuntu's packages that Qt's wheels expect."""


def run(argv: Sequence[str], *, policy: Path | None = None) -> int:
    """Runs one command.

    Args:
        argv: Without the program's name.
        policy: The policy file; None for the platform's.

    Returns:
        The exit code.
    """
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except BBjDesktopError as error:
        return _say(error, _screen(argparse.Namespace(json=wants_json(argv))), "")
    screen = _screen(arguments)
    try:
        return _start(arguments, screen, policy)
    except Cancelled:
        return Cancelled.exit_code
    except BBjDesktopError as error:
        return _say(error, screen, arguments.command)
    except BrokenPipeError:
        return _leave_pipe()
    except Exception as error:  # noqa: BLE001 - a bug before there was a log, or one of the window's
        return _crash(screen, arguments.command, error, None)


def _screen(arguments: argparse.Namespace) -> Screen:
    from bbj_desktop.cli.screen import Screen

    return Screen(as_json=getattr(arguments, "json", False), verbose=getattr(arguments, "verbose", False))


def _start(arguments: argparse.Namespace, screen: Screen, policy: Path | None) -> int:
    from bbj_desktop.services.configuration import load_settings

    settings = load_settings(given_flags(arguments), policy=policy)
    if not arguments.command:
        return _open_window(settings)
    from bbj_desktop.cli.interrupts import Interrupts
    from bbj_desktop.cli.session import Session

    session = Session(arguments, screen, Interrupts(), settings, policy)
    with session.interrupts.caught():
        return _run_logged(session)


def _run_logged(session: Session) -> int:
    import logging
    from contextlib import nullcontext

    from bbj_desktop.services.logs import logging_to

    log = logging.getLogger(__name__)
    unlogged = session.arguments.command in _UNLOGGED
    locked = session.settings.origin("log_level").locked
    level = "debug" if session.screen.verbose and not locked else session.settings.values.log_level
    with nullcontext(None) if unlogged else logging_to(session.paths.logs, level) as log_file:
        try:
            log.info("%s begins", session.arguments.command)
            return _run_command(session)
        except BBjDesktopError as error:
            log.info("%s ends: %s: %s", session.arguments.command, error.code, error.message)
            raise
        except BrokenPipeError:
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is logged and said in one line
            return _crash(session.screen, session.arguments.command, error, log_file)
        finally:
            session.close()


def _run_command(session: Session) -> int:
    module, function = session.arguments.run.split(":")
    from importlib import import_module

    outcome = getattr(import_module(f"bbj_desktop.cli.{module}"), function)(session)
    if session.screen.json:
        result = outcome.result.model_dump(mode="json")
        session.screen.document(session.arguments.command, one_line=outcome.one_line, result=result)
    else:
        outcome.show(session.screen)
    sys.stdout.flush()
    return int(outcome.exit_code)


def _open_window(settings: ResolvedSettings) -> int:
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("PySide6") is None:
        raise WindowError(
            "The window needs PySide6, which isn't installed.",
            hint='Type: pip install "bbj-desktop[ui]"    The command line works without it: bbj-desktop --help',
        )
    if _without_a_screen():
        raise WindowError(
            "There is no screen to open a window on.",
            hint="The command line works without one: bbj-desktop --help",
        )
    try:
        app = import_module("bbj_desktop.ui.app")
    except ImportError as error:
        if "bbj_desktop" in (error.name or ""):
            raise
        raise WindowError(
            f"The window can't open, because a system library is missing: {error}.", hint=f"Type: {WINDOW_LIBRARIES}"
        ) from error
    return int(app.main(settings=settings))


def _without_a_screen() -> bool:
    """On Linux Qt ends the whole process when it finds no display: said before that."""
    named = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))
    return sys.platform.startswith("linux") and not named


def _say(error: BBjDesktopError, screen: Screen, command: str) -> int:
    if screen.json:
        content = {"code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        screen.document(command, error=content)
    else:
        screen.message(error.message, "bold red")
        if error.hint:
            screen.message(error.hint)
    return error.exit_code


def _crash(screen: Screen, command: str, error: Exception, log_file: Path | None) -> int:
    import logging

    from bbj_desktop.services.logs import write_crash_report

    logging.getLogger(__name__).critical("a bug ended %s", command or "the window", exc_info=error)
    message = f"BBj Desktop failed unexpectedly ({type(error).__name__})."
    hint = f"The report is at the end of {log_file or write_crash_report(error)}."
    if screen.json:
        content = {"code": "Bug", "message": message, "hint": hint, "exit_code": EXIT_BUG}
        screen.document(command, error=content)
    else:
        screen.message(f"{message} {hint}", "bold red")
    return EXIT_BUG


def _leave_pipe() -> int:
    """The reader of a pipe went away: nothing more can be said, also not by the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EXIT_BROKEN_PIPE
