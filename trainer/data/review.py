"""Who looked at an example and what they decided, and the gate that rests on it."""

from __future__ import annotations

from typing import Literal

from trainer.data.example import Example


def why_not_trained(example: Example) -> Literal["", "not-reviewed", "rejected"]:
    """The gate to every training set: why an example may not pass; empty when it may.

    What people wrote as training data passes unless it was rejected; what a model wrote, or what was reported from the
    field, only when a reviewer accepted it.
    """
    if example.review == "rejected":
        return "rejected"
    return "not-reviewed" if example.origin != "curated" and example.review != "accepted" else ""
