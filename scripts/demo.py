"""The main job on a fresh clone: sets everything up in ``.venv``, then runs ``bbj-desktop demo``.

    python3 scripts/demo.py [arguments of `bbj-desktop demo`]

Needs Python 3.11 or newer, and nothing else.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python gets to read
    sys.exit(
        "BBj Desktop needs Python 3.11 or newer, this is "
        + sys.version.split()[0]
        + ".\nType: python3.12 scripts/demo.py"
    )

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from scripts.bootstrap import DEMO, run

if __name__ == "__main__":
    run(DEMO, sys.argv[1:])
