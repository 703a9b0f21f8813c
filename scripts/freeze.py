"""The packaged program on a fresh clone: sets up ``.venv-freeze``, then makes ``dist/bbj-desktop`` with PyInstaller.

    python3 scripts/freeze.py [arguments of PyInstaller]

Needs Python 3.11 or newer, and nothing else.
"""

import os
import sys
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 - the one place that an older Python gets to read
    sys.exit(
        "BBj Desktop needs Python 3.11 or newer, this is "
        + sys.version.split()[0]
        + ".\nType: python3.12 scripts/freeze.py"
    )

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from scripts.bootstrap import FREEZE, ROOT, run

if __name__ == "__main__":
    os.environ.setdefault("PYINSTALLER_CONFIG_DIR", str(ROOT / "build" / "cache"))  # by default it lies in the home
    run(FREEZE, sys.argv[1:])
