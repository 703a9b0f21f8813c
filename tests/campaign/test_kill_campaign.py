"""A few kills of each operation; ``scripts/kill_campaign.py`` makes all of them.

In processes of their own: what forks must have no threads.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.operations import OPERATIONS

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROOT = Path(__file__).parents[2]
CARELESS = """
import sys, tempfile
from contextlib import closing
from pathlib import Path
from tests.campaign import campaign, operations
from tests.campaign.world import FIRST, customer_at

def careless(place):
    with closing(customer_at(place)) as context:
        file = context.open_store().get(FIRST).path
        file.rename(file.with_name("aside"))
        file.with_name("aside").rename(file)

kept = operations.OPERATIONS["update"].kept
operations.OPERATIONS.clear()
operations.OPERATIONS["careless"] = operations.Operation("installed", careless, kept, lambda world: None)
with tempfile.TemporaryDirectory() as below, campaign.campaign(Path(below)) as ready:
    campaign.execute(ready, ready.every_step(), print)
    print(*ready.figures["careless"].failures, sep="\\n")
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=110
    )


def test_kills_lose_nothing_and_the_next_runs_end() -> None:
    ended = run("scripts/kill_campaign.py", "--every", "40", "--seed", "3")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    table = {line[:15].strip(): line[15:].split() for line in ended.stdout.splitlines()}
    for name in OPERATIONS:
        assert table[name][-1] == "0"
    assert sum(int(table[name][2]) for name in OPERATIONS) >= 10


def test_an_operation_that_can_lose_a_version_is_found_out() -> None:
    said = run("-c", CARELESS).stdout
    assert "careless, killed before step 2" in said
    assert "careless, killed before step 1" not in said
