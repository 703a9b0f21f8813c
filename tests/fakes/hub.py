"""A file host that behaves as the Hugging Face Hub does for plain downloads.

``/<org>/<repo>/resolve/<revision>/<path>`` answers 302 to a content network on another port, whose address carries a
signature that expires; ``X-Linked-ETag`` and ``X-Linked-Size`` on the redirect name the content, ``X-Repo-Commit`` the
revision. Small files are served in place, as the Hub does for files outside its large-file storage. A renamed
repository answers 307 to its new name, with a relative address. ``X-Error-Code`` names the reason of a refusal; to
somebody without a valid token, a repository that isn't there answers as a private one does.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Collection, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fakes.release_server import Handler, ReleaseServer

_SECRET = b"hub and content network know it"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class _Network(ReleaseServer):
    """The content network: files by digest, for whoever holds a signature that is still valid."""

    def answer(self, handler: Handler, path: str) -> bool:
        query = parse_qs(urlsplit(handler.path).query)
        expires, signature = query.get("Expires", ["0"])[0], query.get("Signature", [""])[0]
        if hmac.compare_digest(signature, _sign(path, expires)) and float(expires) > time.time():
            return False
        handler.head(403, {"Content-Length": "0"})
        return True


class Hub(ReleaseServer):
    """Serves one repository at ``repository_address``; a context manager.

    Args:
        files: Contents by path in the repository.
        repository: ``org/name``.
        large_bytes: Files from this length on live on the content network.
        valid_s: How long an address of the content network is valid, in seconds.
        token: Access token that is valid.
        private: Only its owner, who has the token, sees the repository.
        gated: Its readers need the token.
        revisions: Branches, tags and commits that it has.

    Attributes:
        granted: Whether the token's account may read the gated repository.
        network: The content network, for its requests and faults.
        renamed: Former names of the repository.
    """

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        repository: str = "basis/bbj-coder",
        large_bytes: int = 1024,
        valid_s: float = 60.0,
        token: str = "hf_secret",
        private: bool = False,
        gated: bool = False,
        revisions: Collection[str] = ("main",),
    ) -> None:
        self.repository = repository
        self.repository_files = files
        self.renamed: set[str] = set()
        self.large_bytes = large_bytes
        self.valid_s = valid_s
        self.token = token
        self.private = private
        self.gated = gated
        self.granted = True
        self.revisions = revisions
        self.network = _Network({_name(content): content for content in files.values()})
        self._in_place: dict[str, bytes] = {}
        super().__init__(self._in_place)

    def replace(self, files: Mapping[str, bytes]) -> None:
        """Commits other contents: everything that was there is gone."""
        self._in_place = {}
        self.files, self.repository_files = self._in_place, files
        self.network.files = {_name(content): content for content in files.values()}

    @property
    def repository_address(self) -> str:
        return f"{self.address}/{self.repository}/resolve/main"

    def answer(self, handler: Handler, path: str) -> bool:
        raw = urlsplit(handler.path).path.lstrip("/")  # a revision's own slashes are quoted
        parts = [unquote(part) for part in raw.split("/", 4)]
        if len(parts) != 5 or parts[2] != "resolve":
            return False
        name = "/".join(parts[:2])
        if name in self.renamed:
            new = f"/{self.repository}/resolve/{quote(parts[3], safe='')}/{quote(parts[4])}"
            handler.head(307, {"Location": new, "Content-Length": "0"})
        elif (refusal := self._refusal(handler, name, *parts[3:])) is not None:
            status, code = refusal
            handler.head(status, {"Content-Length": "0", "X-Error-Code": code})
        else:
            return self._send(handler, path, self.repository_files[parts[4]])
        return True

    def _refusal(self, handler: Handler, name: str, revision: str, path: str) -> tuple[int, str] | None:
        known = handler.current.headers.get("authorization") == f"Bearer {self.token}"
        if name != self.repository or (self.private and not known):
            return (404 if known else 401), "RepoNotFound"
        if self.gated and not (known and self.granted):
            return (403 if known else 401), "GatedRepo"
        if revision not in self.revisions:
            return 404, "RevisionNotFound"
        return None if path in self.repository_files else (404, "EntryNotFound")

    def _send(self, handler: Handler, path: str, content: bytes) -> bool:
        if len(content) < self.large_bytes:
            self._in_place[path] = content  # never a copy: requests come at the same time
            return False
        handler.head(302, self._redirect(content))
        return True

    def _redirect(self, content: bytes) -> dict[str, str]:
        name = _name(content)
        expires = str(time.time() + self.valid_s)
        return {
            "Location": f"{self.network.address}/{name}?Expires={expires}&Signature={_sign(name, expires)}",
            "X-Linked-ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": COMMIT,
            "Content-Length": "0",
        }

    def close(self) -> None:
        super().close()
        self.network.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _name(content: bytes) -> str:
    return f"repos/{hashlib.sha256(content).hexdigest()}"


def _sign(path: str, expires: str) -> str:
    return hmac.new(_SECRET, f"{path}?{expires}".encode(), "sha256").hexdigest()
