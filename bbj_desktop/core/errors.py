"""Every error that this program raises on purpose, as one tree.

::

    BBjDesktopError                 has a message (what, to what), a hint (what to do now) and an exit code
    ├── UserInputError          2   a value that the user gave can't be used
    │   ├── SettingsError           … and it came from a settings file, the environment or a policy
    │   └── WindowError             the window can't be opened here
    ├── NotFoundError           3   no such model, version, channel or file
    ├── TransportError          4   the way failed, not the content: may be tried again
    │   ├── ConnectError            no connection (DNS, refused, TLS, proxy)
    │   ├── StalledError            the connection gives no bytes within the time limit
    │   ├── ServerError             an HTTP status that isn't what was asked for (``status``, ``retry_after_s``)
    │   ├── RangeError              the server answers another range than the one asked for
    │   └── ChangedError            the object changed between two ranges
    ├── TrustError              5   what came isn't what was signed: never tried again, never used
    │   ├── NoTrustedRootError      there is no root to start from
    │   ├── SignatureError          wrong keys or too few signatures
    │   ├── ExpiredError            signed, but too old (freeze, or a wrong clock)
    │   ├── RollbackError           older than what this machine has already seen
    │   ├── MixAndMatchError        parts of different snapshots, or of another length or digest than announced
    │   └── DigestError             a payload whose bytes aren't the signed ones
    ├── FormatError             6   a file or document that can't be read
    │   └── TooNewError             … because it is newer than this program (``needs``)
    ├── StoreError              7   the local store can't do what was asked
    │   ├── NoSpaceError            (``needed_bytes``, ``free_bytes``, ``path``)
    │   ├── StoreBusyError          another process writes
    │   ├── StoreAccessError        read-only, no permission, an unsuitable file system
    │   └── InUseError              the version is active, pinned or running
    ├── DoesNotFitError         8   the machine can't run it
    ├── EngineError             9   the program that runs the model
    │   ├── EngineMissingError      not installed, not running, not reachable
    │   ├── EngineTooOldError       (``found``, ``needs``)
    │   ├── EngineRefusedError      it answered, and said no
    │   │   ├── ContextFullError    the conversation is longer than its context
    │   │   └── NotReachedError     it was to come to this machine's own address, and never came
    │   ├── EngineCrashedError      its process ended
    │   └── EngineMismatchError     what it serves isn't what was registered
    ├── PublishError           10   the registry writer refuses
    └── Cancelled             130   the user said stop; shown to nobody

Lower layers' exceptions are wrapped at the service's edge (``raise … from error``). ``TransportError`` may be retried,
``TrustError`` may not; everything outside this tree is a bug.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar


class BBjDesktopError(Exception):
    """Root of the tree.

    Attributes:
        message: What happened, to what. One sentence for a person.
        hint: What to do now; may be empty.
        exit_code: What the command line returns.
        code: Stable name for scripts, e.g. ``"NoSpaceError"``.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def code(self) -> str:
        return type(self).__name__

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class UserInputError(BBjDesktopError):
    exit_code = 2


class SettingsError(UserInputError):
    pass


class WindowError(UserInputError):
    pass


class NotFoundError(BBjDesktopError):
    exit_code = 3


class TransportError(BBjDesktopError):
    exit_code = 4


class ConnectError(TransportError):
    pass


class StalledError(TransportError):
    pass


class ServerError(TransportError):
    """An HTTP status other than the expected.

    Attributes:
        status: HTTP status code.
        retry_after_s: Seconds that the server asks to wait, or None.
    """

    def __init__(self, message: str, *, status: int, retry_after_s: float | None = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retry_after_s = retry_after_s


class RangeError(TransportError):
    pass


class ChangedError(TransportError):
    pass


class TrustError(BBjDesktopError):
    exit_code = 5


class NoTrustedRootError(TrustError):
    pass


class SignatureError(TrustError):
    pass


class ExpiredError(TrustError):
    pass


class RollbackError(TrustError):
    pass


class MixAndMatchError(TrustError):
    pass


class DigestError(TrustError):
    """Bytes that aren't the signed ones.

    Attributes:
        expected: Signed digest, ``sha256:<hex>``.
        actual: Digest of what came.
    """

    def __init__(self, message: str, *, expected: str, actual: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.actual = actual


class FormatError(BBjDesktopError):
    exit_code = 6


class TooNewError(FormatError):
    """A document that a newer program wrote.

    Attributes:
        needs: The least version that reads it, or the format number, as text.
    """

    def __init__(self, message: str, *, needs: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needs = needs


class StoreError(BBjDesktopError):
    exit_code = 7


class NoSpaceError(StoreError):
    """Too little room on a volume.

    Attributes:
        needed_bytes: What the operation needs there, in bytes.
        free_bytes: What is free there, in bytes.
        path: A path on that volume.
    """

    def __init__(self, message: str, *, needed_bytes: int, free_bytes: int, path: Path, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.needed_bytes = needed_bytes
        self.free_bytes = free_bytes
        self.path = path


class StoreBusyError(StoreError):
    pass


class StoreAccessError(StoreError):
    pass


class InUseError(StoreError):
    pass


class DoesNotFitError(BBjDesktopError):
    exit_code = 8


class EngineError(BBjDesktopError):
    exit_code = 9


class EngineMissingError(EngineError):
    pass


class EngineTooOldError(EngineError):
    """An engine below the least version.

    Attributes:
        found: Its version.
        needs: The least version.
    """

    def __init__(self, message: str, *, found: str, needs: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.found = found
        self.needs = needs


class EngineRefusedError(EngineError):
    pass


class ContextFullError(EngineRefusedError):
    pass


class NotReachedError(EngineRefusedError):
    pass


class EngineCrashedError(EngineError):
    pass


class EngineMismatchError(EngineError):
    pass


class PublishError(BBjDesktopError):
    exit_code = 10


class Cancelled(BBjDesktopError):  # noqa: N818 - an end, not an error
    exit_code = 130

    def __init__(self, message: str = "Cancelled.") -> None:
        super().__init__(message)
