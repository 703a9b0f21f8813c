"""What a command has at hand: its arguments, the screen, the settings, and a way to run jobs that Ctrl-C stops."""

from __future__ import annotations

import getpass
import os
import sys
from argparse import Namespace
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from bbj_desktop.actions.paths import Paths, paths_for
from bbj_desktop.cli.interrupts import Interrupts
from bbj_desktop.cli.screen import Screen
from bbj_desktop.core.errors import Cancelled, NotFoundError, UserInputError
from bbj_desktop.core.progress import Cancel, Event, Remark, Report, silent
from bbj_desktop.core.settings import ResolvedSettings

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bbj_desktop.actions.context import Context

Result = TypeVar("Result")

POLL_S = 0.2  # seconds; on Windows a waiting main thread sees Ctrl-C only between two waits


@dataclass(frozen=True)
class Outcome:
    """What a command found or did.

    Attributes:
        result: For ``--json``.
        show: Prints it for a person.
        exit_code: 0 unless the command documents another.
        one_line: With ``--json`` the result is the last of several lines.
    """

    result: BaseModel
    show: Callable[[Screen], None]
    exit_code: int = 0
    one_line: bool = False


@dataclass
class Session:
    """One call of the command line.

    Attributes:
        arguments: As parsed.
        settings: With the flags of this call.
        policy: Another policy file than the platform's; None for that.
        remarks: What jobs said beside their progress, e.g. which mirror was set aside and why; each once.
    """

    arguments: Namespace
    screen: Screen
    interrupts: Interrupts
    settings: ResolvedSettings
    policy: Path | None = None
    remarks: list[str] = field(default_factory=list)

    @cached_property
    def paths(self) -> Paths:
        return paths_for(self.settings)

    @cached_property
    def context(self) -> Context:
        from bbj_desktop.actions.context import Context

        return Context(settings=self.settings, paths=self.paths)

    def work(self, job: Callable[[Report, Cancel], Result]) -> Result:
        """Runs a job on a worker thread, shows its progress, and lets Ctrl-C stop it."""
        with self.screen.progress() as report:
            remembering = self._remembering(report)
            return self.wait_for(lambda: job(remembering, self.interrupts.cancel))

    def _remembering(self, report: Report) -> Report:
        """Keeps the remarks; what an earlier job of this command said isn't said again."""
        before = frozenset(self.remarks)

        def remembering(event: Event) -> None:
            if isinstance(event, Remark):
                if event.text in before:
                    return
                if event.text not in self.remarks:
                    self.remarks.append(event.text)
            report(event)

        return remembering

    def work_silently(self, job: Callable[[Report, Cancel], Result]) -> Result:
        """The same without progress, for jobs that print themselves."""
        return self.wait_for(lambda: job(silent, self.interrupts.cancel))

    @staticmethod
    def wait_for(job: Callable[[], Result]) -> Result:
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="job") as pool:
            future = pool.submit(job)
            while not wait([future], timeout=POLL_S).done:
                pass
            return future.result()

    def confirm(self, question: str) -> None:
        """Asks before something that can't be taken back.

        Raises:
            Cancelled: The answer was no.
            UserInputError: There is nobody to ask.
        """
        if self.yes:
            return
        if not self.interactive:
            raise UserInputError("This asks for confirmation, and there is nobody to answer.", hint="Add --yes.")
        if self.ask(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
            raise Cancelled

    def confirm_if_interactive(self, question: str) -> None:
        """Asks only a person at a terminal, before something that a script plainly asked for."""
        if self.yes or not self.interactive:
            return
        if self.ask(f"{question} [Y/n] ").strip().lower() not in ("", "y", "yes"):
            raise Cancelled

    def ask(self, prompt: str) -> str:
        """A line of input; the prompt goes to stderr. Raises Cancelled on Ctrl-C and at the end of input."""
        with self.interrupts.asking():
            if sys.stdin.isatty() and sys.stdout.isatty():
                return _edited_line(prompt)
            sys.stderr.write(prompt)
            sys.stderr.flush()
            line = sys.stdin.readline()
        if not line:
            raise Cancelled
        return line.rstrip("\r\n")

    def passphrase(self) -> str:
        """The passphrase of a registry's keys: from ``--passphrase-file``, ``BBJ_DESKTOP_PASSPHRASE``, or asked for.

        Raises:
            NotFoundError: The file can't be read.
            UserInputError: There is nobody to ask.
        """
        file = self.arguments.passphrase_file
        if file is not None:
            try:
                return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise NotFoundError(f"The passphrase file {file} can't be read: {error}.") from error
        given = os.environ.get("BBJ_DESKTOP_PASSPHRASE")
        if given:
            return given
        if not self.interactive:
            raise UserInputError("The keys' passphrase is missing.", hint="Add --passphrase-file FILE.")
        with self.interrupts.asking():
            return getpass.getpass("Passphrase of the keys: ")

    def new_passphrase(self) -> str:
        """The passphrase of keys that are about to be made: asked for twice, as a slip would lock them for good.

        Raises:
            NotFoundError: The file can't be read.
            UserInputError: There is nobody to ask, or the second isn't the first.
        """
        first = self.passphrase()
        if self.arguments.passphrase_file is None and not os.environ.get("BBJ_DESKTOP_PASSPHRASE"):
            with self.interrupts.asking():
                again = getpass.getpass("The same once more: ")
            if again != first:
                raise UserInputError("These were two passphrases; no key was made.", hint="Type the command again.")
        return first

    @property
    def yes(self) -> bool:
        return getattr(self.arguments, "yes", False)

    @property
    def interactive(self) -> bool:
        """A person sits at a terminal."""
        return sys.stdin.isatty() and sys.stderr.isatty()

    def close(self) -> None:
        """Ends what the context started."""
        if "context" in self.__dict__:
            self.context.close()


def _edited_line(prompt: str) -> str:
    """A line with editing and history, where the system's Python has them."""
    with suppress(ImportError):
        import readline  # noqa: F401 - importing it is what makes input() use it
    try:
        return input(prompt)
    except EOFError:
        raise Cancelled from None
