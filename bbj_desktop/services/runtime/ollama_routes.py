"""Takes a version into Ollama by a route, and judges what Ollama then has."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bbj_desktop.core.errors import EngineRefusedError, NotReachedError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report, Step
from bbj_desktop.core.release import FileReference
from bbj_desktop.core.routes import Route
from bbj_desktop.core.versions import InstalledVersion, PromptCheck
from bbj_desktop.services.meter import Meter
from bbj_desktop.services.runtime.ollama_api import OllamaApi
from bbj_desktop.services.runtime.ollama_link import OllamaFolder, RouteRefusedError
from bbj_desktop.services.runtime.ollama_loopback import Blob
from bbj_desktop.services.runtime.ollama_pull import FileBlob, pull
from bbj_desktop.services.runtime.ollama_release import creation_of, rendering_of
from bbj_desktop.services.runtime.rendering import compare_prompt
from bbj_desktop.services.store.checking import digest_of_file


class RouteTaker:
    """The routes into one Ollama.

    Args:
        api: The server.
        models: Its models folder, where that can be looked at.
        notes: A folder of ours, for what is pending in Ollama's.
    """

    def __init__(self, api: OllamaApi, models: Path | None, notes: Path | None) -> None:
        self._api = api
        self._models = models
        self._notes = notes

    def take(self, route: Route, version: InstalledVersion, report: Report, cancel: Cancel) -> None:
        """Makes Ollama know a version whose verified files are here.

        Raises:
            RouteRefusedError: The route doesn't work here, and nothing of it stays.
            EngineError, StoreError: Something went wrong that another route wouldn't better.
        """
        report(Step(route.value, f"Registering {version.key} with Ollama ({route.value})"))
        if route is Route.LINK:
            self._link(version, cancel)
        elif route is Route.CREATE:
            self._create(version, report, cancel)
        else:
            files = {part.file.digest: FileBlob(path, part.file.length_bytes) for part, path in version.files}
            try:
                pull(self._api, version, files, report, cancel)
            except NotReachedError as error:
                raise RouteRefusedError(error.message) from error

    def stream(self, version: InstalledVersion, files: Mapping[str, Blob], report: Report, cancel: Cancel) -> None:
        """Makes Ollama know a version whose files come from elsewhere, by their digests. Raises as ``pull``."""
        report(Step("stream", f"Fetching {version.key} straight into Ollama"))
        pull(self._api, version, files, report, cancel)

    def _link(self, version: InstalledVersion, cancel: Cancel) -> None:
        if self._models is None or self._notes is None:
            raise RouteRefusedError("Where Ollama keeps its models can't be seen.")
        folder = OllamaFolder(self._models, self._notes)
        try:
            folder.place(version, lambda digest: self._api.has_blob(digest, cancel), cancel)
        except StoreAccessError as error:
            raise RouteRefusedError(error.message) from error

    # create

    def _create(self, version: InstalledVersion, report: Report, cancel: Cancel) -> None:
        for part, path in version.files:
            if not self._api.has_blob(part.file.digest, cancel):
                report(Step("upload", f"Handing {version.key} to Ollama"))
                self._api.upload(path, part.file.digest, report, cancel)
        try:
            for _ in self._api.create(creation_of(version), cancel):
                cancel.check()
        except EngineRefusedError as error:
            if version.variant.adapter is None or "adapter" not in error.message.lower():
                raise
            raise EngineRefusedError(
                f"This Ollama takes no adapters, which {version.key} has: {error.message}",
                hint="Install the release's whole variant, or use the embedded engine (--runtime embedded).",
            ) from error

    # afterwards

    def hashed(self, file: FileReference, report: Report, cancel: Cancel) -> bool | None:
        """Whether Ollama's blob has the bytes that its name says, by our own hashing; None when we can't read it.

        Args:
            file: The blob.
        """
        if self._models is None:
            return None
        path = self._models / "blobs" / file.digest.replace(":", "-")
        try:
            return digest_of_file(path, file, Meter(report, file.length_bytes), cancel) == file.digest
        except StoreAccessError:
            return None

    def check_rendering(self, version: InstalledVersion, report: Report, cancel: Cancel) -> PromptCheck:
        """Compares the prompt that Ollama renders with the one that the release was trained with.

        Raises:
            EngineMismatchError: They differ.
        """
        example = version.release.prompt.rendering
        if example is None:
            return PromptCheck.NO_EXAMPLE
        rendered = self._api.render(rendering_of(version, example), cancel)
        return compare_prompt(version, rendered, "Ollama" if rendered is not None else "This Ollama", report)
