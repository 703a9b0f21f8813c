"""``bbjcpl``, the compiler of a BBj installation: where it is, and what it says of a piece of code."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.compiling import CompileReport, Judgement, Verdict, interpret, not_judged
from bbj_desktop.core.errors import SettingsError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.processes import run_limited

TIMEOUT_S = 20.0  # seconds a run may take; a Java program starts first
_PROGRAM = "bbjcpl.exe" if sys.platform == "win32" else "bbjcpl"
_MARKS = ("bin/bbj.exe" if sys.platform == "win32" else "bin/bbj", "cfg")  # what else a BBj installation has

# Where its installer puts it unless told otherwise. Windows and macOS: never run so far.
_USUAL = (
    "/usr/local/bbj",
    "/usr/local/basis",
    "/opt/bbj",
    "/opt/basis",
    "/Applications/bbj",
    "C:/bbj",
    "C:/basis",
    "C:/Program Files/bbj",
)


@dataclass(frozen=True, slots=True)
class TypeCheck:
    """How types are checked, beside the syntax.

    Attributes:
        prefixes: Folders in which programs and classes are looked for.
        configuration: A BBj configuration file, whose prefixes and USE lines count instead.
        class_path: Name of a Java class path of the installation.
        warnings: Warnings are wanted, too.
    """

    prefixes: tuple[Path, ...] = ()
    configuration: Path | None = None
    class_path: str = ""
    warnings: bool = False

    def options(self) -> Iterator[str]:
        """As the compiler's documentation has them: a value follows its letters at once, and -P takes one BBj PREFIX.

        https://documentation.basis.cloud/BASISHelp/WebHelp/util/bbjcpl_bbj_compiler.htm
        """
        yield "-t"
        if self.configuration:
            yield f"-c{self.configuration}"
        elif self.prefixes:
            yield "-P" + " ".join(_prefix(folder) for folder in self.prefixes)
        if self.class_path:
            yield f"-CP{self.class_path}"
        if self.warnings:
            yield "-W"


def _prefix(folder: Path) -> str:
    """An entry of a BBj PREFIX: the name of what is looked for is put right behind it."""
    text = folder.as_posix().rstrip("/") + "/"
    return f'"{text}"' if " " in text else text


@dataclass(frozen=True, slots=True)
class Compiler:
    """A compiler that was found.

    Attributes:
        origin: What led to it: a setting, ``BBJ_HOME``, the search path or a usual folder.
        timeout_s: Seconds that a run may take.
        types: How types are checked; None: they aren't.
    """

    program: Path
    origin: str
    timeout_s: float = TIMEOUT_S
    types: TypeCheck | None = None

    def check(self, code: str, cancel: Cancel | None = None) -> CompileReport:
        """Asks for the syntax and, where that is right and it is wanted, for the types.

        Args:
            code: A whole program or a class file.

        Raises:
            Cancelled: On request.
        """
        with tempfile.TemporaryDirectory(prefix="bbj-check-") as folder:
            source = Path(folder, "answer.bbj")
            source.write_text(code if code.endswith("\n") else code + "\n", encoding="utf-8", newline="\n")
            syntax = self._run(source, (), cancel)
            if syntax.verdict is not Verdict.COMPILES or self.types is None:
                return CompileReport(syntax=syntax)
            return CompileReport(syntax=syntax, types=self._run(source, tuple(self.types.options()), cancel))

    def _run(self, source: Path, options: Sequence[str], cancel: Cancel | None) -> Judgement:
        """One run. ``-N`` writes no output file."""
        command = [str(self.program), "-N", *options, str(source)]
        try:
            ended = run_limited(command, timeout_s=self.timeout_s, listen="stderr", folder=source.parent, cancel=cancel)
        except OSError as error:
            return not_judged(f"{self.program} can't be started: {error.strerror or error}.")
        if ended.endless:
            return not_judged("The compiler didn't stop talking.")
        return interpret(ended.output.decode("utf-8", errors="replace"), ended.status)


def find_compiler(
    setting: Path | None = None, environment: Mapping[str, str] = os.environ, usual: Sequence[str] = _USUAL
) -> Compiler | None:
    """Looks where the user says, then at ``BBJ_HOME``, the search path and the usual folders.

    Args:
        setting: The program, or the folder of a BBj installation.
        usual: Folders to look into at last.

    Returns:
        None when there is none.

    Raises:
        SettingsError: ``setting`` is neither.
    """
    if setting is not None:
        return _as_told(setting.absolute())
    if home := environment.get("BBJ_HOME"):
        found = _in_installation(Path(home).absolute())
        if found:
            return Compiler(found, "BBJ_HOME")
    if on_path := shutil.which("bbjcpl", path=environment.get("PATH", "")):
        return Compiler(Path(on_path).absolute(), "the search path")
    for folder in usual:
        if found := _in_installation(Path(folder)):
            return Compiler(found, folder)
    return None


def _as_told(place: Path) -> Compiler:
    program = place if os.access(place, os.X_OK) and place.is_file() else _in_installation(place)
    if program is None:
        raise SettingsError(
            f"{place} is neither bbjcpl nor the folder of a BBj installation.",
            hint="Set compiler to the folder that has bin/bbjcpl, bin/bbj and cfg in it.",
        )
    return Compiler(program, "the settings")


def _in_installation(home: Path) -> Path | None:
    program = home / "bin" / _PROGRAM
    complete = all(os.access(home / mark, os.F_OK) for mark in _MARKS)  # exists() raises in a closed folder
    return program if complete and os.access(program, os.X_OK) else None
