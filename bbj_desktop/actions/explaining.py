"""Telling the whole way to a recommendation."""

from __future__ import annotations

from bbj_desktop.actions.context import Context
from bbj_desktop.actions.placing import route_of
from bbj_desktop.actions.recommending import Recommended
from bbj_desktop.core import explaining
from bbj_desktop.core.explaining import Explained
from bbj_desktop.core.ownership import Ownership, decide_ownership
from bbj_desktop.core.recommendation import Candidate, Wishes
from bbj_desktop.core.release import Role


def explain(
    context: Context, recommended: Recommended, wishes: Wishes, *, here: bool = True
) -> dict[Role, tuple[Explained, ...]]:
    """The way to each role's choice; nothing is fetched or changed.

    Args:
        here: It is this machine's recommendation, so that its engine can be asked.
    """
    return {
        role.role: explaining.explain(
            role.choice,
            recommended.runtimes,
            _ownership(context, recommended, role.choice) if here else None,
            recommended.learned,
            wanted_engine=wishes.runtime,
            wanted_context=wishes.context_length,
            concurrency=wishes.concurrency,
        )
        for role in recommended.recommendation.choices
        if role.choice is not None
    }


def _ownership(context: Context, recommended: Recommended, candidate: Candidate) -> Ownership | None:
    status = next((each for each in recommended.runtimes if each.name == candidate.runtime), None)
    if status is None:
        return None
    files = [part.file for part in candidate.variant.parts]
    file_here = all(recommended.here.get(file.digest, 0) >= file.length_bytes for file in files)
    return decide_ownership(status, route_of(context, context.open_store(), candidate, file_here=file_here))
