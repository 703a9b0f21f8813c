"""A base with an adapter, from the plan to its removal: what is fetched, kept, shared and freed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bbj_desktop.actions import chatting, installing, recommending, repairing, updating, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.paths import paths_for
from bbj_desktop.core.chat import Delta
from bbj_desktop.core.errors import Cancelled, DigestError, TrustError
from bbj_desktop.core.progress import Cancel, Event, Step, silent
from bbj_desktop.core.recommendation import Wishes
from bbj_desktop.core.release import Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services.registry.layout import blob_path
from tests.fakes.adapter_makers import AdapterMakers
from tests.fakes.ollama import FakeOllama
from tests.fakes.published import trust
from tests.fakes.release_server import Fault, ReleaseServer

ADAPTER = Wishes(roles=(Role.CHAT,), size="7b", quantisation="Q4_0_LORA")


def _plan(context: Context, wishes: Wishes = ADAPTER) -> installing.InstallPlan:
    recommended = recommending.recommend(context, wishes, silent, Cancel())
    return installing.plan_install(context, recommending.choose(recommended, wishes), Cancel())


def _install(context: Context, wishes: Wishes = ADAPTER) -> installing.Installed:
    return installing.install(context, _plan(context, wishes), silent, Cancel())


def _update(context: Context) -> installing.Installed:
    (updated,) = updating.update(context, updating.check(context, silent, Cancel()), silent, Cancel())
    return updated


def _lengths(version: InstalledVersion) -> tuple[int, int]:
    base, adapter = (part.file.length_bytes for part in version.variant.parts)
    return base, adapter


def _served_bytes(server: ReleaseServer, path: str) -> int:
    return sum(request.sent_bytes for request in server.requests if request.path.lstrip("/") == path)


def _publish_second(makers: AdapterMakers) -> None:
    makers.publish(makers.draft("2026.2", makers.adapter(seed=2)))


# -- fetching


def test_a_plan_counts_both_files(context: Context, makers: AdapterMakers) -> None:
    plan = _plan(context)
    assert plan.key == "bbj-coder:2026.1-7b-q4_0_lora"
    assert plan.to_fetch_bytes == makers.base.stat().st_size + makers.adapter().stat().st_size
    assert plan.here_bytes == 0


def test_a_first_install_fetches_both_files(context: Context, makers: AdapterMakers) -> None:
    installed = _install(context)
    version = installed.version
    assert installed.fetched_bytes == sum(_lengths(version))
    assert version.path.read_bytes() == makers.base.read_bytes()
    assert version.adapter_path is not None
    assert version.adapter_path.read_bytes() == makers.adapter().read_bytes()


def test_what_is_installed_answers(context: Context, ollama: FakeOllama) -> None:
    version = _install(context).version
    assert version.variant.adapter is not None
    assert ollama.models["bbj-coder:7b"].adapter == version.variant.adapter.file.digest
    events = list(chatting.open_conversation(context).ask("Open a window.", Cancel()))
    assert "".join(event.text for event in events if isinstance(event, Delta)) == 'PRINT "Hello BBj"'


def test_an_update_on_the_unchanged_base_fetches_the_adapter_only(
    context: Context, makers: AdapterMakers, server: ReleaseServer
) -> None:
    base, _ = _lengths(_install(context).version)
    _publish_second(makers)
    (plan,) = updating.plan_updates(context, updating.check(context, silent, Cancel()), Cancel())
    adapter = makers.adapter().stat().st_size
    assert adapter - 1024 < plan.to_fetch_bytes < adapter  # its header is the first one's, so it is here already
    assert plan.to_fetch_bytes + plan.here_bytes == base + adapter
    server.requests.clear()
    updated = _update(context)
    version = updated.version
    assert version.key == "bbj-coder:2026.2-7b-q4_0_lora"
    assert updated.fetched_bytes == plan.to_fetch_bytes
    assert version.variant.adapter is not None
    assert _served_bytes(server, blob_path(version.variant.adapter.file.digest)) == plan.to_fetch_bytes
    assert _served_bytes(server, blob_path(version.variant.file.digest)) == 0


def test_installing_again_fetches_nothing(context: Context) -> None:
    _install(context)
    again = _install(context)
    assert again.already
    assert again.fetched_bytes == 0


def test_an_adapter_that_was_forged_stops_the_install_and_keeps_the_base(
    context: Context, server: ReleaseServer
) -> None:
    plan = _plan(context)
    adapter = plan.candidate.variant.adapter
    assert adapter is not None
    for _ in range(40):
        server.script(blob_path(adapter.file.digest), Fault(flip=adapter.file.length_bytes - 1))
    with pytest.raises(TrustError):
        installing.install(context, plan, silent, Cancel())
    assert versions.list_versions(context) == ()
    assert _plan(context).to_fetch_bytes <= adapter.file.length_bytes


def test_an_install_that_was_stopped_at_the_adapter_goes_on_there(context: Context) -> None:
    plan, cancel = _plan(context), Cancel()

    def stop_at_the_adapter(event: Event) -> None:
        if isinstance(event, Step) and "the adapter" in event.text:
            cancel.cancel()

    with pytest.raises(Cancelled):
        installing.install(context, plan, stop_at_the_adapter, cancel)
    adapter = plan.candidate.variant.own_file.length_bytes
    assert _plan(context).to_fetch_bytes == adapter
    assert _install(context).fetched_bytes == adapter


# -- keeping


def test_going_back_is_instant_and_offline(
    context: Context, makers: AdapterMakers, server: ReleaseServer, ollama: FakeOllama
) -> None:
    first = _install(context).version
    _publish_second(makers)
    _update(context)
    server.requests.clear()
    assert versions.rollback(context, None, silent, Cancel()).version.key == first.key
    assert server.requests == []
    assert first.variant.adapter is not None
    assert ollama.models["bbj-coder:latest"].adapter == first.variant.adapter.file.digest


def test_removing_one_version_frees_its_adapter_and_keeps_the_base(context: Context, makers: AdapterMakers) -> None:
    first = _install(context).version
    _publish_second(makers)
    second = _update(context).version
    _, adapter = _lengths(first)
    freed = versions.remove(context, first.key, silent, Cancel()).freed_bytes
    assert adapter <= freed < adapter + 64 * 1024  # its record's copy and its chunk list go as well
    versions.verify(context, second.key, silent, Cancel())
    assert context.open_store().leftovers() == ()


def test_removing_the_last_version_frees_everything(context: Context, makers: AdapterMakers) -> None:
    first = _install(context).version
    _publish_second(makers)
    second = _update(context).version
    versions.remove(context, first.key, silent, Cancel())
    freed = versions.remove(context, second.key, silent, Cancel()).freed_bytes
    assert freed >= sum(_lengths(second))
    assert list((context.paths.store / "blobs").iterdir()) == []


@pytest.mark.parametrize("which", [0, 1])
def test_damage_of_either_file_is_found_and_mended_with_few_bytes(
    context: Context, which: int, ollama: FakeOllama
) -> None:
    version = _install(context).version
    path = version.files[which][1]
    with path.open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(DigestError, match=path.name):
        versions.verify(context, version.key, silent, Cancel())
    done = repairing.repair(context, version.key, silent, Cancel())
    assert 0 < done.fetched_bytes == done.damaged_bytes < _lengths(version)[which]
    assert ollama.bodies["/api/generate"]["keep_alive"] == 0
    versions.verify(context, version.key, silent, Cancel())


def test_every_version_on_a_damaged_base_lets_go_of_it(
    context: Context, makers: AdapterMakers, ollama: FakeOllama
) -> None:
    first = _install(context).version
    _publish_second(makers)
    second = _update(context).version
    with first.path.open("r+b") as file:
        file.write(b"damage")
    ollama.loaded |= {first.key, second.key}
    repairing.repair(context, first.key, silent, Cancel())
    assert not ollama.loaded


def test_lost_records_come_back_with_both_files(context: Context) -> None:
    version = _install(context).version
    for record in (context.paths.store / "versions").iterdir():
        record.unlink()
    assert context.open_store().leftovers() == ()
    assert versions.rebuild(context, silent, Cancel()).restored == (version.key,)
    versions.verify(context, version.key, silent, Cancel())


def test_a_lost_record_stays_lost_without_its_adapter(context: Context) -> None:
    version = _install(context).version
    assert version.adapter_path is not None
    version.adapter_path.unlink()
    for record in (context.paths.store / "versions").iterdir():
        record.unlink()
    rebuilt = versions.rebuild(context, silent, Cancel())
    assert (rebuilt.restored, rebuilt.lost) == ((), (f"The file of {version.key} isn't whole.",))


def test_a_missing_adapter_is_told_and_fetched_again(context: Context) -> None:
    version = _install(context).version
    assert version.adapter_path is not None
    version.adapter_path.unlink()
    (problem,) = context.open_store().problems()
    assert version.adapter_path.name in problem
    assert _install(context).fetched_bytes == _lengths(version)[1]


def test_a_store_that_moved_finds_both_files(context: Context, tmp_path: Path) -> None:
    _install(context)
    moved = tmp_path / "anderswo ö"
    context.paths.store.rename(moved)
    (version,) = context.open_store().__class__(moved).versions()
    assert [path.parent for _, path in version.files] == [moved / "blobs"] * 2


def test_a_shared_base_serves_and_the_adapter_is_ones_own(context: Context, makers: AdapterMakers) -> None:
    theirs = _install(context).version
    _publish_second(makers)
    values = replace(context.settings.values, shared_store=context.paths.store, data_folder=context.paths.data / "own")
    settings = replace(context.settings, values=values)
    own = Context(settings=settings, paths=paths_for(settings))
    trust(own, context.known_registry().address, makers.publication)
    installed = _install(own)
    assert installed.version.path == theirs.path
    assert installed.version.adapter_path is not None
    assert installed.version.adapter_path.is_relative_to(own.paths.store)
    assert 0 < installed.fetched_bytes <= _lengths(theirs)[1]
    versions.remove(own, installed.version.key, silent, Cancel())
    versions.verify(context, theirs.key, silent, Cancel())
    own.close()


def test_an_update_stays_with_the_adapter_where_the_whole_is_offered_too(
    context: Context, makers: AdapterMakers
) -> None:
    _install(context)
    makers.publish(makers.draft("2026.2", makers.adapter(seed=2), whole=True))
    assert _update(context).version.quantisation == "Q4_0_LORA"
