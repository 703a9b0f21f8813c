"""Opens and closes the gateway of a host, and makes the key that it asks for."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bbj_desktop.core.errors import EngineRefusedError
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.runtime.embedded_host.host import Owner

if TYPE_CHECKING:
    from bbj_desktop.services.runtime.embedded_host.gateway import Gateway

_LEAST_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class DoorOptions:
    """What a gateway is opened with, as it travels to the host.

    Attributes:
        port: On this machine.
        key_file: Holds the key; it doesn't travel.
        store: Folder of the store.
        shared: Of the shared one; empty for none.
        program: ``EngineProgram.name``.
        executable: ``EngineProgram.executable``; empty for none.
    """

    port: int
    key_file: str
    store: str
    shared: str = ""
    program: str = "built-in"
    executable: str = ""

    @classmethod
    def read(cls, said: dict[str, Any]) -> DoorOptions:
        """Raises EngineRefusedError when it isn't one."""
        try:
            return cls(**{name: said[name] for name in cls.__dataclass_fields__ if name in said})
        except TypeError as error:
            raise EngineRefusedError(f"The engine's host doesn't understand this request: {error}.") from error


class Door:
    """The gateway of one host, open or not.

    Args:
        owner: Of the engine.
    """

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._gateway: Gateway | None = None
        self._turn = asyncio.Lock()
        self.trouble = ""

    @property
    def open(self) -> bool:
        return self._gateway is not None

    def describe(self) -> dict[str, Any]:
        """For the host's status."""
        return {"gateway": "" if self._gateway is None else self._gateway.address, "gateway_trouble": self.trouble}

    async def start(self, said: dict[str, Any]) -> dict[str, Any]:
        """Opens it; one that is open with other options is opened anew.

        Raises:
            UserInputError: The port is taken.
            StoreAccessError: The key can't be used.
        """
        async with self._turn:
            return await self._start(DoorOptions.read(said))

    async def _start(self, options: DoorOptions) -> dict[str, Any]:
        from bbj_desktop.services.runtime.embedded_host.gateway import Gateway
        from bbj_desktop.services.runtime.embedded_host.serving import Shelf
        from bbj_desktop.services.runtime.engine import EngineProgram

        key = local_key(Path(options.key_file))
        await self._close()
        executable = Path(options.executable) if options.executable else None
        program = EngineProgram(options.program, executable)  # type: ignore[arg-type]  # another name is refused later
        shelf = Shelf(Path(options.store), Path(options.shared) if options.shared else None, program)
        gateway = Gateway(self._owner, shelf, key, options.port)
        await gateway.open()
        self._gateway, self.trouble = gateway, ""
        return self.describe()

    async def stop(self, said: dict[str, Any]) -> dict[str, Any]:
        """Closes it, and every answer that goes through it; one that is being opened, too."""
        del said
        async with self._turn:
            return await self._close()

    async def _close(self) -> dict[str, Any]:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.close()
        return {"was_open": gateway is not None}
