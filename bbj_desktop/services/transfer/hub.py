"""A registry in a repository of the Hugging Face Hub, or of a server that speaks as it does.

Files are plain HTTPS reads of ``<endpoint>/<org>/<repo>/resolve/<revision>/<path>``, by ranges, without the hub's own
client. The hub sends large files' readers on to a content network, with a signed address that expires: it is kept for
the next ranges of the same file, and asked for anew once the content network doesn't accept it any more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

import httpx

from bbj_desktop.core.errors import NotFoundError, ServerError, UserInputError
from bbj_desktop.core.network import Network
from bbj_desktop.services.transfer import credentials
from bbj_desktop.services.transfer.failures import FOREIGN
from bbj_desktop.services.transfer.web import Line, WebSource, drop

# the hub's own rule for names: letters, digits, "-", "_" and ".", at most 96 characters
_ADDRESS = re.compile(r"hf://([\w.-]{1,96})/([\w.-]{1,96})(?:@([^@\s]{1,255}))?/?", re.ASCII | re.IGNORECASE)
_NAME_OF_ERROR = "x-error-code"
_DONE = frozenset({200, 206, 416})


@dataclass(frozen=True)
class HubAddress:
    """What ``hf://org/repo[@revision]`` names.

    Attributes:
        revision: Branch, tag or commit.
    """

    organisation: str
    repository: str
    revision: str = "main"

    @property
    def name(self) -> str:
        return f"{self.organisation}/{self.repository}"

    def url(self, endpoint: str) -> str:
        """Where its files are."""
        return f"{endpoint}/{self.name}/resolve/{quote(self.revision, safe='')}"

    @classmethod
    def read(cls, address: str) -> HubAddress:
        """Raises UserInputError for an address of another form."""
        found = _ADDRESS.fullmatch(address)
        if found is None or any(set(part) == {"."} for part in (found[1], found[2])):
            raise UserInputError(
                f"{address!r} doesn't name a repository of the hub.",
                hint="It looks like hf://basis/bbj-coder, or hf://basis/bbj-coder@v2 with a branch, tag or commit.",
            )
        return cls(found[1], found[2], found[3] or "main")


class HubSource(WebSource):
    """One repository of the hub as a mirror of a registry.

    Args:
        address: ``hf://org/repo[@revision]``.
        network: How to reach the hub and its content network.
        endpoint: Another hub than that of ``HF_ENDPOINT``.

    Raises:
        UserInputError: The address or the file of certificates can't be used.
    """

    def __init__(self, address: str, network: Network, *, endpoint: str | None = None) -> None:
        self._place = HubAddress.read(address)
        endpoint = (endpoint or credentials.hub_endpoint()).rstrip("/")
        login = credentials.finder(endpoint, credentials.HUB_TOKEN_VARIABLE)
        super().__init__(self._place.url(endpoint), network, login=login)
        self.address = address.rstrip("/")
        self._endpoint = endpoint
        self._elsewhere: dict[httpx.URL, httpx.URL] = {}

    def _ask(self, line: Line, url: httpx.URL, headers: dict[str, str], what: str) -> httpx.Response:
        response = self._ask_elsewhere(line, url, headers) or super()._ask(line, url, headers, what)
        if response.status_code in _DONE and response.url.netloc != url.netloc:
            self._elsewhere[url] = response.url
        return response

    def _ask_elsewhere(self, line: Line, url: httpx.URL, headers: dict[str, str]) -> httpx.Response | None:
        """Asks where the hub sent us last time; None when that isn't good any more."""
        target = self._elsewhere.get(url)
        if target is None:
            return None
        try:
            response = self._send(line, target, headers)
        except FOREIGN:
            self._elsewhere.pop(url, None)
            raise
        if response.status_code in _DONE:
            return response
        self._elsewhere.pop(url, None)
        drop(response)
        return None

    def _check(self, response: httpx.Response, what: str) -> None:
        """Tells the hub's reasons apart; it names them in a header."""
        if response.url.netloc == httpx.URL(self._endpoint).netloc:
            match response.headers.get(_NAME_OF_ERROR, ""):
                case "GatedRepo":
                    raise self._gated(response)
                case "RepoNotFound":
                    raise self._no_repository(response)
                case "RevisionNotFound":
                    raise NotFoundError(
                        f"{self._place.name} has no revision {self._place.revision!r}.",
                        hint="After @ in the address comes a branch, a tag or a commit.",
                    )
        super()._check(response, what)

    def _gated(self, response: httpx.Response) -> ServerError:
        page = f"{self._endpoint}/{self._place.name}"
        if self._known_login is None:
            text, hint = (
                f"{self.address} asks who reads it.",
                f"Ask for access at {page}, then log in: {self._login_hint}",
            )
        else:
            text, hint = f"{self.address} doesn't give this account access.", f"Ask for access at {page}."
        return ServerError(text, status=response.status_code, hint=hint)

    def _no_repository(self, response: httpx.Response) -> NotFoundError | ServerError:
        """To strangers the hub doesn't say whether a repository is private or isn't there."""
        if self._known_login is not None or response.status_code == httpx.codes.NOT_FOUND:
            return NotFoundError(
                f"There is no repository {self._place.name} at {self._endpoint}, or not for this account.",
                hint="Check the address, and the account's rights.",
            )
        return ServerError(
            f"There is no repository {self._place.name} at {self._endpoint}, or it is private.",
            status=response.status_code,
            hint=f"Check the address; if it is private, log in: {self._login_hint}",
        )

    @property
    def _login_hint(self) -> str:
        return f"bbj-desktop registry login {self.address} (or {credentials.HUB_TOKEN_VARIABLE})"
