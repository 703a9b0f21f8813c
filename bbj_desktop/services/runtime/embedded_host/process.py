"""Becomes the host: detaches, takes the lock, listens, puts the discovery file in place, and removes it at the end.

``HostOptions`` comes as one line on stdin; the answer on stdout is one line: ``{"ready": true}``, or
``{"ready": false, "error": {…}}``. The key is made here and stands in the discovery file alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
from functools import partial
from pathlib import Path
from typing import Any

from bbj_desktop.core.errors import BBjDesktopError, StoreAccessError
from bbj_desktop.services.locking import FileLock
from bbj_desktop.services.logs import logging_to
from bbj_desktop.services.runtime.embedded_host.channel import MAX_LINE_BYTES, error_to_json
from bbj_desktop.services.runtime.embedded_host.door import Door
from bbj_desktop.services.runtime.embedded_host.host import Host, HostOptions, Owner
from bbj_desktop.services.runtime.embedded_host.record import (
    HostPlace,
    HostRecord,
    own_start,
    process_mark,
    read_record,
    write_record,
)
from bbj_desktop.services.runtime.engine import launch_child

KEEPER_ARGUMENT = "--engine-keeper"
"""What the program is started with to become the host."""

_LOCK_TIMEOUT_S = 5.0  # a host that is just ending

log = logging.getLogger(__name__)


def host_command() -> list[str]:
    """The command that starts a host. ``-P`` keeps the current folder out of its imports."""
    if getattr(sys, "frozen", False):
        return [sys.executable, KEEPER_ARGUMENT]
    return [sys.executable, "-P", "-m", "bbj_desktop", KEEPER_ARGUMENT]


def main() -> int:
    """Runs the host until nobody needs it."""
    options = HostOptions(**json.loads(sys.stdin.readline()))
    if sys.platform != "win32" and os.fork():
        os._exit(0)  # whoever started us waits for this one; the host has no parent
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    place = HostPlace(Path(options.folder))
    with logging_to(Path(options.state), "info"):
        try:
            with FileLock(place.running, timeout_s=_LOCK_TIMEOUT_S, what="the engine's host"):
                asyncio.run(_live(options, place))
        except BBjDesktopError as error:
            log.warning("%s", error.message)
            _answer({"ready": False, "error": error_to_json(error)})
            return error.exit_code
    return 0


def _answer(value: dict[str, object]) -> None:
    """The only line that is ever said there; whoever waited may have gone."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(value).encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)
    os.close(null)


async def _live(options: HostOptions, place: HostPlace) -> None:
    key = secrets.token_urlsafe(32)
    owner = Owner(partial(launch_child, Path(options.state)))
    host, door = Host(options, key, owner), Door(owner)
    host.keeps_running, host.describe = lambda: door.open, door.describe
    host.services |= {"gateway_start": door.start, "gateway_stop": door.stop}
    try:
        server = await asyncio.start_server(host.greet, "127.0.0.1", 0, limit=MAX_LINE_BYTES)
    except OSError as error:
        raise StoreAccessError(f"The engine's host can't listen on this machine: {error}.") from error
    _obey_signals(host)
    port = server.sockets[0].getsockname()[1]
    mark = process_mark(os.getpid())
    record = HostRecord(os.getpid(), own_start(), f"127.0.0.1:{port}", key, options.app_version, mark=mark)
    write_record(place.record, record)
    log.info("host %d runs, version %s", record.pid, options.app_version)
    if options.gateway is not None:
        await _open(door, options.gateway)
    _answer({"ready": True})
    try:
        await host.keep_house()
    finally:
        if read_record(place.record) == record:  # nobody finds us any more
            place.record.unlink(missing_ok=True)
        server.close()
        await door.stop({})
        await host.close()
        log.info("host %d ended", record.pid)


async def _open(door: Door, options: dict[str, Any]) -> None:
    """A gateway that can't be opened is told in the status; programs need their engine all the same."""
    try:
        await door.start(options)
    except BBjDesktopError as error:
        door.trouble = str(error)
        log.warning("%s", error.message)


def _obey_signals(host: Host) -> None:
    if sys.platform == "win32":
        return
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, host.ended.set)
