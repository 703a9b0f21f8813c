"""How to reach other machines, as a value. What the settings say about the network ends up here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

DIRECT = "direct"
"""Value of ``Network.proxy`` that stands for no proxy, whatever the system and the environment say."""

_PROXY_SCHEMES = ("http", "https")


class Network(BaseModel):
    """How to reach other machines.

    Attributes:
        proxy: ``http://host:port`` (``https://…``, with ``user:password@`` where it asks for them); None takes the
            system's and the environment's; ``"direct"`` takes none.
        no_proxy: Host names and addresses that are reached without ``proxy``; ``.example.org`` stands for a domain
            with all hosts in it. The system's and the environment's proxies bring exceptions of their own.
        ca_file: PEM file with certificates to trust besides the operating system's, e.g. the company's own.
        client_certificate: PEM file with the certificate that is shown to a server that asks for one.
        client_key: PEM file with its key, without a passphrase; None when the certificate's file holds it, too.
        connect_timeout_s: Seconds that a connection may take, TLS not included.
        stall_timeout_s: Seconds without a byte (or below ``min_rate_bytes_per_s``) after which a transfer is given up.
        min_rate_bytes_per_s: A transfer slower than this, over ``stall_timeout_s``, counts as stalled.
        max_redirects: Redirects that are followed for one request.
    """

    model_config = ConfigDict(frozen=True)

    proxy: str | None = None
    no_proxy: tuple[str, ...] = ("localhost", "127.0.0.1", "::1")
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    connect_timeout_s: Annotated[float, Field(gt=0, le=600)] = 10.0
    stall_timeout_s: Annotated[float, Field(gt=0, le=3600)] = 30.0
    min_rate_bytes_per_s: Annotated[float, Field(ge=0)] = 256.0
    max_redirects: Annotated[int, Field(ge=0, le=20)] = 5

    @model_validator(mode="after")
    def _key_has_a_certificate(self) -> Self:
        if self.client_key is not None and self.client_certificate is None:
            raise ValueError("client_key is set, but no client_certificate that it belongs to")
        return self

    @field_validator("proxy")
    @classmethod
    def _proxy_is_a_web_address(cls, value: str | None) -> str | None:
        if value is None or value == DIRECT:
            return value
        parts = urlsplit(value)
        if parts.scheme not in _PROXY_SCHEMES or not parts.hostname:
            raise ValueError(f"a proxy is {DIRECT!r} or begins with http:// or https:// and names a host")
        return value
