"""Downloads and verifies a file on loopback, beside what a user would take instead: ``curl``, then ``sha256sum``.

    python benchmarks/transfer.py [--mib 1024] [--rounds 3] [--folder DIR]

Both read from the same small file server, in turns; the table shows the median time of each, their ratio, and the peak
memory of our process. The file is random bytes and lies below ``--folder`` (default: a temporary folder), as do both
copies of it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bbj_desktop.core.chunks import plan_chunks
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import parse_chunk_index
from bbj_desktop.services.registry.blobs import index_file

MIB = 1 << 20

SERVER = """
import sys, time
from pathlib import Path
from bbj_desktop.services.registry.serve import serve_folder
with serve_folder(Path(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


def main() -> int:
    """Prints the table. Returns 1 when a download wasn't the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=1024, help="size of the file")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return _download(*arguments.child)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as below:
        return _compare(Path(below), arguments.mib * MIB, arguments.rounds)


def _compare(folder: Path, size: int, rounds: int) -> int:
    served = folder / "served"
    served.mkdir()
    with (served / "file").open("wb") as file:
        for _ in range(0, size, MIB):
            file.write(os.urandom(MIB))
    index = index_file(served / "file", plan_chunks(None, size), lambda _: None, Cancel())
    (folder / "index.json").write_text(index.model_dump_json())
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(served)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if server.stdin is None or server.stdout is None:
        raise AssertionError
    try:
        address = server.stdout.readline().strip()
        ours, theirs = [], []
        for _ in range(rounds):
            theirs.append(_curl(f"{address}/file", folder / "curl", index.file.digest))
            ours.append(_ours(address, folder))
    finally:
        server.stdin.close()
        server.wait()
    _print(size, ours, theirs)
    return 0


def _curl(url: str, target: Path, digest: str) -> float:
    began = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--noproxy", "*", "-o", str(target), url], check=True)
    said = subprocess.run(["sha256sum", str(target)], check=True, capture_output=True, text=True).stdout
    seconds = time.perf_counter() - began
    if f"sha256:{said.split()[0]}" != digest:
        raise SystemExit("curl brought another file")
    target.unlink()
    return seconds


def _ours(address: str, folder: Path) -> float:
    """A process of its own, as curl is; the interpreter's start counts."""
    target = folder / "ours"
    command = [sys.executable, __file__, "--child", address, str(folder / "index.json"), str(target)]
    began = time.perf_counter()
    subprocess.run(command, check=True)
    seconds = time.perf_counter() - began
    target.unlink()
    return seconds


def _download(address: str, index: str, target: str) -> int:
    from bbj_desktop.services.transfer.fetch import fetch
    from bbj_desktop.services.transfer.sources import open_source

    source = open_source(address, Network(proxy=DIRECT))
    fetch(source, "file", parse_chunk_index(Path(index).read_bytes()), Path(target), silent, Cancel())
    source.close()
    return 0


def _print(size: int, ours: list[float], theirs: list[float]) -> None:
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    mine, other = statistics.median(ours), statistics.median(theirs)
    print(f"{size // MIB} MiB on loopback, median of {len(ours)}, {os.cpu_count()} cores")
    print(f"  curl, then sha256sum   {other:6.2f} s")
    print(f"  download and verify    {mine:6.2f} s   {mine / other:.2f} x")
    print(f"  peak memory of any of the processes: {peak:.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
