"""What our layer costs: TTFT and tokens/s through the shared host, against the same engine asked directly.

    python benchmarks/engine.py [--rounds 20] [--tokens 48] [--model GGUF]

Both ways ask the same loaded engine the same question, in turns, so that whatever else the machine does hits both. The
direct way is one HTTP client that is kept and has the engine's key; ours is everything that ``chat`` does: borrow the
engine from the host, ask, read the events, give it back. Medians of the pairs, and the best of each way. Above 1 ours
was faster.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bbj_desktop.core.chat import ChatRequest, Delta, Finished, Message
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.runtime.embedded import EmbeddedRuntime, _body, engine_config
from bbj_desktop.services.runtime.embedded_host.client import find_or_start, stop
from bbj_desktop.services.runtime.embedded_host.host import HostOptions, config_to_json
from bbj_desktop.services.runtime.embedded_host.record import HostPlace
from bbj_desktop.services.runtime.engine import EngineProgram
from bbj_desktop.services.runtime.lending import SharedEngine
from tests.fakes.installed import installed
from tests.fakes.real_model import real_model


@dataclass(frozen=True)
class Run:
    """One answer, measured from outside.

    Attributes:
        ttft_s: From the request to the first piece.
        tokens_per_s: Pieces a second after the first.
    """

    ttft_s: float
    tokens_per_s: float


def measure() -> None:
    """Runs it and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--model", type=Path, default=real_model())
    arguments = parser.parse_args()
    version = installed(arguments.model, context_length=1024)
    with tempfile.TemporaryDirectory() as folder:
        options = HostOptions(f"{folder}/run", f"{folder}/state", 600, 600, "benchmark")
        place = HostPlace(Path(options.folder))
        runtime = EmbeddedRuntime(Path(options.state), threads=1, lender=SharedEngine(place, options))
        try:
            began = time.monotonic()
            _ours(runtime, version, "x", 1)
            cold_s = time.monotonic() - began
            ours, direct = _compare(runtime, place, options, version, arguments.rounds, arguments.tokens)
            runtime.close()
            second_s = _second_program(place, options, version)
        finally:
            runtime.close()
            stop(place, Cancel())
    _tell(ours, direct, arguments)
    print(f"first answer of one token, host and model started for it   {cold_s * 1000:8.1f} ms")
    print(f"the same from a second program, both there already         {second_s * 1000:8.1f} ms")


def _compare(
    runtime: EmbeddedRuntime,
    place: HostPlace,
    options: HostOptions,
    version: InstalledVersion,
    rounds: int,
    tokens: int,
) -> tuple[list[Run], list[Run]]:
    config = config_to_json(engine_config(version, EngineProgram(), 1))
    with find_or_start(place, options, Cancel()) as lease:
        said = lease.ask("borrow", config=config)
        ours: list[Run] = []
        direct: list[Run] = []
        headers = {"Authorization": f"Bearer {said['key']}"}
        address = str(said["address"])
        limits = httpx.Limits(max_keepalive_connections=0)  # the engine closes after a stream without saying so
        with httpx.Client(trust_env=False, timeout=600, headers=headers, base_url=address, limits=limits) as client:
            for number in range(2 * rounds):
                # a new question each time, so that no prompt is remembered; both ways get the same ones
                question = f"Write a long story about ship number {number // 2}."
                if number % 4 in (0, 3):
                    ours.append(_ours(runtime, version, question, tokens))
                else:
                    direct.append(_direct(client, version, question, tokens))
    return ours, direct


def _request(question: str, tokens: int) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=question),), max_tokens=tokens, seed=1)


def _ours(runtime: EmbeddedRuntime, version: InstalledVersion, question: str, tokens: int) -> Run:
    began, pieces = time.monotonic(), []
    for event in runtime.chat(version, _request(question, tokens), Cancel()):
        if isinstance(event, Delta):
            pieces.append(time.monotonic())
        elif isinstance(event, Finished):
            break
    return _run(began, pieces)


def _direct(client: httpx.Client, version: InstalledVersion, question: str, tokens: int) -> Run:
    body = _body(version, _request(question, tokens))
    began, pieces = time.monotonic(), []
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: {"):
                choices = json.loads(line.removeprefix("data: "))["choices"]
                if choices and choices[0]["delta"].get("content"):
                    pieces.append(time.monotonic())
    return _run(began, pieces)


def _run(began: float, pieces: list[float]) -> Run:
    assert pieces
    span = pieces[-1] - pieces[0]
    return Run(pieces[0] - began, (len(pieces) - 1) / span if span else 0.0)


def _second_program(place: HostPlace, options: HostOptions, version: InstalledVersion) -> float:
    runtime = EmbeddedRuntime(Path(options.state), threads=1, lender=SharedEngine(place, options))
    began = time.monotonic()
    _ours(runtime, version, "x", 1)
    runtime.close()
    return time.monotonic() - began


def _tell(ours: list[Run], direct: list[Run], arguments: argparse.Namespace) -> None:
    pairs = list(zip(ours, direct, strict=True))
    print(f"{arguments.rounds} questions each way, in turns, {arguments.tokens} tokens an answer, one thread")
    print("                                     ours    directly   ratio")
    for name, choose in (("median", statistics.median), ("best", min)):
        own, other = (choose(run.ttft_s for run in runs) * 1000 for runs in (ours, direct))
        ratio = other / own if choose is min else statistics.median(b.ttft_s / a.ttft_s for a, b in pairs)
        print(f"time to the first token, {name:<6} {own:8.1f} ms {other:8.1f} ms   {ratio:.3f}")
    for name, choose in (("median", statistics.median), ("best", max)):
        own, other = (choose(run.tokens_per_s for run in runs) for runs in (ours, direct))
        ratio = own / other if choose is max else statistics.median(a.tokens_per_s / b.tokens_per_s for a, b in pairs)
        print(f"tokens per second, {name:<6}       {own:8.1f}    {other:8.1f}      {ratio:.3f}")


if __name__ == "__main__":
    measure()
