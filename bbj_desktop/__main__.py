"""No arguments: the window; else the command line. A frozen build has one program, which also plays its own helper
processes: the hidden first arguments name them."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the program.

    Args:
        argv: Without the program's name; None takes the process's.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--engine-host"]:
        from bbj_desktop.services.runtime.engine_host import main as engine_host

        return engine_host()
    if arguments[:1] == ["--engine-keeper"]:
        from bbj_desktop.services.runtime.embedded_host.process import main as engine_keeper

        return engine_keeper()
    if arguments[:1] == ["--fit-child"]:
        from bbj_desktop.services.runtime.fit_child import main as fit_child

        return fit_child()
    if arguments[:1] == ["--template-child"]:
        from bbj_desktop.services.registry.template_child import main as template_child

        return template_child()
    if arguments[:1] == ["--probe-child"]:
        from bbj_desktop.services.probe import run_child

        run_child(*arguments[1:])
        return 0
    from bbj_desktop.cli.main import run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
