"""A whole mirror is checked: what is missing, damaged, out of date, forged or superfluous is named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.core.errors import Cancelled, ConnectError
from bbj_desktop.core.network import Network
from bbj_desktop.core.progress import Cancel, Event, Transfer, silent
from bbj_desktop.core.release import Release
from bbj_desktop.services.registry.findings import Trouble, Verified
from bbj_desktop.services.registry.layout import blob_path
from bbj_desktop.services.registry.lifetimes import lives_of
from bbj_desktop.services.registry.root import identity_of
from bbj_desktop.services.registry.verify import verify_mirror
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.published import Publication
from tests.fakes.release_server import ReleaseServer


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Publication, Release]:
    publication = Publication.create(tmp_path_factory.mktemp("published"))
    return publication, publication.publish("2026.1", quantisations=("Q4_0", "Q8_0"))


@pytest.fixture
def mirror(tmp_path: Path, published: tuple[Publication, Release]) -> Publication:
    return published[0].copy(tmp_path / "Spiegel hier")


@pytest.fixture
def release(published: tuple[Publication, Release]) -> Release:
    return published[1]


def verify(mirror: Publication, *, days: float = 0, root: bytes | None = None) -> Verified:
    source = open_source(str(mirror.folder), Network())
    now = datetime.now(UTC) + timedelta(days=days)
    return verify_mirror(source, mirror.folder, silent, Cancel(), now=now, initial_root=root)


def found(verified: Verified) -> list[tuple[str, Trouble]]:
    return [(problem.path, problem.trouble) for problem in verified.problems]


def newest(mirror: Publication, name: str) -> Path:
    return max((mirror.folder / "metadata").glob(f"*.{name}.json"), key=lambda path: int(path.name.split(".")[0]))


def test_a_whole_mirror_is_sound(mirror: Publication) -> None:
    verified = verify(mirror)
    assert found(verified) == []
    assert (verified.sound, verified.releases) == (True, 1)
    assert verified.identity == identity_of(mirror.root)


def test_every_blob_and_signed_file_is_read(mirror: Publication) -> None:
    payload = [path for top in ("blobs", "targets") for path in (mirror.folder / top).rglob("*") if path.is_file()]
    former = 3  # the empty catalogues that came before, of which one is still in force
    assert verify(mirror).files >= len(payload) - former + 5  # root, timestamp, snapshot, targets, channels


def test_a_mirror_on_a_server_is_checked_too(mirror: Publication) -> None:
    with ReleaseServer(mirror.folder) as server:
        source = open_source(server.address, Network())
        verified = verify_mirror(source, None, silent, Cancel(), now=datetime.now(UTC))
        source.close()
    assert (verified.sound, verified.searched) == (True, False)


def test_a_missing_blob_is_named(mirror: Publication, release: Release) -> None:
    path = blob_path(release.variants[0].file.digest)
    (mirror.folder / path).unlink()
    assert found(verify(mirror)) == [(path, Trouble.MISSING)]


@pytest.mark.parametrize("change", ["flipped", "cut", "longer"])
def test_a_damaged_blob_is_named(mirror: Publication, release: Release, change: str) -> None:
    path = blob_path(release.variants[1].file.digest)
    place = mirror.folder / path
    data = bytearray(place.read_bytes())
    if change == "flipped":
        data[-1] ^= 1
    place.unlink()  # it may be a second name of the model's own file
    place.write_bytes(bytes(data[:-1] if change == "cut" else data + b"x" if change == "longer" else data))
    assert found(verify(mirror)) == [(path, Trouble.DAMAGED)]


@pytest.mark.parametrize("kind", ["catalogue", "bbj-coder"])
def test_a_damaged_signed_file_is_named(mirror: Publication, kind: str) -> None:
    names = newest(mirror, "stable").read_text()
    (path,) = [
        each
        for each in (mirror.folder / "targets" / "stable").rglob("*.json")
        if each.name.split(".")[0] in names and kind in each.name
    ]
    path.write_bytes(path.read_bytes() + b" ")
    assert (path.relative_to(mirror.folder).as_posix(), Trouble.DAMAGED) in found(verify(mirror))


@pytest.mark.parametrize("name", ["snapshot", "targets", "stable", "beta"])
def test_missing_metadata_is_named(mirror: Publication, name: str) -> None:
    path = newest(mirror, name)
    path.unlink()
    assert (f"metadata/{path.name}", Trouble.MISSING) in found(verify(mirror))


def test_a_damaged_channel_does_not_hide_the_other_one(mirror: Publication) -> None:
    newest(mirror, "beta").write_bytes(b"{}")
    verified = verify(mirror)
    assert [problem.path for problem in verified.problems] == [f"metadata/{newest(mirror, 'beta').name}"]
    assert verified.releases == 1


def test_a_timestamp_that_was_changed_is_untrusted(mirror: Publication) -> None:
    path = mirror.folder / "metadata" / "timestamp.json"
    path.write_bytes(path.read_bytes().replace(b'"expires":"2', b'"expires":"3'))
    assert ("metadata/timestamp.json", Trouble.UNTRUSTED) in found(verify(mirror))


def test_the_mirror_of_another_registry_is_not_taken_for_this_one(mirror: Publication, tmp_path: Path) -> None:
    another = Publication.create(tmp_path / "another")
    assert not verify(mirror, root=another.root).sound


def test_an_old_mirror_is_sound_but_expired(mirror: Publication) -> None:
    verified = verify(mirror, days=20)
    assert found(verified) == [("metadata/timestamp.json", Trouble.EXPIRED)]
    assert not verified.sound


def test_a_superfluous_file_is_named_and_no_fault(mirror: Publication) -> None:
    (mirror.folder / "blobs" / "sha256" / "Überrest.part").write_bytes(b"x")
    verified = verify(mirror)
    assert found(verified) == [("blobs/sha256/Überrest.part", Trouble.SUPERFLUOUS)]
    assert verified.sound


def test_an_empty_folder_is_no_mirror(tmp_path: Path) -> None:
    source = open_source(str(tmp_path), Network())
    verified = verify_mirror(source, tmp_path, silent, Cancel(), now=datetime.now(UTC))
    assert (found(verified), verified.sound) == ([("metadata/1.root.json", Trouble.MISSING)], False)


def test_progress_counts_all_blobs(mirror: Publication) -> None:
    events: list[Event] = []
    verify_mirror(open_source(str(mirror.folder), Network()), None, events.append, Cancel(), now=datetime.now(UTC))
    last = [event for event in events if isinstance(event, Transfer)][-1]
    assert last.done_bytes == last.total_bytes > 0


def test_an_unreachable_server_says_nothing_about_the_mirror(mirror: Publication) -> None:
    with ReleaseServer(mirror.folder) as server:
        address = server.address
    source = open_source(address, Network(timeout_s=0.5))
    with pytest.raises(ConnectError):
        verify_mirror(source, None, silent, Cancel(), now=datetime.now(UTC))
    source.close()


def test_checking_can_be_cancelled(mirror: Publication) -> None:
    cancel = Cancel()

    def stop(event: Event) -> None:
        if isinstance(event, Transfer):
            cancel.cancel()

    with pytest.raises(Cancelled):
        verify_mirror(open_source(str(mirror.folder), Network()), None, stop, cancel, now=datetime.now(UTC))


# lifetimes


def test_a_new_registry_needs_nothing(mirror: Publication) -> None:
    lives = {life.role: life for life in lives_of(mirror.folder, datetime.now(UTC) + timedelta(minutes=1))}
    assert {role: life.days_left for role, life in lives.items()} == {
        "root": 729, "targets": 364, "beta": 364, "stable": 364, "snapshot": 59, "timestamp": 13,
    }  # fmt: skip
    assert all(life.fine for life in lives.values())


@pytest.mark.parametrize(
    ("days", "role", "todo"),
    [
        (11, "timestamp", "registry refresh"),
        (41, "snapshot", "registry refresh"),
        (306, "stable", "registry renew stable"),
        (306, "targets", "registry renew targets"),
        (641, "root", "registry renew root"),
    ],
)
def test_what_ends_soon_is_said_with_what_to_do(mirror: Publication, days: int, role: str, todo: str) -> None:
    def todo_after(days: int) -> str:
        lives = lives_of(mirror.folder, datetime.now(UTC) + timedelta(days=days))
        return next(life.what_to_do for life in lives if life.role == role)

    assert (todo_after(days - 2), todo_after(days)) == ("", todo)
