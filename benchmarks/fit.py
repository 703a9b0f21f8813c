"""Compares the memory estimate with what llama.cpp reports, for real models.

    python benchmarks/fit.py MODEL.gguf … [--contexts 2048,4096,8192] [--library-python PYTHON]

Each model is really loaded on the CPU by the embedded engine, in a child process, at each context length; what
llama.cpp prints is set against two predictions: from the architecture numbers alone, and from a recorded table of the
shortest and the longest context (those between are predicted). With ``--library-python``, an interpreter that has
llama-cpp-python, the library's defaults are measured too. The process overhead is no part of what llama.cpp reports,
so it is left out on both sides. GPUs, and splits between a GPU and main memory, are **unmeasured**.

Bounds: total within 10 %, weights and KV within 1 %, compute within 25 % or 32 MiB. Exit code 1 when one is missed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.fit import Graph, cpu_need
from bbj_desktop.core.gguf import architecture_of, read_header
from bbj_desktop.core.release import FileReference, FitRow, Variant
from bbj_desktop.services.runtime.fit_table import Reported, measure_load, parse_load, record_fit_table

MIB = 2**20

LIBRARY_CHILD = """
import sys
import llama_cpp
llama_cpp.Llama(sys.argv[1], n_ctx=int(sys.argv[2]), verbose=True).close()
"""


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison, in bytes: weights, KV cache, compute."""

    model: str
    engine: str
    context: int
    basis: str
    predicted: tuple[int, int, int]
    reported: tuple[int, int, int]

    @property
    def errors(self) -> tuple[float, ...]:
        """Relative errors of the three parts and of the total."""
        pairs = [*zip(self.predicted, self.reported, strict=True), (sum(self.predicted), sum(self.reported))]
        return tuple((first - second) / second for first, second in pairs)

    @property
    def holds(self) -> bool:
        weights, kv, compute, total = (abs(error) for error in self.errors)
        near = abs(self.predicted[2] - self.reported[2]) <= 32 * MIB
        return weights <= 0.01 and kv <= 0.01 and (compute <= 0.25 or near) and total <= 0.10

    def __str__(self) -> str:
        parts = "  ".join(
            f"{first / MIB:8.1f} {second / MIB:8.1f} {error:+6.1%}"
            for first, second, error in zip(
                (*self.predicted, sum(self.predicted)),
                (*self.reported, sum(self.reported)),
                self.errors,
                strict=True,
            )
        )
        verdict = "ok" if self.holds else "MISSED"
        return f"{self.model[:28]:28} {self.engine:7} {self.context:6} {self.basis:8} {parts}  {verdict}"


def compare(path: Path, contexts: Sequence[int], library_python: str | None) -> Iterator[Line]:
    table = record_fit_table(path, [min(contexts), max(contexts)])
    for context in contexts:
        reported = measure_load(path, context)
        yield _line(path, Graph.SERVER, context, (), reported)
        yield _line(path, Graph.SERVER, context, table, reported)
        if library_python is not None:
            yield _line(path, Graph.LIBRARY, context, (), measure_library(library_python, path, context))


def measure_library(python: str, path: Path, context: int) -> Reported:
    """Loads a model with llama-cpp-python and its defaults."""
    command = [python, "-c", LIBRARY_CHILD, str(path), str(context)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=300, check=True)
    return parse_load(done.stderr.splitlines())


def _line(path: Path, graph: Graph, context: int, table: tuple[FitRow, ...], reported: Reported) -> Line:
    need, measured = cpu_need(_variant(path, table), context, graph=graph)
    return Line(
        model=path.stem,
        engine=graph.value,
        context=context,
        basis="table" if measured else "formulas",
        predicted=(need.weights_bytes, need.kv_bytes, need.compute_bytes),
        reported=(reported.weights_bytes, reported.kv_bytes, reported.compute_bytes),
    )


def _variant(path: Path, table: tuple[FitRow, ...]) -> Variant:
    with path.open("rb") as stream:
        architecture = architecture_of(read_header(stream), path.stat().st_size)
    reference = FileReference(digest=f"sha256:{'0' * 64}", length_bytes=path.stat().st_size)
    return Variant(
        quantisation="Q4_0", file=reference, chunk_index=reference, architecture=architecture, fit_table=table
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare the memory estimate with what llama.cpp reports.")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.gguf")
    parser.add_argument("--contexts", default="2048,4096,8192", help="tokens, comma-separated")
    parser.add_argument("--library-python", help="an interpreter with llama-cpp-python")
    arguments = parser.parse_args()
    contexts = [int(each) for each in arguments.contexts.split(",")]
    head = "  ".join(f"{part:>24}" for part in ("weights", "KV cache", "compute and output", "total"))
    print("MiB: predicted, reported, error")
    print(f"{'model':28} {'engine':7} {'tokens':>6} {'basis':8} {head}")
    held = True
    for path in arguments.models:
        for line in compare(path, contexts, arguments.library_python):
            print(line, flush=True)
            held = held and line.holds
    print("CPU only. GPUs and splits between a GPU and main memory are unmeasured.")
    print("All bounds hold." if held else "A bound is missed.")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
