"""Ollama's documented API, as far as it is used here.

The package ``ollama`` makes the short calls. httpx makes those that must be cut short, that carry files, or that need
fields which the package doesn't have (``truncate``, ``system``, ``/api/version``).
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pydantic
import truststore

from bbj_desktop.core.errors import EngineCrashedError, EngineMissingError, EngineRefusedError, StoreAccessError
from bbj_desktop.core.progress import Cancel, Report, Transfer
from bbj_desktop.services.runtime.answers import PullLine, Rendered, Shown, read_answer
from bbj_desktop.services.runtime.base import RunningModel
from bbj_desktop.services.runtime.ollama_package import Client, ResponseError
from bbj_desktop.services.runtime.ollama_refusal import refusal
from bbj_desktop.services.runtime.patience import Patience, Watchman
from bbj_desktop.services.runtime.wire import CONNECT_TIMEOUT_S, Wire, as_object, json_lines

STATUS_TIMEOUT_S = 1.5  # seconds; status() may take two
SHORT_TIMEOUT_S = 30.0  # seconds; for calls that only read or write manifests
UPLOAD_TIMEOUT_S = 600.0  # seconds without an answer after the last byte: Ollama then hashes the file
CREATE_TIMEOUT_S = 3600.0  # seconds between two status lines: Ollama copies the file without saying anything
_PIECE_BYTES = 1024 * 1024
_NOT_FOUND = 404
_NAME = "Ollama"
_TAKEN_HINT = "If another program uses that port, end it or give Ollama another one (OLLAMA_HOST)."


class OllamaApi:
    """Calls to one server. Every method may raise EngineMissingError (nothing listens), EngineCrashedError (it broke
    off) and EngineRefusedError (it said no).

    Args:
        address: As ``parse_ollama_host`` returns it.
        tls: For an https address; None trusts what the operating system trusts.
        patience: With answers.
    """

    def __init__(self, address: str, tls: ssl.SSLContext | None = None, patience: Patience | None = None) -> None:
        self.address = address
        self._patience = patience or Patience()
        verify: ssl.SSLContext | bool = False  # not looked at for http, and building a context takes time
        if urlsplit(address).scheme == "https":
            verify = tls or truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        key = os.environ.get("OLLAMA_API_KEY")  # as the package does
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._wire = Wire(address, _NAME, headers=headers, verify=verify)
        self._client = Client(
            address,
            trust_env=False,
            verify=verify,
            follow_redirects=False,
            timeout=httpx.Timeout(SHORT_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
        )

    def close(self) -> None:
        self._wire.close()
        self._client.close()  # type: ignore[no-untyped-call]  # the package leaves it untyped

    def version(self) -> str:
        """What every Ollama tells, so that whatever else listens there is told from it. Raises as the others do."""
        try:
            with self._wire.open("GET", "/api/version", silence_s=STATUS_TIMEOUT_S) as response:
                text = response.read().decode(errors="replace")
                status = response.status_code
        except EngineCrashedError as error:
            raise self._no_answer(error) from error
        said = _fields(text)
        if "error" in said and status >= httpx.codes.BAD_REQUEST:
            raise refusal(text, status=status, doing="tell its version")
        version = said.get("version")
        if not isinstance(version, str) or status != httpx.codes.OK:
            raise EngineRefusedError(
                f"What answers at {self.address} isn't Ollama: it tells no version (HTTP {status}).", hint=_TAKEN_HINT
            )
        return version

    def _no_answer(self, error: EngineCrashedError) -> EngineCrashedError:
        if isinstance(error.__cause__, httpx.TimeoutException):
            text = f"What listens at {self.address} says nothing for {STATUS_TIMEOUT_S:g} s: a busy Ollama, or none."
        else:
            text = f"What listens at {self.address} doesn't speak as Ollama does: {str(error.__cause__).rstrip('.')}."
        return EngineCrashedError(text, hint=_TAKEN_HINT)

    def tags(self) -> dict[str, str]:
        """Every model's name with the digest of its manifest: two names of one manifest are the same model."""
        with _translated("list its models"):
            models = self._client.list().models
        return {entry.model: entry.digest or "" for entry in models if entry.model}

    def show(self, name: str) -> dict[str, str] | None:
        """What Ollama knows about a model, see ``Shown``; None when it doesn't know it. (The package's answer has no
        ``system``.)"""
        with self._wire.open("POST", "/api/show", body={"model": name}, silence_s=SHORT_TIMEOUT_S) as response:
            if response.status_code == _NOT_FOUND:
                return None
            _check(response, f"show {name}")
            shown = read_answer(Shown, as_object(response.read().decode(errors="replace"), _NAME), _NAME)
            return {key: value or "" for key, value in shown}

    def copy(self, source: str, destination: str) -> None:
        with _translated(f"copy {source} to {destination}"):
            self._client.copy(source, destination)

    def delete(self, name: str) -> None:
        """Forgets a name; nothing happens if there is none."""
        with _translated(f"delete {name}"):
            try:
                self._client.delete(name)
            except ResponseError as error:
                if error.status_code != _NOT_FOUND:
                    raise

    def running(self) -> tuple[RunningModel, ...]:
        with _translated("list its running models"):
            models = self._client.ps().models
        return tuple(
            RunningModel(
                name=entry.name or entry.model or "",
                digest=entry.digest,
                size_bytes=int(entry.size) if entry.size is not None else None,
                vram_bytes=int(entry.size_vram) if entry.size_vram is not None else None,
            )
            for entry in models
        )

    def unload(self, name: str) -> None:
        """Frees a model's memory; nothing happens if it isn't loaded or not known."""
        with _translated(f"unload {name}"):
            try:
                self._client.generate(name, keep_alive=0)
            except ResponseError as error:
                if error.status_code != _NOT_FOUND:
                    raise

    def has_blob(self, digest: str, cancel: Cancel) -> bool:
        path = f"/api/blobs/{digest}"
        with self._wire.open("HEAD", path, silence_s=SHORT_TIMEOUT_S, cancel=cancel) as response:
            if response.status_code == _NOT_FOUND:
                return False
            _check(response, f"look for {digest}")
            return True

    def upload(self, path: Path, digest: str, report: Report, cancel: Cancel) -> None:
        """Streams a file into Ollama's store, which hashes it. A broken upload starts from the beginning."""
        try:
            size = path.stat().st_size
        except OSError as error:
            raise StoreAccessError(f"{path} can't be read: {error}.", hint="Install the version again.") from error
        with self._wire.open(
            "POST",
            f"/api/blobs/{digest}",
            content=_pieces(path, size, report, cancel),
            headers={"Content-Length": str(size)},
            silence_s=UPLOAD_TIMEOUT_S,
            cancel=cancel,
        ) as response:
            _check(response, f"take {path.name}")

    def create(self, body: dict[str, Any], cancel: Cancel) -> Iterator[str]:
        """Makes a model; yields what Ollama says on the way. Errors inside the stream are errors."""
        doing = f"create {body['model']}"
        succeeded = False
        with self._wire.open(
            "POST", "/api/create", body={**body, "stream": True}, silence_s=CREATE_TIMEOUT_S, cancel=cancel
        ) as response:
            _check(response, doing)
            for line in json_lines(response, _NAME):
                if "error" in line:
                    raise refusal(line["error"], status=None, doing=doing)
                succeeded = line.get("status") == "success"
                yield str(line.get("status", ""))
        if not succeeded:
            raise EngineCrashedError(f"Ollama ended without having said that it could {doing}.", hint="Try again.")

    def pull(self, name: str, cancel: Cancel, *, insecure: bool = True) -> Generator[PullLine]:
        """Lets Ollama fetch a model; yields what it says on the way. Errors inside the stream are errors.

        Args:
            name: With the registry's host, unless it is Ollama's own.
            insecure: That one may speak plain http.
        """
        doing = f"pull {name}"
        succeeded = False
        with self._wire.open(
            "POST", "/api/pull", body={"model": name, "insecure": insecure}, silence_s=CREATE_TIMEOUT_S, cancel=cancel
        ) as response:
            _check(response, doing)
            for line in json_lines(response, _NAME):
                if "error" in line:
                    raise refusal(line["error"], status=None, doing=doing)
                said = read_answer(PullLine, line, _NAME)
                succeeded = said.status == "success"
                yield said
        if not succeeded:
            raise EngineCrashedError(f"Ollama ended without having said that it could {doing}.", hint="Try again.")

    def render(self, body: dict[str, Any], cancel: Cancel) -> str | None:
        """The prompt that Ollama makes of a chat, without an answer; None when this version can't tell.

        Args:
            body: As of a chat; an older version answers it, with one token.
        """
        asked = {**body, "stream": False, "_debug_render_only": True}
        asked["options"] = {**body.get("options", {}), "num_predict": 1}
        with self._wire.open("POST", "/api/chat", body=asked, cancel=cancel) as response:
            _check(response, f"show the prompt of {body['model']}")
            said = read_answer(Rendered, as_object(response.read().decode(errors="replace"), _NAME), _NAME)
        return said.debug.rendered_template if said.debug is not None else None

    def chat(self, body: dict[str, Any], context_length: int, cancel: Cancel) -> Generator[dict[str, Any]]:
        """The lines of an answer; the last one has ``done``."""
        return self._answered("/api/chat", body, context_length, cancel)

    def generate(self, body: dict[str, Any], context_length: int, cancel: Cancel) -> Generator[dict[str, Any]]:
        """The same for a prompt that needs no template."""
        return self._answered("/api/generate", body, context_length, cancel)

    def _answered(
        self, path: str, body: dict[str, Any], context_length: int, cancel: Cancel
    ) -> Generator[dict[str, Any]]:
        doing = f"answer with {body['model']}"
        done = False
        watchman = Watchman(self._patience)
        with self._wire.open("POST", path, body=body, cancel=cancel, watchman=watchman) as response:
            _check(response, doing, context_length)
            lines = watchman.over(json_lines(response, _NAME))
            for line in lines:
                if "error" in line:
                    raise refusal(line["error"], status=None, doing=doing, context_length=context_length)
                done = bool(line.get("done"))
                yield line
                if done:
                    _see_off(lines)
                    break
        if not done:
            raise EngineCrashedError("Ollama broke off in the middle of the answer.", hint="Ask again.")


def _fields(text: str) -> dict[str, Any]:
    """Of a JSON object; empty for anything else."""
    try:
        said = as_object(text, _NAME)
    except EngineRefusedError:
        return {}
    return said


def _see_off(lines: Iterator[object]) -> None:
    """Reads a stream to its end, so that the server doesn't take a whole answer for one that was given up. However it
    ends, the answer stays whole."""
    with contextlib.suppress(httpx.HTTPError, httpx.StreamError, EngineRefusedError):
        for _ in lines:
            pass


def _pieces(path: Path, size: int, report: Report, cancel: Cancel) -> Iterator[bytes]:
    done = 0
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE_BYTES):
                cancel.check()
                yield piece
                done += len(piece)
                report(Transfer(done_bytes=done, total_bytes=size))
    except OSError as error:
        raise StoreAccessError(f"{path} can't be read: {error}.", hint="Install the version again.") from error


def _check(response: httpx.Response, doing: str, context_length: int = 0) -> None:
    """Raises what a status of 400 or above stands for."""
    if response.status_code < httpx.codes.BAD_REQUEST:
        return
    text = response.read().decode(errors="replace")
    raise refusal(
        text or response.reason_phrase, status=response.status_code, doing=doing, context_length=context_length
    )


@contextlib.contextmanager
def _translated(doing: str) -> Iterator[None]:
    """The package's exceptions in our own."""
    try:
        yield
    except ResponseError as error:
        raise refusal(error.error, status=error.status_code, doing=doing) from error
    except (ConnectionError, httpx.ConnectTimeout) as error:
        raise EngineMissingError("Ollama doesn't answer.", hint="Start it, or check its address.") from error
    except httpx.HTTPError as error:
        raise EngineCrashedError(f"Ollama broke off when asked to {doing}: {error}.", hint="Try again.") from error
    except (pydantic.ValidationError, ValueError) as error:
        raise EngineRefusedError(f"Ollama answered something unexpected when asked to {doing}: {error}.") from error
