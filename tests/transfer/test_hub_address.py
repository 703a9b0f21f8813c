"""``hf://org/repo[@revision]``: the hub's repositories by their names, private and gated ones, expiring addresses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bbj_desktop.core.errors import BBjDesktopError, NotFoundError, ServerError, UserInputError
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.services.transfer.fetch import Limits, fetch
from bbj_desktop.services.transfer.hub import HubAddress
from bbj_desktop.services.transfer.source import Source
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.hub import Hub
from tests.fakes.payload import index_of, payload
from tests.fakes.release_server import Fault
from tests.fakes.vault import vault

CONTENT = payload()
NAME = "hf://basis/bbj-coder"

Open = Callable[..., Source]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with Hub({"metadata/timestamp.json": b"{}", "blobs/model.gguf": CONTENT}, revisions=("main", "refs/pr/1")) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.address + "/")
        yield hub


@pytest.fixture
def opened() -> Iterator[Open]:
    sources: list[Source] = []

    def opened(address: str = NAME) -> Source:
        sources.append(open_source(address, Network(proxy=DIRECT)))
        return sources[-1]

    yield opened
    for source in sources:
        source.close()


def small(source: Source) -> bytes:
    return source.read("metadata/timestamp.json", limit_bytes=10, cancel=Cancel())


def large(source: Source) -> bytes:
    return source.read("blobs/model.gguf", limit_bytes=len(CONTENT), cancel=Cancel())


def refusal(source: Source) -> BBjDesktopError:
    with pytest.raises(BBjDesktopError) as caught:
        small(source)
    return caught.value


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("hf://basis/bbj-coder", HubAddress("basis", "bbj-coder", "main")),
        ("HF://basis/bbj_coder.2@v1.0", HubAddress("basis", "bbj_coder.2", "v1.0")),
        ("hf://basis/bbj-coder@refs/pr/1", HubAddress("basis", "bbj-coder", "refs/pr/1")),
    ],
)
def test_an_address_names_a_repository_and_a_revision(address: str, expected: HubAddress) -> None:
    assert HubAddress.read(address) == expected


@pytest.mark.parametrize("address", ["hf://basis", "hf://a/b/c", "hf://a b/c", "hf://../c", "hf://a/b@", "hf://ä/b"])
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(UserInputError):
        open_source(address, Network(proxy=DIRECT))


def test_a_repository_is_read_by_its_name(hub: Hub, opened: Open) -> None:
    assert small(opened()) == b"{}"
    assert {request.path.split("/resolve/")[0] for request in hub.requests} == {"basis/bbj-coder"}


@pytest.mark.usefixtures("hub")
def test_the_address_stays_as_it_was_written(opened: Open) -> None:
    assert opened(NAME + "@refs/pr/1").address == NAME + "@refs/pr/1"


@pytest.mark.usefixtures("hub")
def test_a_revision_with_slashes_is_read(opened: Open) -> None:
    assert large(opened(NAME + "@refs/pr/1")) == CONTENT


@pytest.mark.usefixtures("hub")
def test_a_revision_that_is_not_there_is_named(opened: Open) -> None:
    error = refusal(opened(NAME + "@v9"))
    assert isinstance(error, NotFoundError)
    assert "'v9'" in error.message


@pytest.mark.usefixtures("hub")
def test_a_file_that_is_not_there_is_an_ordinary_not_found(opened: Open) -> None:
    with pytest.raises(NotFoundError, match=r"2\.root\.json"):
        opened().read("metadata/2.root.json", limit_bytes=10, cancel=Cancel())


@pytest.mark.usefixtures("hub")
def test_a_stranger_is_told_that_a_repository_is_missing_or_private(opened: Open) -> None:
    error = refusal(opened("hf://basis/other"))
    assert isinstance(error, ServerError)
    assert "or it is private" in error.message
    assert "registry login hf://basis/other" in error.hint


def test_somebody_known_is_told_that_a_repository_is_missing(
    hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert isinstance(refusal(opened("hf://basis/other")), NotFoundError)


def test_a_private_repository_is_read_with_the_token_of_the_environment(
    hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private = True
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert large(opened()) == CONTENT


def test_a_private_repository_is_read_with_the_token_of_the_keyring(hub: Hub, opened: Open) -> None:
    hub.private = True
    with vault() as keyring:
        keyring.kept["bbj-desktop", hub.address] = f"Bearer {hub.token}"
        assert large(opened()) == CONTENT


def test_the_content_network_never_sees_the_token(hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.private = True
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert large(opened()) == CONTENT
    assert hub.network.requests
    assert not any("authorization" in request.headers for request in hub.network.requests)


def test_a_token_is_sent_only_when_the_hub_asks_for_it(hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.token)
    assert large(opened()) == CONTENT
    assert not any("authorization" in request.headers for request in hub.requests)


def test_the_token_of_other_registries_is_not_for_the_hub(
    hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.private = True
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", hub.token)
    assert isinstance(refusal(opened()), ServerError)
    assert not any("authorization" in request.headers for request in hub.requests)


def test_a_gated_repository_says_where_to_ask_and_how_to_log_in(hub: Hub, opened: Open) -> None:
    hub.gated = True
    error = refusal(opened())
    assert "asks who reads it" in error.message
    assert f"{hub.address}/basis/bbj-coder" in error.hint
    assert "registry login hf://basis/bbj-coder" in error.hint


def test_an_account_without_access_to_a_gated_repository_is_told_so(
    hub: Hub, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.gated, hub.granted = True, False
    monkeypatch.setenv("HF_TOKEN", hub.token)
    error = refusal(opened())
    assert isinstance(error, ServerError)
    assert error.status == 403
    assert "doesn't give this account access" in error.message


def test_the_hub_is_asked_once_for_the_address_of_a_file(hub: Hub, opened: Open, tmp_path: Path) -> None:
    fetch(
        opened(), "blobs/model.gguf", index_of(CONTENT), tmp_path / "model", silent, Cancel(), limits=Limits(streams=1)
    )
    assert len(hub.network.requests) > 2
    assert len(hub.requests) == 1


def test_an_address_that_expires_meanwhile_is_asked_for_anew(hub: Hub, opened: Open) -> None:
    source = opened()
    assert large(source) == CONTENT
    hub.network.script("*", Fault(status=403))
    assert large(source) == CONTENT
    assert len(hub.requests) == 2


def test_an_address_whose_host_has_gone_is_asked_for_anew(hub: Hub, opened: Open, tmp_path: Path) -> None:
    source = opened()
    hub.network.script("*", Fault(), Fault(drop_after=10), Fault(drop_after=0))
    limits = Limits(first_wait_s=0.01)
    fetch(source, "blobs/model.gguf", index_of(CONTENT), tmp_path / "model", silent, Cancel(), limits=limits)
    assert (tmp_path / "model").read_bytes() == CONTENT
