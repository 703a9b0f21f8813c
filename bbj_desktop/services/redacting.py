"""Takes out of a text what a support archive must not carry: secrets, names of people and machines, and prompts.

Rather too much than too little: what is taken out leaves a mark, so that the rest can still be read.
"""

from __future__ import annotations

import getpass
import ipaddress
import json
import os
import re
import socket
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bbj_desktop.services.logs import redacted

_TOKENS = (
    re.compile(r"-----BEGIN [A-Z ]+-----.*?-----END [A-Z ]+-----", re.DOTALL),
    re.compile(r"\b(?:hf_|gh[pousr]_|github_pat_|sk-|xox[abp]-|AKIA|AIza|glpat-|npm_|pypi-)[\w-]{10,}"),
    re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),  # a JSON web token
)
_MAIL = re.compile(r"(?<![\w.+@-])[\w.+-]+@[\w-]+(?:\.[\w-]+)*")  # also user@host
_QUERY = re.compile(r"(?<=\?)[^\s\"'<>?=]+=[^\s\"'<>)]*")  # of an address; it may hold a signature
_SHARE = re.compile(r"(?P<lead>(?<![\w:\\/])(?:\\\\(?:\\\\)?|//))(?P<host>[\w.-]+)(?=[\\/])")  # \\host\share
_HOMES = re.compile(r"(?:(?<![\w.])/(?:home|Users)/|[A-Za-z]:(?:\\\\|\\|/)Users(?:\\\\|\\|/))[^/\\\s\"':;,)]+")
_URL_HOST = re.compile(
    r"(?<![a-z0-9+.-])(?P<scheme>[a-z0-9+.-]++)://(?:…@)?(?P<host>\[[0-9a-fA-F:]+\]|[^\s/:\"'<>,)\]~…]+)"
)
_HOST_AND_PORT = re.compile(r"(?<![\w.@/-])[\w-]+(?:\.[\w-]+)+(?=:\d{2,5}\b)")
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?![\w.]*\d)")
_IPV6 = re.compile(r"(?<![\w:])[0-9a-fA-F]{0,4}(?::[0-9a-fA-F]{0,4}){2,7}(?![\w:])")
_LONG_QUOTE = re.compile(r"(?P<mark>[\"'])(?=[^\"']*\s)[^\"'\n]{60,}(?P=mark)")
_INPUT_VALUE = re.compile(r"input_value=.*?(?=, input_type=|$)")
_ENTRY = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ \d+ [A-Z]+ \S+: ")
_ENGINE_SAID = re.compile(r"( ends: Engine\w+: .*?): .*")
"""An engine's own words in an error of ours come after the first colon; they may quote the question."""
_EXCEPTION = re.compile(r"(?P<kind>[A-Za-z_][\w.]*(?:Error|Exception|Warning|Interrupt|Cancelled|Exit))\b(?:: .*)?$")
_TALKS = re.compile(r"prompt|content|messages|completion|question|answer|input|suffix", re.IGNORECASE)
_LEAST_NAME = 2  # characters; a shorter name stands in too many words
_COMMON = frozenset({"admin", "administrator", "data", "guest", "home", "root", "user", "users"})
"""Names of people that are everybody's words: only their folders are recognised, below that of all users."""
_PART = re.compile(r"(?<=[/\\])[^/\\\s\"':;,)]+")  # of a path
_LEAST_SECRET = 6  # characters, likewise
_SECRET_VARIABLE = re.compile(r"TOKEN|PASS|SECRET|_KEY$|CREDENTIAL", re.IGNORECASE)


class Redactor:
    """What has to go, and what stands in its place: the same host gets the same number everywhere.

    Args:
        users: Names of people, as the system knows them.
        homes: Their folders.
        hosts: Names of machines that aren't recognised by their form.
        secrets: Keys and tokens of this machine, wherever they stand.
    """

    def __init__(
        self,
        *,
        users: Iterable[str],
        homes: Iterable[str | Path] = (),
        hosts: Iterable[str] = (),
        secrets: Iterable[str] = (),
    ) -> None:
        forms = _forms_of(users)
        self._users = re.compile(rf"(?<!\w)(?:{forms})(?!\w)", re.IGNORECASE) if forms else None
        self._users_in_parts = re.compile(rf"(?<![^\W_])(?:{forms})(?![^\W_])", re.IGNORECASE) if forms else None
        self._secrets = sorted({each for each in secrets if len(each) >= _LEAST_SECRET}, key=len, reverse=True)
        self._homes = sorted({_composed(str(home)) for home in homes if len(str(home)) > _LEAST_NAME}, key=len)[::-1]
        self._numbers: dict[str, str] = {}
        self._known = [host for host in hosts if host]

    @classmethod
    def for_this_machine(cls, *, hosts: Iterable[str] = (), secrets: Iterable[str] = ()) -> Redactor:
        """For the names of this user and machine, and the secrets that its environment holds.

        Args:
            hosts: Further names, of servers say.
            secrets: Further secrets.
        """
        held = [value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name)]
        own = {socket.gethostname(), socket.gethostname().partition(".")[0]}
        home = Path.home()
        return cls(users=_own_names(), homes={home, home.resolve()}, hosts=[*own, *hosts], secrets=[*held, *secrets])

    def text(self, text: str) -> str:
        """The text without secrets, people, machines."""
        text = _composed(text)
        for secret in self._secrets:
            text = text.replace(secret, "…secret…")
        for pattern in _TOKENS:
            text = pattern.sub("…secret…", text)
        text = redacted(text)
        text = _QUERY.sub("…", text)
        text = _MAIL.sub("…mail…", text)
        for home in self._homes:
            for form in (home, home.replace("\\", "\\\\"), quote(home)):
                text = re.sub(rf"(?<![\w.-]){re.escape(form)}(?![\w-])", "~", text)
        text = _HOMES.sub("~", text)
        text = _URL_HOST.sub(lambda match: f"{match['scheme']}://{self._host(match['host'])}", text)
        text = _SHARE.sub(lambda match: f"{match['lead']}{self._host(match['host'])}", text)
        text = _HOST_AND_PORT.sub(lambda match: self._host(match[0]), text)
        for pattern in (_IPV4, _IPV6):
            text = pattern.sub(lambda match: self._address(match[0]), text)
        for host in sorted({*self._known, *self._numbers}, key=len, reverse=True):
            if host != "localhost":
                text = re.sub(rf"(?<![\w.-]){re.escape(host)}(?![\w-])", self._host(host), text, flags=re.IGNORECASE)
        return self._without_users(text)

    def _without_users(self, text: str) -> str:
        """Names as words, and also between underscores in the parts of paths: ``max_tokens`` is no name of Max."""
        if self._users is None or self._users_in_parts is None:
            return text
        in_parts = self._users_in_parts
        text = _PART.sub(lambda match: in_parts.sub("…user…", match[0]), text)
        return self._users.sub("…user…", text)

    def value(self, value: Any) -> Any:
        """A JSON value with all its texts and names redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def document(self, value: Any) -> str:
        """A JSON document of it."""
        return json.dumps(self.value(value), indent=1, ensure_ascii=False) + "\n"

    def log(self, text: str, *, ours: bool) -> str:
        """A log file without prompts, too.

        Args:
            ours: Written by this program, which logs neither questions nor answers: then only what foreign errors
                carry is taken out. Of other programs' logs every line that may quote a question goes.
        """
        lines = list(_our_lines(text.splitlines()) if ours else _foreign_lines(text.splitlines()))
        return self.text("\n".join(lines) + "\n") if lines else ""

    def _host(self, host: str) -> str:
        bare = host.strip("[]").lower()
        if bare == "localhost" or bare.startswith(("host-", "address-")):
            return host
        if _is_address(bare):
            return self._address(host)
        return self._numbers.setdefault(bare, f"host-{len(self._numbers) + 1}")

    def _address(self, text: str) -> str:
        bare = text.strip("[]").lower()
        if not _is_address(bare):
            return text
        address = ipaddress.ip_address(bare)
        if address.is_loopback or address.is_unspecified:
            return text
        return self._numbers.setdefault(bare, f"address-{len(self._numbers) + 1}")


def hosts_in(*addresses: str | None) -> tuple[str, ...]:
    """The hosts of addresses, for ``Redactor``; what isn't an address is taken as a host."""
    found = []
    for address in addresses:
        if address and not address.startswith(("/", "file:", "~")):
            host = urlsplit(address if "://" in address else f"//{address}").hostname
            found.append(host or "")
    return tuple(host for host in found if host and not _is_address(host) and host != "localhost")


def _own_names() -> set[str]:
    names = {Path.home().name}
    try:
        names.add(getpass.getuser())
    except (OSError, KeyError):  # no name for this number
        return names
    return names


def _forms_of(users: Iterable[str]) -> str:
    """How names of people may be written, for a regular expression; empty for none."""
    forms = {
        form
        for user in map(_composed, users)
        if len(user) >= _LEAST_NAME and user.lower() not in _COMMON
        for form in (user, quote(user), user.encode("unicode_escape").decode())
    }
    return "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))


def _composed(text: str) -> str:
    """Letters in one piece: macOS writes ``ü`` in file names as a letter and a mark."""
    return unicodedata.normalize("NFC", text)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _our_lines(lines: Iterable[str]) -> Iterable[str]:
    """Entries with their tracebacks: places stay, what exceptions say goes, for it may quote anything."""
    place = False
    for line in lines:
        code, place = place, line.startswith('  File "')
        if _ENTRY.match(line):
            yield _ENGINE_SAID.sub(r"\1: …", _without_quotes(line))
        elif place or code or line.startswith("Traceback ("):
            yield line
        elif match := _EXCEPTION.match(line):
            yield f"{match['kind']}: …"


def _foreign_lines(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        yield "…" if _TALKS.search(line) else _without_quotes(line)


def _without_quotes(line: str) -> str:
    line = _INPUT_VALUE.sub("input_value=…", line)
    return _LONG_QUOTE.sub(lambda match: f"{match['mark']}… ({len(match[0]) - 2} characters){match['mark']}", line)
