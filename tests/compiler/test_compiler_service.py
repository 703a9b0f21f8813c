"""Finding and running the compiler of a BBj installation."""

from __future__ import annotations

import sys
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from bbj_desktop.core.compiling import Verdict
from bbj_desktop.core.errors import Cancelled, SettingsError
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.compiler import Compiler, TypeCheck, find_compiler
from tests.fakes.compiler import bbj_installation, calls_of
from tests.fakes.permissions import closed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in compiler needs a system with #! lines")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return bbj_installation(tmp_path / "BBj für alle")


def assert_gone(home: Path) -> None:
    """What the compiler started ends with it; a process that nobody has waited for yet may still have its number."""
    child = int((home / "started").read_text())
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(child)
        if process.status() != psutil.STATUS_ZOMBIE:
            process.wait(10)


@pytest.fixture
def compiler(home: Path) -> Compiler:
    return Compiler(home / "bin" / "bbjcpl", "the test")


def test_bbj_home_leads_to_it(home: Path) -> None:
    found = find_compiler(None, {"BBJ_HOME": str(home)}, ())
    assert found is not None
    assert found.program == home / "bin" / "bbjcpl"
    assert found.origin == "BBJ_HOME"


def test_the_search_path_leads_to_it(home: Path) -> None:
    found = find_compiler(None, {"PATH": str(home / "bin")}, ())
    assert found is not None
    assert found.origin == "the search path"


def test_a_usual_folder_leads_to_it(home: Path) -> None:
    found = find_compiler(None, {"PATH": ""}, ("/nowhere", str(home)))
    assert found is not None
    assert found.origin == str(home)


@pytest.mark.parametrize("below", ["", "bin/bbjcpl"])
def test_the_setting_names_the_folder_or_the_program(below: str, home: Path) -> None:
    found = find_compiler(home / below, {}, ())
    assert found is not None
    assert found.program == home / "bin" / "bbjcpl"


def test_the_setting_comes_before_bbj_home(home: Path, tmp_path: Path) -> None:
    other = bbj_installation(tmp_path / "other")
    found = find_compiler(other, {"BBJ_HOME": str(home)}, ())
    assert found is not None
    assert found.program.is_relative_to(other)


def test_an_installation_that_may_not_be_looked_into_is_none(tmp_path: Path) -> None:
    home = tmp_path / "bbx"
    home.mkdir()
    with closed(home):
        assert find_compiler(None, {"BBJ_HOME": str(home)}, (str(home),)) is None
        with pytest.raises(SettingsError, match="neither bbjcpl nor the folder"):
            find_compiler(home / "bin", {}, ())


def test_a_setting_that_leads_nowhere_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="neither bbjcpl nor the folder"):
        find_compiler(tmp_path, {}, ())


@pytest.mark.parametrize("missing", ["cfg", "bin/bbj"])
def test_a_folder_that_only_resembles_an_installation_is_passed_over(missing: str, home: Path) -> None:
    path = home / missing
    path.rmdir() if path.is_dir() else path.unlink()
    assert find_compiler(None, {"BBJ_HOME": str(home), "PATH": ""}, ()) is None


def test_no_compiler_is_none() -> None:
    assert find_compiler(None, {"PATH": ""}, ()) is None


def test_right_code_compiles(compiler: Compiler) -> None:
    assert compiler.check('print "Grüße"').syntax.verdict is Verdict.COMPILES


def test_wrong_code_fails_with_its_lines(compiler: Compiler) -> None:
    report = compiler.check("print 1\nBAD print\n")
    assert report.syntax.verdict is Verdict.FAILS
    assert [(error.line, error.source) for error in report.syntax.errors] == [(2, "BAD print")]


def test_only_the_syntax_is_checked_unless_types_are_wanted(compiler: Compiler, home: Path) -> None:
    assert compiler.check("UNKNOWN_METHOD").types is None
    assert calls_of(home) == ["-N"]


def test_types_are_reported_beside_the_syntax(compiler: Compiler, home: Path) -> None:
    report = replace(compiler, types=TypeCheck()).check("UNKNOWN_METHOD")
    assert report.syntax.verdict is Verdict.COMPILES
    assert report.types is not None
    assert report.types.verdict is Verdict.FAILS
    assert calls_of(home) == ["-N", "-N -t"]


@pytest.mark.parametrize(
    ("types", "options"),
    [
        (TypeCheck((Path("/a"), Path("/b c"))), ["-t", '-P/a/ "/b c/"']),
        (TypeCheck((Path("/a"),), Path("/c.bbx"), "bbj default"), ["-t", "-c/c.bbx", "-CPbbj default"]),
        (TypeCheck(warnings=True), ["-t", "-W"]),
    ],
)
def test_options_are_written_as_the_compiler_reads_them(types: TypeCheck, options: list[str]) -> None:
    assert list(types.options()) == options


def test_types_of_code_that_does_not_compile_are_not_asked_for(compiler: Compiler, home: Path) -> None:
    assert replace(compiler, types=TypeCheck()).check("BAD").types is None
    assert calls_of(home) == ["-N"]


def test_a_notice_is_no_verdict(compiler: Compiler) -> None:
    assert compiler.check("LICENCE").syntax.verdict is Verdict.NOT_JUDGED


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(home: Path) -> None:
    judgement = Compiler(home / "bin" / "bbjcpl", "the test", timeout_s=1).check("HANG").syntax
    assert judgement.verdict is Verdict.NOT_JUDGED
    assert "time" in judgement.reason
    assert_gone(home)


def test_a_check_that_is_taken_back_leaves_no_process(home: Path, compiler: Compiler) -> None:
    cancel = Cancel()

    def take_back() -> None:
        while not (home / "started").exists() or not (home / "started").read_text():
            cancel.wait(0.01)
        cancel.cancel()

    other = threading.Thread(target=take_back)
    other.start()
    with pytest.raises(Cancelled):
        compiler.check("HANG", cancel)
    other.join()
    assert_gone(home)


def test_a_relative_setting_is_meant_from_here(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home.parent)
    found = find_compiler(Path(home.name), {}, ())
    assert found is not None
    assert found.check("print 1").syntax.verdict is Verdict.COMPILES


def test_a_compiler_that_crashes_gives_no_verdict(compiler: Compiler) -> None:
    assert compiler.check("CRASH").syntax.verdict is Verdict.NOT_JUDGED


def test_a_compiler_that_does_not_stop_talking_gives_no_verdict(compiler: Compiler) -> None:
    assert "talking" in compiler.check("TALK").syntax.reason


def test_a_compiler_that_cannot_be_started_gives_no_verdict(tmp_path: Path) -> None:
    program = tmp_path / "bbjcpl"
    program.write_text("not a program")
    assert "can't be started" in Compiler(program, "the test").check("print 1").syntax.reason
