"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_labels_argument(parser: argparse.ArgumentParser) -> None:
    """``--labels``: for ``trainer.data.labels.labelled``."""
    parser.add_argument(
        "--labels", metavar="FILE", type=Path, help="labels as data label writes them, laid over the examples"
    )


def path_and_share(text: str) -> tuple[Path, float]:
    """Reads ``PATH=SHARE``, for ``type=``."""
    path, _, share = text.rpartition("=")
    try:
        return Path(path), float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be PATH=SHARE, e.g. general.jsonl=0.1, not {text!r}") from None
