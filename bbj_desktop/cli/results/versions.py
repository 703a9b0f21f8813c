"""Results about installed versions."""

from __future__ import annotations

from bbj_desktop.actions.serving_bytes import Bytes
from bbj_desktop.cli.results.base import ResultModel
from bbj_desktop.cli.results.views import VersionView
from bbj_desktop.core.versions import PromptCheck
from bbj_desktop.services.runtime.ollama_drift import Drift


class VersionsResult(ResultModel):
    """Attributes:
    shared: What the shared store has besides: ``install`` takes it from there without fetching.
    connected: What this machine uses of the Ollama of the settings without having installed it (``connect``).
    drift: What somebody changed of them in Ollama since they were registered.
    """

    versions: tuple[VersionView, ...]
    shared: tuple[VersionView, ...] = ()
    connected: tuple[VersionView, ...] = ()
    drift: tuple[Drift, ...] = ()


class ActivateResult(ResultModel):
    version: VersionView


class RollbackResult(ResultModel):
    """Attributes:
    version: Active now.
    before: Key of the version that was; null when none was.
    """

    version: VersionView
    before: str | None


class PinResult(ResultModel):
    version: VersionView


class RebuildResult(ResultModel):
    """Attributes:
    restored: Keys of the versions whose records are here again.
    lost: A sentence for each record that is gone for good.
    """

    restored: tuple[str, ...]
    lost: tuple[str, ...]


class RemovedView(ResultModel):
    key: str
    freed_bytes: int


class RemoveResult(ResultModel):
    removed: tuple[RemovedView, ...]


class PromptView(ResultModel):
    """Attributes:
    check: ``equal``, ``not-shown`` (the runtime doesn't show its prompts), ``no-example`` (the release names none),
        ``failed`` (the runtime couldn't be asked); null when nobody tried.
    """

    runtime: str
    check: PromptCheck | None


class VerifyResult(ResultModel):
    """Attributes:
    digest: What was signed, and what the file has: ``sha256:<hex>``.
    drift: What somebody changed of it in Ollama since it was registered.
    files: ``hashed``, or ``as-named-by-ollama`` where only Ollama has them and they can't be read here.
    served: The same for what Ollama reads; null for the embedded engine, and where no Ollama answers.
    prompts: Whether the prompt that each runtime makes was compared with the training's when it was registered there.
    """

    version: VersionView
    digest: str
    drift: tuple[Drift, ...] = ()
    files: Bytes = Bytes.HASHED
    served: Bytes | None = None
    prompts: tuple[PromptView, ...] = ()


class RepairResult(ResultModel):
    """Attributes:
    damaged_bytes: Length of the parts that weren't as they were signed; 0 when nothing was wrong.
    mended: What somebody had changed of it in Ollama; but for a name that is somebody's only one, it is right again.
    files: What is known of its files now.
    """

    version: VersionView
    damaged_bytes: int
    fetched_bytes: int
    seconds: float
    mended: tuple[Drift, ...] = ()
    files: Bytes = Bytes.HASHED
