"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """``--labels``: for ``trainer.data.labels.labelled``."""
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="labels as data label writes them, laid over the examples"
    )
