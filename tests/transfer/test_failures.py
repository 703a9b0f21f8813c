"""Every exception of httpx has one of ours."""

from __future__ import annotations

import inspect

import httpx
import pytest

from bbj_desktop.core.errors import ConnectError, StalledError, TransportError
from bbj_desktop.services.transfer.failures import FOREIGN, translate


def _exceptions() -> list[type[Exception]]:
    found = [each for each in vars(httpx).values() if inspect.isclass(each) and issubclass(each, Exception)]
    return sorted(found, key=lambda each: each.__name__)


def _make(kind: type[Exception]) -> Exception:
    if issubclass(kind, httpx.HTTPStatusError):
        request = httpx.Request("GET", "http://example.org")
        return kind("wrong", request=request, response=httpx.Response(500, request=request))
    if kind in {httpx.StreamConsumed, httpx.ResponseNotRead, httpx.RequestNotRead, httpx.StreamClosed}:
        return kind()
    return kind("wrong")


@pytest.mark.parametrize("kind", _exceptions())
def test_it_is_caught_and_translated(kind: type[Exception]) -> None:
    assert issubclass(kind, FOREIGN)
    ours = translate(_make(kind), "http://example.org/file")
    assert isinstance(ours, TransportError)
    assert "http://example.org/file" in ours.message


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (httpx.ConnectTimeout("slow"), ConnectError),
        (httpx.ProxyError("407"), ConnectError),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), ConnectError),
        (httpx.ReadTimeout("slow"), StalledError),
        (ConnectionResetError(104, "reset"), TransportError),
    ],
)
def test_the_kind_is_kept(theirs: Exception, ours: type[TransportError]) -> None:
    assert type(translate(theirs, "x")) is ours


def test_a_certificate_that_is_not_trusted_points_to_the_company_proxy() -> None:
    assert "company proxy" in translate(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "x").hint
