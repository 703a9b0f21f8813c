"""What is promised of bundles, sentence by sentence, by the command line alone."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bbj_desktop.cli.bundle import EXIT_INCOMPLETE
from bbj_desktop.cli.results.bundles import BundleExportResult, BundleImportResult
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.registry.bundle import BUNDLE_FILE, Bundle, BundleContent
from bbj_desktop.services.registry.keys import CHANNEL_PLANS, KEY_PLANS, KeyFolder
from bbj_desktop.services.registry.publish import Publisher
from bbj_desktop.services.registry.root import identity_of
from bbj_desktop.services.registry.serve import serve_folder
from tests.cli.conftest import Call
from tests.fakes.published import PASSPHRASE, Publication, unmeasured

DAYS = 60  # timestamps are good for 14


@pytest.fixture(scope="session")
def signed_long_ago(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """A bundle of a registry that was signed 60 days ago, and not refreshed since."""
    below = tmp_path_factory.mktemp("einst")
    publication = Publication(below / "registry", below / "keys", below / "models")
    publication.work.mkdir()
    keys, then = KeyFolder(publication.keys, PASSPHRASE), datetime.now(UTC) - timedelta(days=DAYS)
    for role, plan in {**KEY_PLANS, **CHANNEL_PLANS}.items():
        keys.generate(role, plan.keys)
    publisher = Publisher(publication.folder, keys, now=lambda: then)
    publisher.create(KEY_PLANS, CHANNEL_PLANS)
    publisher.ledger.load()
    release = publisher.publish(publication.draft("2026.1"), "stable", silent, Cancel(), measure=unmeasured)
    file = release.variants[0].file
    content = BundleContent(name="bbj-coder:2026.1-7b-q4_0", digest=file.digest, length_bytes=file.length_bytes)
    bundle = Bundle(registry=identity_of(publication.root), channel="stable", created=then, contents=(content,))
    (publication.folder / BUNDLE_FILE).write_text(bundle.model_dump_json(), encoding="utf-8")
    return publication


@pytest.fixture
def old(signed_long_ago: Publication, tmp_path: Path) -> Publication:
    return signed_long_ago.copy(tmp_path / "Vom Stick")


@pytest.fixture
def bundle(customer: Call, tmp_path: Path) -> Path:
    folder = tmp_path / "Stick" / "Bündel"
    assert customer("bundle", "export", folder, "7b-q4_0").code == 0
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[str, Path]:
    return "--data", tmp_path / "Krankenhaus Süd"


# expiry alone is a policy decision: shown, never silent


@pytest.mark.usefixtures("ollama")
def test_expired_metadata_is_taken_and_its_age_is_said_each_time(call: Call, old: Publication) -> None:
    called = call("bundle", "import", old.folder, "--fingerprint", identity_of(old.root))
    assert called.code == 0
    for said in (called.err, call("recommend").err, call("update", "--check").err):
        assert "signed 60 days ago" in " ".join(said.split())
        assert "has expired 46 days ago" in " ".join(said.split())
    assert call("install", "7b", "--force", "--yes").code == 0


def test_a_policy_refuses_expired_metadata_whatever_a_flag_says(call: Call, old: Publication, policy: Path) -> None:
    policy.write_text('bundle_expiry = "block"\n', encoding="utf-8")
    arguments = ("bundle", "import", old.folder, "--fingerprint", identity_of(old.root), "--json")
    assert call(*arguments).error["code"] == "ExpiredError"
    assert call(*arguments, "--bundle-expiry", "warn").error["code"] == "SettingsError"


@pytest.mark.usefixtures("ollama")
def test_only_a_mirror_that_is_declared_offline_may_have_expired(call: Call, old: Publication) -> None:
    with serve_folder(old.folder) as address:
        arguments = ("registry", "add", address, "--fingerprint", identity_of(old.root))
        assert call(*arguments, "--json").error["code"] == "ExpiredError"
        declared = call(*arguments, "--offline")
        assert declared.code == 0
        assert "60 days ago" in " ".join(call("recommend").err.split())


def test_signatures_are_no_matter_of_policy(call: Call, old: Publication) -> None:
    for catalogue in (old.folder / "targets" / "stable").glob("*.catalogue.json"):
        catalogue.write_bytes(catalogue.read_bytes().replace(b"2026.1", b"2026.9"))
    called = call("bundle", "import", old.folder, "--fingerprint", identity_of(old.root), "--json")
    assert called.code == 5


# resumable, in any order, a pulled stick


def test_an_export_that_lost_its_end_is_taken_up(customer: Call, bundle: Path) -> None:
    (bundle / BUNDLE_FILE).unlink()
    again = BundleExportResult.model_validate(customer("bundle", "export", bundle, "7b-q4_0", "--json").result)
    assert again.fetched_bytes == 0
    assert (bundle / BUNDLE_FILE).is_file()


def test_a_stick_that_was_pulled_while_it_was_written_is_no_bundle_yet(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    (bundle / BUNDLE_FILE).unlink()
    called = call("bundle", "import", bundle, "--fingerprint", identity, *elsewhere)
    assert called.code == 3
    assert "export it again to the same folder" in " ".join(called.err.split())


def test_a_stick_with_half_a_model_is_taken_as_far_as_it_goes(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    blob = max((path for path in bundle.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    whole = blob.read_bytes()
    blob.write_bytes(whole[: len(whole) // 2])
    half = call("bundle", "import", bundle, "--fingerprint", identity, *elsewhere)
    assert half.code == EXIT_INCOMPLETE
    assert blob.name in half.out
    blob.write_bytes(whole)
    result = BundleImportResult.model_validate(call("bundle", "import", bundle, "--json", *elsewhere).result)
    assert result.models[0].whole


# paths cannot escape


def _link(bundle: Path) -> None:
    (bundle / "targets" / "link.json").symlink_to("/etc/hostname")


def _linked_folder(bundle: Path) -> None:
    shutil.move(bundle / "metadata", bundle.parent / "woanders")
    (bundle / "metadata").symlink_to(bundle.parent / "woanders")


def _pipe(bundle: Path) -> None:
    os.mkfifo(bundle / "blobs" / "pipe")


def _device_name(bundle: Path) -> None:
    (bundle / "targets" / "aux.json").write_bytes(b"")


def _twins(bundle: Path) -> None:
    (bundle / "targets" / "Größe.json").write_bytes(b"")
    (bundle / "targets" / "größe.json").write_bytes(b"")


def _decomposed(bundle: Path) -> None:
    (bundle / "targets" / "Gro\u0308ße.json").write_bytes(b"")


def _absolute_in_document(bundle: Path) -> None:
    document = (bundle / BUNDLE_FILE).read_text(encoding="utf-8")
    (bundle / BUNDLE_FILE).write_text(document.replace('"digest":', '"path": "/etc/passwd", "digest":'))
    (bundle / "targets" / "..evil.").write_bytes(b"")


@pytest.mark.skipif(os.name == "nt", reason="needs links, pipes and such names")
@pytest.mark.parametrize(
    "trick", [_link, _linked_folder, _pipe, _device_name, _twins, _decomposed, _absolute_in_document]
)
def test_a_bundle_that_plays_tricks_with_paths_is_refused_whole(
    call: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str, trick: object
) -> None:
    assert callable(trick)
    trick(bundle)
    called = call("bundle", "import", bundle, "--fingerprint", identity, "--json", *elsewhere)
    assert (called.code, called.error["code"]) == (6, "FormatError")
    assert not (elsewhere[1] / "registries").exists()
    assert not (elsewhere[1] / "store" / "blobs").exists()


# the same folder, served, is a mirror


def test_a_bundle_that_a_web_server_serves_is_a_mirror_to_install_from(
    customer: Call, bundle: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    with serve_folder(bundle) as address:
        assert customer("registry", "add", address, "--fingerprint", identity, *elsewhere).code == 0
        assert customer("install", "7b-q4_0", "--force", "--yes", *elsewhere).code == 0
    assert customer("verify", "2026.1", *elsewhere).code == 0


# the newer of the machine's and the bundle's metadata


def test_january_serves_after_february_and_what_february_withdrew_stays_out(
    customer: Call, publication: Publication, tmp_path: Path, elsewhere: tuple[str, Path], identity: str
) -> None:
    january, february, march = (tmp_path / name for name in ("Januar", "Februar", "März"))
    assert customer("bundle", "export", january, "7b-q4_0").code == 0
    publication.publish("2026.2", seed=9)
    assert customer("bundle", "export", february, "7b-q4_0").code == 0
    assert customer("bundle", "import", february, "--fingerprint", identity, *elsewhere).code == 0
    served = BundleImportResult.model_validate(customer("bundle", "import", january, "--json", *elsewhere).result)
    assert (served.newer_known, [model.version for model in served.models]) == (True, ["2026.1"])
    publication.withdraw("2026.1", "It invents methods.")
    assert customer("bundle", "export", march, "7b-q4_0").code == 0
    assert customer("bundle", "import", march, *elsewhere).code == 0
    refused = BundleImportResult.model_validate(customer("bundle", "import", january, "--json", *elsewhere).result)
    assert (refused.models, refused.refused) == ((), ("bbj-coder:2026.1-7b-q4_0",))
