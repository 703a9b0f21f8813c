"""Bringing installed models into an IDE: which addresses there are, and Continue's configuration."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.connected import connected_versions
from bbj_desktop.actions.context import Context
from bbj_desktop.actions.gateway import gateway_access, gateway_status
from bbj_desktop.core.continue_config import ContinueModel, merge
from bbj_desktop.core.errors import FormatError, NotFoundError
from bbj_desktop.core.fim import fim_template
from bbj_desktop.core.progress import Cancel
from bbj_desktop.core.release import Role
from bbj_desktop.core.versions import InstalledVersion
from bbj_desktop.services import keeping
from bbj_desktop.services.ide_probe import Address, Tried, nothing_works, try_out

_CHAT_TOKENS, _FIM_TOKENS = 2048, 256
"""Longest answers where the release says nothing."""
_MEMORY = "ide-change.json"


class IdeModel(BaseModel):
    """An installed version as an IDE reaches it.

    Attributes:
        version: Its key.
        model: The name to ask for.
        provider: ``ollama``, or ``openai`` for the embedded engine's gateway.
        api_base: Address for that provider.
        openai_base: The OpenAI-compatible address.
        needs_key: Whether requests carry a key.
    """

    model_config = ConfigDict(frozen=True)

    version: str
    role: Role
    model: str
    provider: Literal["ollama", "openai"]
    api_base: str
    openai_base: str
    needs_key: bool = False
    context_length: int
    max_tokens: int
    autocomplete_template: str | None = None

    def entry(self, key: str | None) -> ContinueModel:
        return ContinueModel(
            name=f"{self.model} (BBj Desktop)",
            provider=self.provider,
            model=self.model,
            api_base=self.api_base,
            roles=("autocomplete",) if self.role is Role.FIM else ("chat", "edit", "apply"),
            context_length=self.context_length,
            max_tokens=self.max_tokens,
            api_key=key if self.needs_key else None,
            autocomplete_template=self.autocomplete_template,
        )


class ConfigChange(BaseModel):
    """A configuration as it is and as it would be.

    Attributes:
        path: Continue's file.
        before: Its text; empty when it isn't there.
        after: Its text with our models.
        replaces: A ``config.json`` of older versions of Continue, which isn't read any more once ``path`` is there.
    """

    model_config = ConfigDict(frozen=True)

    path: Path
    before: str
    after: str
    replaces: Path | None = None


def continue_file() -> Path:
    """Where Continue keeps the user's own configuration."""
    return Path.home() / ".continue" / "config.yaml"


def ide_models(context: Context) -> tuple[IdeModel, ...]:
    """The active versions, each at the runtime that would answer for it in a chat; for a role that has none, what is
    used of an Ollama elsewhere.

    Raises:
        NotFoundError: Nothing active is registered with a runtime.
    """
    active = [version for version in context.open_store().versions() if version.active]
    roles = {version.release.role for version in active}
    active += [version for version in connected_versions(context) if version.release.role not in roles]
    models = [model for version in active for model in _reached(context, version)[:1]]
    if not models:
        raise NotFoundError("No installed model is active.", hint="Type: bbj-desktop install")
    return tuple(models)


def _reached(context: Context, version: InstalledVersion) -> list[IdeModel]:
    """At runtimes that can be used first, as a chat asks them."""
    knowing = [(each, version.registration(each.name)) for each in context.runtimes()]
    known = [(runtime, registration) for runtime, registration in knowing if registration is not None]
    if len(known) > 1:
        known.sort(key=lambda each: not each[0].status().available)
    reached = []
    for runtime, registration in known:
        name = next(iter(registration.aliases), registration.tag)
        if runtime.name == "ollama":
            base = runtime.status().address
            reached.append(_model(version, name, "ollama", base, f"{base}/v1"))
        else:
            base = gateway_status(context).address
            reached.append(_model(version, name, "openai", base, base))
    return reached


def _model(
    version: InstalledVersion, name: str, provider: Literal["ollama", "openai"], base: str, openai_base: str
) -> IdeModel:
    role = version.release.role
    template = fim_template(version.release)
    usual = _FIM_TOKENS if role is Role.FIM else _CHAT_TOKENS
    wanted = version.release.prompt.parameters.max_tokens or usual
    return IdeModel(
        version=version.key,
        role=role,
        model=name,
        provider=provider,
        api_base=base,
        openai_base=openai_base,
        needs_key=provider == "openai",
        context_length=version.context_length,
        max_tokens=max(1, min(wanted, version.context_length // 2)),  # Continue fails where both are equal
        autocomplete_template=template.mustache() if template else None,
    )


def plan_continue(models: tuple[IdeModel, ...], path: Path, key: str | None) -> ConfigChange:
    """What Continue's file would become; nothing is written.

    Args:
        key: For the gateway.

    Raises:
        FormatError: The file isn't Continue's, or is one of its older versions'.
        StoreAccessError: It can't be read.
    """
    if path.suffix.lower() == ".json":
        raise FormatError(
            f"{path} is of an older version of Continue.", hint="Name a config.yaml, which Continue reads today."
        )
    before = keeping.read(path)
    older = path.with_name("config.json")
    return ConfigChange(
        path=path,
        before=before,
        after=merge(before, [model.entry(key) for model in models]),
        replaces=older if not path.exists() and older.is_file() else None,
    )


def apply_continue(context: Context, planned: ConfigChange) -> keeping.Change:
    """Writes it, after a backup. Raises InUseError when the file isn't as planned any more."""
    return keeping.change(planned.path, planned.before, planned.after, context.paths.config / _MEMORY, context.now())


def is_applied(context: Context) -> bool:
    """Whether a change of an IDE's configuration can be taken back."""
    return (context.paths.config / _MEMORY).is_file()


def undo_continue(context: Context) -> keeping.Change:
    """Takes the last change back. Raises NotFoundError and InUseError as ``services.keeping.undo`` does."""
    return keeping.undo(context.paths.config / _MEMORY)


class TriedModel(BaseModel):
    """What works with one model.

    Attributes:
        address: Where it was asked.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    address: str
    tried: tuple[Tried, ...]


def try_out_models(context: Context, cancel: Cancel) -> tuple[TriedModel, ...]:
    """Asks each active model what an IDE would ask it.

    Raises:
        NotFoundError: Nothing active is registered with a runtime.
        Cancelled: On request.
    """
    models = ide_models(context)
    key = gateway_key(context, models)
    closed = gateway_is_closed(context, models)

    def tried(model: IdeModel) -> Iterator[Tried]:
        completes = model.role is Role.FIM
        if model.needs_key and closed:
            return nothing_works("The gateway is closed.", completes=completes)
        return try_out(_address(model, key), completes=completes, cancel=cancel)

    return tuple(
        TriedModel(model=model.model, address=model.openai_base, tried=tuple(tried(model))) for model in models
    )


def gateway_is_closed(context: Context, models: tuple[IdeModel, ...]) -> bool:
    """Whether some of the models can't be reached now because of that."""
    return any(model.needs_key for model in models) and not gateway_status(context).open


def _address(model: IdeModel, key: str | None) -> Address:
    return Address(
        model=model.model,
        openai_base=model.openai_base,
        ollama_base=model.api_base if model.provider == "ollama" else None,
        key=key if model.needs_key else None,
    )


def gateway_key(context: Context, models: tuple[IdeModel, ...]) -> str | None:
    """The key of the embedded engine's gateway, made when there is none; None where no model needs it."""
    if not any(model.needs_key for model in models):
        return None
    _, key = gateway_access(context)
    return key
