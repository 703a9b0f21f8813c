"""Ctrl-C on a real process: what was fetched stays, the next run goes on, and a chat goes on too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import PROGRAM, Call
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import Publication
from tests.fakes.release_server import Fault, ReleaseServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")

SLOW_BYTES_PER_S = 8_000_000


@pytest.fixture
def large(publication: Publication) -> Publication:
    """With a release of several chunks."""
    publication.publish("2026.2", hidden=3072, seed=2)
    return publication


@pytest.fixture
def server(large: Publication) -> Iterator[ReleaseServer]:
    with ReleaseServer(large.folder) as served:
        yield served


@pytest.fixture
def remote(call: Call, server: ReleaseServer, identity: str, ollama: FakeOllama) -> Call:
    """A customer of the registry on that server, with an Ollama."""
    assert ollama.models == {}
    assert call("registry", "add", server.address, "--fingerprint", identity).code == 0
    return call


@contextmanager
def started(*arguments: str, stdin: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """The program in a process of its own, which doesn't outlive the test."""
    command = [*PROGRAM, *arguments]
    with subprocess.Popen(command, text=True, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def total(server: ReleaseServer) -> int:
    """Bytes that were sent."""
    return sum(request.sent_bytes for request in server.requests)


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_an_interrupted_install_is_resumed_by_the_next_run(remote: Call, server: ReleaseServer, data: Path) -> None:
    server.always = Fault(rate_bytes_per_s=SLOW_BYTES_PER_S)
    with started("install", "7b") as process:
        wait_until(lambda: total(server) > 14_000_000)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    server.always = None
    result = remote("install", "7b", "--json").result
    plan, installed = result["plans"][0], result["installed"][0]
    assert plan["here_bytes"] > 0
    assert installed["fetched_bytes"] < plan["candidate"]["download_bytes"]
    assert installed["version"]["active"]
    assert list(data.rglob("*.part*")) == []


def test_an_interrupt_ends_a_stalled_transfer_at_once(remote: Call, server: ReleaseServer) -> None:
    assert remote("versions").code == 0
    before = total(server)
    server.always = Fault(stall_after=100)
    with started("install", "7b") as process:
        wait_until(lambda: total(server) >= before + 100)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)  # far below the 30 s after which a connection counts as stalled
    assert process.returncode == 130


def test_a_second_interrupt_ends_even_a_job_that_does_not_obey() -> None:
    job = "from bbj_desktop.cli.interrupts import Interrupts\nimport time\n"
    job += "with Interrupts().caught():\n print('ready', flush=True)\n time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", job], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.3)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130


def test_sigterm_stops_like_an_interrupt(remote: Call, server: ReleaseServer) -> None:
    server.always = Fault(rate_bytes_per_s=SLOW_BYTES_PER_S)
    with started("install", "7b") as process:
        wait_until(lambda: total(server) > 1_000_000)
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert remote("versions", "--json").result["versions"] == []


def test_an_interrupt_stops_the_answer_and_stays_in_the_chat(customer: Call, ollama: FakeOllama) -> None:
    assert customer("install", "7b-q4_0").code == 0
    ollama.answer, ollama.piece_s = ["word "] * 400, 0.05
    with started("chat", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("Tell me everything\n")
        process.stdin.flush()
        assert process.stdout.read(5) == "word "
        process.send_signal(signal.SIGINT)
        ollama.answer, ollama.piece_s = ["Yes."], 0
        out, err = process.communicate("Still there?\n", timeout=20)
    assert process.returncode == 0, err
    assert out.endswith("Yes.\n")
    assert "stopped" in err
    assert err.count("TTFT") == 2


def test_an_interrupted_question_ends_with_130(customer: Call, ollama: FakeOllama) -> None:
    assert customer("install", "7b-q4_0").code == 0
    ollama.answer, ollama.piece_s = ["word "] * 400, 0.05
    with started("ask", "Tell me everything") as process:
        assert process.stdout is not None
        assert process.stdout.read(5) == "word "
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130


def test_a_reader_that_goes_away_is_no_bug(call: Call) -> None:
    assert call("settings", "show").code == 0
    with started("settings", "show", "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=20) == 141
