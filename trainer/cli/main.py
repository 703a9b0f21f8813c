"""From arguments to an exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from bbj_desktop.core.errors import BBjDesktopError, Cancelled
from trainer.cli.parser import parse
from trainer.cli.screen import Outcome, Screen

EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_BROKEN_PIPE = 141  # as a shell reports SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    screen, command = Screen(as_json="--json" in given), ""
    try:
        arguments = parse(given)
        command = arguments.command
        return _run(arguments, screen)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except (Cancelled, KeyboardInterrupt):
        return Cancelled.exit_code
    except BBjDesktopError as error:
        return _say(error, screen, command)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may the interpreter's last flush fail
        return EXIT_BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug is kept in a report and said in one line
        return _crash(error, screen, command)


def _run(arguments: argparse.Namespace, screen: Screen) -> int:
    outcome: Outcome = import_module(arguments.module).run(arguments, screen)
    if screen.json:
        screen.document(arguments.command, result=outcome.result.model_dump(mode="json"))
    else:
        outcome.show(screen)
    sys.stdout.flush()
    return outcome.exit_code


def _say(error: BBjDesktopError, screen: Screen, command: str) -> int:
    if screen.json:
        content = {"code": error.code, "message": error.message, "hint": error.hint, "exit_code": error.exit_code}
        screen.document(command, error=content)
    else:
        screen.message(error.message)
        if error.hint:
            screen.message(error.hint)
    return error.exit_code


def _crash(error: Exception, screen: Screen, command: str) -> int:
    from bbj_desktop.services.logs import write_crash_report

    message = f"bbj-trainer failed unexpectedly ({type(error).__name__})."
    hint = f"The report is in {write_crash_report(error)}."
    if screen.json:
        screen.document(command, error={"code": "Bug", "message": message, "hint": hint, "exit_code": EXIT_BUG})
    else:
        screen.message(f"{message} {hint}")
    return EXIT_BUG
