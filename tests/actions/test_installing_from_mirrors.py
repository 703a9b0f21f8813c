"""An install and a repair with several mirrors of one registry, not all of them good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bbj_desktop.actions import registering, repairing, versions
from bbj_desktop.actions.context import Context
from bbj_desktop.core.errors import DigestError, TransportError
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.client import blob_path
from tests.actions.conftest import install
from tests.fakes.published import Publication
from tests.fakes.release_server import Fault, ReleaseServer


@pytest.fixture
def mirror(context: Context, publication: Publication) -> Iterator[ReleaseServer]:
    with ReleaseServer(publication.folder) as mirror:
        registering.add_mirror(context, mirror.address, silent, Cancel())
        yield mirror


def blobs_of(publication: Publication) -> list[str]:
    below = publication.folder / "blobs"
    return [path.relative_to(publication.folder).as_posix() for path in below.rglob("*") if path.is_file()]


def spoil(server: ReleaseServer, paths: list[str], fault: Fault) -> None:
    for path in paths:
        server.script(path, *[fault] * 20)


SPOILT = {"damaged": Fault(flip=20), "missing": Fault(status=404), "refused": Fault(status=403)}


@pytest.mark.parametrize("fault", SPOILT.values(), ids=SPOILT.keys())
def test_a_mirror_with_good_metadata_and_bad_blobs_does_no_harm(
    context: Context, publication: Publication, server: ReleaseServer, mirror: ReleaseServer, fault: Fault
) -> None:
    spoil(server, blobs_of(publication), fault)
    installed = install(context)
    assert versions.verify(context, installed.version.key, silent, Cancel()).version.active
    assert mirror.sent_bytes(blob_path(installed.version.variant.file.digest)) > 0


def test_the_same_damage_on_every_mirror_is_a_trust_error(
    context: Context, publication: Publication, server: ReleaseServer, mirror: ReleaseServer
) -> None:
    for each in (server, mirror):
        spoil(each, blobs_of(publication), Fault(flip=20))
    with pytest.raises(DigestError):
        install(context)


def test_a_repair_needs_one_mirror_only(context: Context, server: ReleaseServer, mirror: ReleaseServer) -> None:
    version = install(context).version
    version.path.write_bytes(b"damage")
    server.close()
    assert repairing.repair(context, version.key, silent, Cancel()).fetched_bytes > 0
    versions.verify(context, version.key, silent, Cancel())
    mirror.close()
    version.path.write_bytes(b"damage")
    with pytest.raises(TransportError):
        repairing.repair(context, version.key, silent, Cancel())
