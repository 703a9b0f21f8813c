"""Downloads and verifies a file on loopback, beside what a user would take instead: ``curl``, then ``sha256sum``; and
``aria2c -x4`` where it is installed, which verifies nothing.

    python benchmarks/transfer.py [--mib 1024] [--rounds 3] [--folder DIR] [--server nginx|own]

All read from the same server, in turns: nginx where it is installed, with a configuration of its own on a free loopback
port, else the small file server of this program. The table shows the median and the best of each one's time, the
processor time it took (which says more on a busy machine), their ratios to ``curl``'s, and its peak memory. A second
table shows what an update and a repair fetch, beside what really changed. The file is random bytes and lies below
``--folder`` (default: a temporary folder), as do all copies of it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bbj_desktop.core.chunks import plan_chunks
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import ChunkIndex, parse_chunk_index
from bbj_desktop.services.registry.blobs import index_file

MIB = 1 << 20
CHANGED = (3, 40, 41, 100)
"""Chunks of 8 MiB that differ in the update, and that the repair finds damaged; those that the file has."""

OWN_SERVER = """
import sys
from pathlib import Path
from bbj_desktop.services.registry.serve import serve_folder
with serve_folder(Path(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""

NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {served}; }}
}}
"""


@dataclass(frozen=True)
class Run:
    """What one download took: seconds, seconds of processors in the program itself, and its peak memory in bytes."""

    seconds: float
    processor_s: float
    peak_bytes: int


def main() -> int:
    """Prints the tables. Ends with an error when a download wasn't the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--server", choices=("nginx", "own"), default="nginx" if shutil.which("nginx") else "own")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return _download(*arguments.child)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as below:
        folder = Path(below)
        index = _make_file(folder, arguments.mib * MIB)
        serve = _nginx if arguments.server == "nginx" else _own_server
        with serve(folder) as address:
            _compare(address, folder, index, arguments.rounds)
            _save(address, folder, index)
    return 0


def _make_file(folder: Path, size: int) -> ChunkIndex:
    served = folder / "served"
    served.mkdir()
    folder.chmod(0o755)  # nginx may serve as another user
    with (served / "file").open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(MIB))
    index = index_file(served / "file", plan_chunks(None, size), lambda _: None, Cancel())
    (folder / "index.json").write_text(index.model_dump_json())
    return index


@contextmanager
def _own_server(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-c", OWN_SERVER, str(folder / "served")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        if server.stdout is None:
            raise AssertionError
        yield server.stdout.readline().strip()
        server.terminate()


@contextmanager
def _nginx(folder: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = folder / "nginx"
    own.mkdir()
    configuration = own / "nginx.conf"
    configuration.write_text(NGINX.format(folder=own, served=folder / "served", port=port))
    with subprocess.Popen(["nginx", "-p", str(own), "-c", str(configuration)], stderr=subprocess.DEVNULL) as server:
        for _ in range(100):
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def _compare(address: str, folder: Path, index: ChunkIndex, rounds: int) -> None:
    target, url = folder / "copy", f"{address}/file"
    environment = {**os.environ, "no_proxy": "*"}

    def curl() -> Run:
        fetched = _run(["curl", "--silent", "--fail", "-o", str(target), url], environment)
        said = folder / "digest"
        hashed = _run(["sha256sum", str(target)], environment, said)
        if f"sha256:{said.read_text().split()[0]}" != index.file.digest:
            raise SystemExit("curl brought another file")
        peak = max(fetched.peak_bytes, hashed.peak_bytes)
        return Run(fetched.seconds + hashed.seconds, fetched.processor_s + hashed.processor_s, peak)

    def aria2() -> Run:
        place = ["--dir", str(folder), "--out", target.name]
        return _run(["aria2c", "--quiet", "-x4", "-s4", *place, url], environment)

    def ours() -> Run:
        """A process of its own, as the others are; the interpreter's start counts."""
        return _run([sys.executable, __file__, "--child", address, str(folder / "index.json"), str(target)])

    ways: dict[str, Callable[[], Run]] = {"curl, then sha256sum": curl, "download and verify": ours}
    if shutil.which("aria2c"):
        ways["aria2c -x4, unverified"] = aria2
    runs: dict[str, list[Run]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            runs[name].append(way())
            target.unlink()
    _print(index.file.length_bytes, runs)


def _run(command: Sequence[str], environment: dict[str, str] | None = None, output: Path | None = None) -> Run:
    """Runs a program; its own resources are what the operating system counted for that process."""
    with (output or Path(os.devnull)).open("wb") as out:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, env=environment)
        _, status, used = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - begun
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{command[0]} ended with {child.returncode}")
    return Run(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def _download(address: str, index: str, target: str) -> int:
    from bbj_desktop.services.transfer.fetch import fetch
    from bbj_desktop.services.transfer.sources import open_source

    source = open_source(address, Network(proxy=DIRECT))
    fetch(source, "file", parse_chunk_index(Path(index).read_bytes()), Path(target), silent, Cancel())
    source.close()
    return 0


def _print(size: int, runs: dict[str, list[Run]]) -> None:
    rounds = len(next(iter(runs.values())))
    print(f"{size // MIB} MiB on loopback, median of {rounds}, {os.cpu_count()} cores")
    print(f"  {'':24}{'time':>9}{'ratio':>8}{'best':>9}{'ratio':>8}{'processors':>13}{'ratio':>8}{'peak memory':>14}")
    base: tuple[float, float, float] | None = None
    for name, each in runs.items():
        seconds = statistics.median(run.seconds for run in each)
        processor_s = statistics.median(run.processor_s for run in each)
        best = min(run.seconds for run in each)
        peak = max(run.peak_bytes for run in each)
        base = base or (seconds, best, processor_s)
        times = f"{seconds:7.2f} s{seconds / base[0]:6.2f} x{best:7.2f} s{best / base[1]:6.2f} x"
        used = f"{processor_s:11.2f} s{processor_s / base[2]:6.2f} x"
        print(f"  {name:24}{times}{used}{peak / MIB:10.0f} MiB")


def _save(address: str, folder: Path, index: ChunkIndex) -> None:
    """An update from a file that lacks some chunks, and the repair of one where the same ones are damaged."""
    from bbj_desktop.services.transfer.donors import Donor
    from bbj_desktop.services.transfer.fetch import fetch
    from bbj_desktop.services.transfer.repair import repair
    from bbj_desktop.services.transfer.sources import open_source

    changed = [number for number in CHANGED if number < len(index.chunks)]
    changed_bytes = sum(index.chunks[number].length_bytes for number in changed)
    old = folder / "old"
    shutil.copyfile(folder / "served" / "file", old)
    with old.open("r+b") as file:
        for number in changed:
            file.seek(sum(chunk.length_bytes for chunk in index.chunks[:number]))
            file.write(os.urandom(16))
    source = open_source(address, Network(proxy=DIRECT))
    updated = fetch(source, "file", index, folder / "new", silent, Cancel(), donors=[Donor(old, index)])
    (folder / "new").unlink()
    repaired = repair(source, "file", index, old, silent, Cancel())
    source.close()
    print(f"{len(changed)} of {len(index.chunks)} chunks changed, {changed_bytes / MIB:.0f} MiB")
    for name, fetched in (("update", updated.bytes_fetched), ("repair", repaired.fetched_bytes)):
        print(f"  {name} fetches {fetched / MIB:9.2f} MiB {fetched / changed_bytes:8.3f} x")


if __name__ == "__main__":
    sys.exit(main())
