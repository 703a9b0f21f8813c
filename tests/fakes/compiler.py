"""A stand-in for ``bbjcpl``, as a real program in a folder that looks like a BBj installation.

It knows no BBj: a line with ``BAD`` in it is refused, in the form and on the stream that ``bbjcpl`` uses, and it exits
0 as ``bbjcpl`` does. Other words make it behave as a compiler may: ``LICENCE`` prints a notice, ``HANG`` doesn't end,
``CRASH`` dies, ``TALK`` doesn't stop, ``UNKNOWN_METHOD`` is refused by the type check only.
"""

from __future__ import annotations

import sys
from pathlib import Path

# not the interpreter's path in the first line: it may have spaces, or be too long for the kernel
_PROGRAM = """#!/bin/sh
''''exec "{python}" "$0" "$@" # '''
import os, subprocess, sys, time
options, path = sys.argv[1:-1], sys.argv[-1]
assert "-N" in options, options
with open({calls!r}, "a") as calls:
    calls.write(" ".join(options) + "\\n")
with open(path, encoding="utf-8", newline="") as file:
    lines = file.read().split("\\n")
for number, line in enumerate(lines, 1):
    if "HANG" in line:
        child = subprocess.Popen(["sleep", "60"])  # the group has more than one process
        with open({started!r}, "w") as started:
            started.write(str(child.pid))
        time.sleep(60)
    if "CRASH" in line:
        os.kill(os.getpid(), 11)
    while "TALK" in line:
        sys.stderr.write("x" * 65536)
    if "LICENCE" in line:
        sys.stderr.write("Your licence expires in 12 days.\\n")
    if "BAD" in line or ("UNKNOWN_METHOD" in line and "-t" in options):
        sys.stderr.write(f"{{path}}: error at line {{number * 10}} ({{number}}):     {{line}}\\n")
"""


def bbj_installation(home: Path) -> Path:
    """Makes a folder with ``bin/bbjcpl``, ``bin/bbj`` and ``cfg``, and returns it."""
    (home / "bin").mkdir(parents=True)
    (home / "cfg").mkdir()
    program = home / "bin" / "bbjcpl"
    text = _PROGRAM.format(python=sys.executable, calls=str(home / "calls"), started=str(home / "started"))
    program.write_text(text, encoding="utf-8")
    for executable in (program, home / "bin" / "bbj"):
        executable.touch()
        executable.chmod(0o755)
    return home


def calls_of(home: Path) -> list[str]:
    """The options of each run so far."""
    return (home / "calls").read_text().splitlines()
