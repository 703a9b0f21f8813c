"""The gateway of a host is opened and closed one after the other."""

from __future__ import annotations

import asyncio
import functools
import socket
from pathlib import Path

from bbj_desktop.services.runtime.embedded_host.door import Door
from bbj_desktop.services.runtime.embedded_host.host import Owner
from bbj_desktop.services.runtime.engine import launch_child


def test_closing_counts_also_while_it_is_being_opened(tmp_path: Path) -> None:
    async def both() -> tuple[bool, bool]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        door = Door(Owner(functools.partial(launch_child, tmp_path)))
        wanted = {"port": port, "key_file": str(tmp_path / "Schlüssel"), "store": str(tmp_path / "store")}
        said = await asyncio.gather(door.start(wanted), door.stop({}))
        return said[1]["was_open"], door.open

    assert asyncio.run(both()) == (True, False)
