"""The fixed address where IDEs reach the embedded engine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bbj_desktop.actions.context import Context
from bbj_desktop.core.progress import Cancel
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.runtime.embedded_host.client import find, find_or_start


class GatewayStatus(BaseModel):
    """The gateway.

    Attributes:
        open: It answers.
        address: Base address for OpenAI's clients; where it would be when it isn't open.
        key_file: Holds the key that clients must send; only its owner can read it.
        trouble: Why the host couldn't open it by itself; empty when it could or didn't want to.
    """

    model_config = ConfigDict(frozen=True)

    open: bool
    address: str
    key_file: Path
    trouble: str = ""


def start_gateway(context: Context, cancel: Cancel, *, renew_key: bool = False) -> GatewayStatus:
    """Opens it, starting the engine's host when none runs. No model is loaded before the first question.

    Args:
        renew_key: Makes a new key; IDEs that have the old one are refused from now on.

    Raises:
        UserInputError: The port is taken.
        EngineError: The host can't be started.
        StoreAccessError: The key can't be kept.
        Cancelled: By ``cancel``.
    """
    options = context.gateway_options()
    local_key(Path(options.key_file), renew=renew_key)
    shared = context.shared_engine()
    with find_or_start(shared.place, shared.options, cancel, "gateway") as lease:
        said = lease.ask("gateway_start", **asdict(options))
    return GatewayStatus(open=True, address=str(said["gateway"]), key_file=Path(options.key_file))


def stop_gateway(context: Context) -> bool:
    """Closes it; the engine's host goes on while programs use it. Returns whether it was open."""
    lease = find(context.shared_engine().place, "gateway")
    if lease is None:
        return False
    with lease:
        return bool(lease.ask("gateway_stop").get("was_open"))


def gateway_status(context: Context) -> GatewayStatus:
    """Asks the host, without starting one."""
    options = context.gateway_options()
    lease = find(context.shared_engine().place, "status")
    said = {}
    if lease is not None:
        with lease:
            said = lease.ask("status")
    address = str(said.get("gateway") or "")
    return GatewayStatus(
        open=bool(address),
        address=address or f"http://127.0.0.1:{options.port}/v1",
        key_file=Path(options.key_file),
        trouble=str(said.get("gateway_trouble") or ""),
    )


def gateway_access(context: Context) -> tuple[str, str]:
    """Address and key for an IDE's configuration; the key is made when there is none.

    Raises:
        StoreAccessError: The key can't be kept.
    """
    found = gateway_status(context)
    return found.address, local_key(found.key_file)
