"""What an install or an update doesn't fetch because it is on this machine already."""

from __future__ import annotations

from bbj_desktop.actions import installing, recommending, updating, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.transfer.donors import kept_index_path, recall_index
from tests.actions.conftest import CHAT, install
from tests.fakes.published import Publication


def plan(context: Context) -> installing.InstallPlan:
    recommended = recommending.recommend(context, CHAT, silent, Cancel())
    return installing.plan_install(context, recommending.choose(recommended, CHAT), Cancel())


def test_an_update_fetches_what_changed_as_its_plan_says(context: Context, publication: Publication) -> None:
    """The two models have the same header, a chunk of its own, and other weights."""
    installed = install(context).version
    index = recall_index(installed.path)
    assert index is not None
    weights = sum(chunk.length_bytes for chunk in index.chunks[1:])
    publication.publish("2026.2", seed=2)
    planned = plan(context)
    length = planned.candidate.variant.file.length_bytes
    assert (planned.to_fetch_bytes, planned.here_bytes, planned.disk_bytes) == (weights, length - weights, length)
    (updated,) = updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel())
    assert updated.fetched_bytes == weights
    versions.verify(context, updated.version.key, silent, Cancel())


def test_what_is_kept_for_that_is_no_leftover_and_goes_with_its_version(context: Context) -> None:
    version = install(context).version
    assert kept_index_path(version.path).exists()
    assert context.open_store().leftovers() == ()
    versions.remove(context, version.key, silent, Cancel())
    assert list((context.paths.store / "blobs").iterdir()) == []
