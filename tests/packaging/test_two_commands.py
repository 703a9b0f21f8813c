"""The README's first two sh blocks: one line each, and what CI calls."""

from __future__ import annotations

import re
from importlib.metadata import entry_points

from scripts.bootstrap import ROOT


def sh_blocks() -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def ci_variable(name: str) -> str:
    found = re.search(rf"^{name}='(.*)'$", (ROOT / ".ci/run").read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_first_block_is_the_main_job_that_ci_runs() -> None:
    assert sh_blocks()[0] == ci_variable("DEMO") + "\n"


def test_the_second_block_is_the_test_command_that_ci_runs() -> None:
    assert sh_blocks()[1] == ci_variable("TESTS") + "\n"


def test_both_name_scripts_that_are_there() -> None:
    for block in sh_blocks()[:2]:
        python, script = block.split()
        assert python == "python3"
        assert (ROOT / script).is_file()


def test_the_command_leads_to_a_function() -> None:
    (command,) = entry_points(group="console_scripts", name="bbj-desktop")
    assert callable(command.load())
