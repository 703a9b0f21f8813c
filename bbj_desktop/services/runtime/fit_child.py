"""The process in which llama.cpp says what a model would take: it prints that on stderr, and may crash.

Run as a plain file, so it imports nothing of the program (and starts fast).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

FIT_ARGUMENT = "--fit-child"
"""What a frozen program is started with to become this process."""


def fit_child_command() -> list[str]:
    """The command that starts it, without the model's path, the context length and ``fit`` or ``load``. ``-P`` keeps
    this folder, and whatever lies in the current one, out of its imports."""
    if getattr(sys, "frozen", False):
        return [sys.executable, FIT_ARGUMENT]
    return [sys.executable, "-P", str(Path(__file__).resolve())]


def main() -> int:
    """Loads a model, or only fits it to the memory. The last three arguments: path, context length, mode."""
    import xllamacpp

    model, context_length, mode = sys.argv[-3:]
    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.n_ctx, parameters.n_parallel = model, int(context_length), 1
    parameters.n_gpu_layers, parameters.warmup, parameters.verbosity = 0, False, 5
    parameters.fit_params = parameters.fit_params_print = mode == "fit"
    server = xllamacpp.Server(parameters)  # prints while it loads
    sys.stderr.write("\nLOADED\n")
    sys.stderr.flush()
    # WORKAROUND: a server that is ended while its loop begins waits for ever (xllamacpp 2026.10, ``~Server``), so it
    # must still be held here, and is never ended in order.
    assert server  # noqa: S101 - the use that holds it
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
