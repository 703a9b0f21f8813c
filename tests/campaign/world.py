"""What the campaign's operations change: a registry, a customer and an Ollama, put back before every kill."""

from __future__ import annotations

import hashlib
import random
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from bbj_desktop.actions import chatting, importing, recommending
from bbj_desktop.actions.context import Context
from bbj_desktop.core import chunks
from bbj_desktop.core.chat import Delta, Finished
from bbj_desktop.core.errors import NotFoundError
from bbj_desktop.core.hardware import HardwareProfile
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.versions import InstalledVersion, aliases_of
from bbj_desktop.services.registry.bundle import find_bundles
from bbj_desktop.services.registry.client import Registry, blob_path
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.sources import open_source
from tests.campaign.forking import Place
from tests.fakes.machines import machine
from tests.fakes.ollama import FakeOllama, Model
from tests.fakes.published import Publication, customer

ASIDE = "bbj-aside:2026.1-3b-q4_0"
FIRST = "bbj-coder:2026.1-7b-q4_0"
SECOND = "bbj-coder:2026.2-7b-q4_0"
ADAPTED = "bbj-adapted:2026.1-7b-q4_0_lora"
ADAPTED_NEXT = "bbj-adapted:2026.2-7b-q4_0_lora"
EXTRA_NAME = "Setup für alle.exe"
EXTRAS = "installers for Björn"
CHUNK_BYTES = 96 * 1024  # the longest chunk here: small files cut as finely as large ones are
HIDDEN = 512  # makes models of 0.9 MB: what may come again is a small part of them
_DIGEST_NAME = re.compile(r"sha256-[0-9a-f]{64}")


class Customer(Context):
    """A customer whose machine is known: looking at it changes no file."""

    def profile(self) -> HardwareProfile:
        return machine(64, system="linux")


def customer_at(place: Place) -> Customer:
    made = customer(place.folder / "Kunde Müller", ollama_host=place.ollama)
    return Customer(settings=made.settings, paths=made.paths)


def publication_at(place: Place) -> Publication:
    return Publication(place.folder / "registry", place.folder / "keys", place.folder / "models")


class World:
    """Everything that the operations change, with copies of former states.

    Args:
        place: Where it lies and is reached.
        ollama: The server at that address.
        copies: Folder for the states.
    """

    def __init__(self, place: Place, ollama: FakeOllama, copies: Path) -> None:
        self.place = place
        self._ollama = ollama
        self._copies = copies
        self._kept: dict[str, tuple[Mapping[str, bytes], Mapping[str, Model]]] = {}

    def keep(self, name: str) -> None:
        shutil.copytree(self.place.folder, self._copies / name, symlinks=True)
        self._kept[name] = dict(self._ollama.blobs), dict(self._ollama.models)

    def restore(self, name: str) -> None:
        shutil.rmtree(self.place.folder)
        shutil.copytree(self._copies / name, self.place.folder, symlinks=True)
        blobs, models = self._kept[name]
        self._ollama.blobs, self._ollama.models = dict(blobs), dict(models)
        self._ollama.loaded = set()

    # what must hold after every kill

    def check_customer(self, *kept: str) -> None:
        """The store opens without a complaint, the versions ``kept`` are whole and answer, and so does whatever is
        active."""
        with closing(customer_at(self.place)) as context:
            store = context.open_store()
            problems = store.problems()
            assert problems == (), problems
            versions = {version.key: version for version in store.versions()}
            for key in kept:
                assert key in versions, f"{key} is lost"
                store.verify(key, silent, Cancel())
                self._check_answers(context, key)
            active = {version.slot: version.key for version in versions.values() if version.active}
            for slot in {versions[key].slot for key in kept}:
                assert slot in active, f"nothing is active in {slot}"
            for key in set(active.values()) - set(kept):
                store.verify(key, silent, Cancel())
                self._check_answers(context, key)

    def _check_answers(self, context: Context, key: str) -> None:
        answer = list(chatting.open_conversation(context, key).ask("Open a window.", Cancel()))
        said = "".join(event.text for event in answer if isinstance(event, Delta))
        assert said == "".join(self._ollama.answer), f"{key} answers {said!r}"
        assert isinstance(answer[-1], Finished)

    def check_registry(self, *states: frozenset[str]) -> None:
        """Whoever reads the registry for the first time gets one of these states, whole."""
        publication = publication_at(self.place)
        state = self.place.folder.parent / "reader"
        shutil.rmtree(state, ignore_errors=True)
        source = open_source(str(publication.folder), Network(proxy=DIRECT))
        registry = Registry.open(source, state, initial_root=publication.root)
        with closing(source):
            offering = registry.offering("stable", Cancel(), app_version="99")
            found = {f"{offer.release.model}:{offer.release.version}" for offer in offering.offers}
            assert found in states, f"offered are {sorted(found)}"
            for offer in offering.offers:
                variant = offer.release.variants[0]
                index = registry.chunk_index(variant, Cancel())
                path = blob_path(variant.file.digest)
                fetch(source, path, index, state / "model", silent, Cancel(), limits=Limits(attempts=1))

    # what must hold after the next run

    def check_done(self, active: str, *, gone: str = "") -> None:
        """As if nothing had happened: nothing left over, the aliases mean the active version."""
        with closing(customer_at(self.place)) as context:
            store = context.open_store()
            assert store.leftovers() == (), store.leftovers()
            version = store.get(active)
            assert version.active
            self._check_aliases(version)
            if gone:
                assert gone not in self._ollama.models
                with suppress(NotFoundError):
                    store.get(gone)
                    raise AssertionError(f"{gone} is still installed")

    def _check_aliases(self, version: InstalledVersion) -> None:
        for name in (version.key, *aliases_of(version.release)):
            assert name in self._ollama.models, f"Ollama doesn't know {name}"
            assert self._ollama.models[name] == self._ollama.models[version.key], f"{name} means another version"

    def check_tidy(self) -> None:
        """A publication left nothing half-written behind."""
        left = [str(path) for path in publication_at(self.place).folder.rglob("*.new")]
        assert left == [], left

    def check_opens(self) -> None:
        """What a purge left opens, however little it is."""
        with closing(customer_at(self.place)) as context:
            context.open_store().versions()

    def check_purged(self) -> None:
        with closing(customer_at(self.place)) as context:
            left = [folder for folder in context.paths.all_folders() if folder.exists()]
        assert left == [], left
        assert self._ollama.models == {}, sorted(self._ollama.models)

    def check_pinned(self) -> None:
        self.check_done(SECOND)
        with closing(customer_at(self.place)) as context:
            assert context.open_store().get(FIRST).pinned, f"{FIRST} isn't pinned"

    def check_files(self) -> None:
        """Every model file is there, whole, whatever the records say."""
        found = 0
        with closing(customer_at(self.place)) as context:
            for path in (context.paths.store / "blobs").iterdir():
                if _DIGEST_NAME.fullmatch(path.name):
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256").hexdigest()
                    assert path.name == f"sha256-{digest}", f"{path.name} is damaged"
                    found += 1
        assert found == 3, f"{found} of 3 model files are there"

    def check_imported(self) -> None:
        """What was imported is on this machine, whole: an install fetches nothing."""
        with closing(customer_at(self.place)) as context:
            offering = recommending.read_offering(context, Cancel())
            release = next(offer.release for offer in offering.offers if offer.release.model == "bbj-coder")
            file = release.variants[0].file
            assert context.open_store().held_bytes()[file.digest] >= file.length_bytes

    def check_extras(self) -> None:
        """What was fetched is there whole, under its own name alone."""
        files = [path for path in (self.place.folder / EXTRAS).rglob("*") if path.is_file()]
        assert [path.name for path in files] == [EXTRA_NAME], sorted(map(str, files))
        assert files[0].read_bytes() == extra_content(), "the extra is damaged"

    def check_stick(self) -> None:
        """What was exported brings the model to a machine that has nothing."""
        self._check_brings([self.place.folder / "stick"])

    def check_sticks(self) -> None:
        self._check_brings(sorted((self.place.folder / "sticks").glob("volume-*")))

    def _check_brings(self, sticks: Sequence[Path]) -> None:
        folder = self.place.folder.parent / "newcomer"
        shutil.rmtree(folder, ignore_errors=True)
        with closing(customer(folder, ollama_host=self.place.ollama)) as context:
            root, bundles = publication_at(self.place).root, find_bundles(sticks)
            imported = importing.import_bundle(context, bundles, silent, Cancel(), root=root)
        assert [(model.key, model.whole) for model in imported.models] == [(FIRST, True)], imported.models


def extra_content() -> bytes:
    """Of the extra, the same in every process."""
    return random.Random(5).randbytes(1_200_000)  # noqa: S311 - not a secret


def cut_small() -> None:
    """Makes this process plan chunks of at most ``CHUNK_BYTES``."""
    lengths = {"MIN_CHUNK_BYTES": CHUNK_BYTES // 2, "MAX_CHUNK_BYTES": CHUNK_BYTES, "PLAIN_CHUNK_BYTES": CHUNK_BYTES}
    for name, length in lengths.items():
        setattr(chunks, name, length)
