"""All tests on a fresh clone: sets everything up in ``.venv``, then runs pytest.

    python3 scripts/test.py [arguments of pytest]

Needs Python 3.11 or newer, and nothing else.
"""

import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python gets to read
    sys.exit(
        "BBj Desktop needs Python 3.11 or newer, this is "
        + sys.version.split()[0]
        + ".\nType: python3.12 scripts/test.py"
    )

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from scripts.bootstrap import TESTS, run

if __name__ == "__main__":
    run(TESTS, sys.argv[1:])
