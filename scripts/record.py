"""Runs the demo and draws what it prints as docs/screenshots/demo.svg, the README's picture of the first command.

.venv/bin/python scripts/record.py
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "screenshots" / "demo.svg"
COMMAND = "python3 scripts/demo.py"
WIDTH = 108  # columns
PROMPT = re.compile(r"^(\$ .*|> .*)$", re.MULTILINE)
FIGURES = re.compile(r"^(TTFT .*|Installed .*)$", re.MULTILINE)
THEME = TerminalTheme((27, 31, 38), (230, 233, 239), [(154, 164, 181)] * 8, [(126, 166, 255)] * 8)
NO_FONTS_FROM_THE_NET = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def main() -> int:
    """Writes the picture. Returns the demo's exit code."""
    ran = subprocess.run(
        [sys.executable, "-m", "bbj_desktop", "demo"],  # what scripts/demo.py runs when all is set up
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        cwd=ROOT,
    )
    text = Text(f"$ {COMMAND}\n{ran.stdout}")
    text.highlight_regex(PROMPT, "bold bright_blue")
    text.highlight_regex(FIGURES, "bold")
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(text)
    svg = console.export_svg(title="bbj-desktop demo", theme=THEME)
    OUTPUT.write_text(NO_FONTS_FROM_THE_NET.sub("", svg), encoding="utf-8")
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
