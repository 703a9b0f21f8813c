"""Every exception of the layers below ends in our tree."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
import securesystemslib.exceptions
import tuf.api.exceptions
import tuf.api.serialization

from bbj_desktop.core.errors import (
    BBjDesktopError,
    ExpiredError,
    MixAndMatchError,
    NotFoundError,
    RollbackError,
    ServerError,
    SignatureError,
    StalledError,
    StoreAccessError,
    TransportError,
    TrustError,
)
from bbj_desktop.services.registry.trust import ours, translated

EXPECTED: dict[str, type[BBjDesktopError]] = {
    "RepositoryError": MixAndMatchError,
    "UnsignedMetadataError": SignatureError,
    "BadVersionNumberError": RollbackError,
    "EqualVersionNumberError": RollbackError,
    "ExpiredMetadataError": ExpiredError,
    "LengthOrHashMismatchError": MixAndMatchError,
    "DownloadError": TransportError,
    "DownloadLengthMismatchError": MixAndMatchError,
    "SlowRetrievalError": StalledError,
    "DownloadHTTPError": ServerError,
    "SerializationError": MixAndMatchError,
    "DeserializationError": TrustError,
    "Error": TrustError,
    "FormatError": TrustError,
    "UnsupportedAlgorithmError": SignatureError,
    "UnsupportedLibraryError": SignatureError,
    "KeyMismatchError": SignatureError,
    "StorageError": StoreAccessError,
    "UnverifiedSignatureError": SignatureError,
    "VerificationError": SignatureError,
}


def by_name(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def foreign() -> Iterator[type[Exception]]:
    for module in (tuf.api.exceptions, tuf.api.serialization, securesystemslib.exceptions):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if issubclass(kind, Exception) and kind.__module__.startswith(("tuf", "securesystemslib")):
                yield kind


def make(kind: type[Exception]) -> Exception:
    if kind is tuf.api.exceptions.DownloadHTTPError:
        return tuf.api.exceptions.DownloadHTTPError("metadata/timestamp.json", 500)
    return kind("it went wrong")


FOREIGN: list[type[Exception]] = sorted(set(foreign()), key=by_name)


@pytest.mark.parametrize("kind", FOREIGN)
def test_each_foreign_exception_becomes_its_own_error(kind: type[Exception]) -> None:
    with pytest.raises(BBjDesktopError) as caught, translated("https://models.example"):
        raise make(kind)
    assert type(caught.value) is EXPECTED[kind.__name__]
    assert "https://models.example" in caught.value.message
    assert isinstance(caught.value.__cause__, kind)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("Expected root version 3 instead got version 5", MixAndMatchError),
        ("Expected snapshot version 3, got 2", MixAndMatchError),
        ("Expected stable v2, got v1.", MixAndMatchError),
        ("New timestamp version 1 must be >= 2", RollbackError),
        ("New snapshot version must be >= 2, got version 1", RollbackError),
        ("Expected stable.json version 1, got 2.", RollbackError),
    ],
)
def test_a_wrong_version_is_a_rollback_or_another_snapshot(said: str, expected: type[BBjDesktopError]) -> None:
    error = tuf.api.exceptions.BadVersionNumberError(said)
    assert type(ours(error, "https://models.example")) is expected


def test_a_missing_file_is_not_found() -> None:
    error = tuf.api.exceptions.DownloadHTTPError("metadata/timestamp.json", 404)
    assert type(ours(error, "https://models.example")) is NotFoundError


def test_an_error_of_the_file_system_is_about_this_machine() -> None:
    assert type(ours(PermissionError(13, "Permission denied"), "https://models.example")) is StoreAccessError
