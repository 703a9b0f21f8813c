"""What an update and a repair really fetch and write, beside the bytes that changed.

    python benchmarks/saved_bytes.py [--mib 256] [--changed 3] [--folder DIR]

A model file of random tensors is served on loopback and installed. Then a new version comes in which a few tensors
changed (the aim: fetch at most 1.01 x the changed chunks), and last a few bytes of the installed file are damaged. The
peak memory is that of the process which does all of it; the server has its own.
"""

from __future__ import annotations

import argparse
import io
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import BinaryIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bbj_desktop.core.chunks import plan_chunks
from bbj_desktop.core.gguf import read_header
from bbj_desktop.core.network import DIRECT, Network
from bbj_desktop.core.progress import Cancel, silent
from bbj_desktop.core.release import ChunkIndex
from bbj_desktop.services.registry.blobs import index_file
from bbj_desktop.services.store.disk import Disk
from bbj_desktop.services.transfer.donors import Donor
from bbj_desktop.services.transfer.fetch import fetch
from bbj_desktop.services.transfer.repair import repair
from bbj_desktop.services.transfer.sources import open_source
from tests.fakes.gguf import write_gguf

MIB = 1 << 20
TENSOR_ROWS = 4096  # of 2048 values in 16 bits: 16 MiB a tensor

SERVER = """
import sys
from pathlib import Path
from bbj_desktop.services.registry.serve import serve_folder
with serve_folder(Path(sys.argv[1])) as address:
    print(address, flush=True)
    sys.stdin.read()
"""


class Counting(Disk):
    """Counts what is written."""

    written_bytes = 0

    def write(self, path: Path, file: BinaryIO, offset: int, content: bytes | memoryview) -> None:
        self.written_bytes += len(content)
        super().write(path, file, offset, content)


def main() -> int:
    """Prints the table. Returns 1 when an update or a repair fetched more than it may."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mib", type=int, default=256, help="size of the model")
    parser.add_argument("--changed", type=int, default=3, help="tensors that the update changes")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as below:
        folder = Path(below)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # its memory isn't ours
            old, new = pool.submit(_make_models, folder, max(1, arguments.mib // 16), arguments.changed).result()
        return _measure(folder, old, new)


def _make_models(folder: Path, tensors: int, changed: int) -> tuple[ChunkIndex, ChunkIndex]:
    served = folder / "served"
    served.mkdir()
    shapes: Mapping[str, tuple[tuple[int, ...], int]] = {
        f"blk.{number}.ffn_up.weight": ((2048, TENSOR_ROWS), 1) for number in range(tensors)
    }
    content = write_gguf({"general.architecture": "llama", "general.name": "old"}, shapes, seed=1)
    (served / "old").write_bytes(content)
    changing = bytearray(content)
    for tensor in read_header(io.BytesIO(content)).tensors[:: max(1, tensors // changed)][:changed]:
        changing[tensor.offset + 5] ^= 1
    (served / "new").write_bytes(changing)
    return _indexed(served / "old"), _indexed(served / "new")


def _indexed(path: Path) -> ChunkIndex:
    with path.open("rb") as file:
        header = read_header(file)
    return index_file(path, plan_chunks(header, path.stat().st_size), lambda _: None, Cancel())


def _measure(folder: Path, old: ChunkIndex, new: ChunkIndex) -> int:
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder / "served")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    if server.stdin is None or server.stdout is None:
        raise AssertionError
    source = open_source(server.stdout.readline().strip(), Network(proxy=DIRECT))
    here, updated, worst = folder / "here", folder / "updated", 0.0
    known = {chunk.digest for chunk in old.chunks}
    changed = sum(chunk.length_bytes for chunk in new.chunks if chunk.digest not in known)
    damaged = new.chunks[len(new.chunks) // 2].length_bytes
    print(f"{'':10} {'changed':>12} {'fetched':>12} {'ratio':>7} {'written':>12} {'of the file':>12}")
    try:
        disk = Counting()
        got = fetch(source, "old", old, here, silent, Cancel(), disk=disk).bytes_fetched
        _print("install", old.file.length_bytes, got, disk, old)
        disk = Counting()
        got = fetch(source, "new", new, updated, silent, Cancel(), disk=disk, donors=[Donor(here, old)]).bytes_fetched
        worst = max(worst, _print("update", changed, got, disk, new))
        _damage(updated, new)
        disk = Counting()
        got = repair(source, "new", new, updated, silent, Cancel(), disk=disk).fetched_bytes
        worst = max(worst, _print("repair", damaged, got, disk, new))
    finally:
        source.close()
        server.stdin.close()
        server.wait()
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB")
    return 0 if worst <= 1.01 else 1


def _damage(path: Path, index: ChunkIndex) -> None:
    middle = len(index.chunks) // 2
    with path.open("r+b") as file:
        file.seek(sum(chunk.length_bytes for chunk in index.chunks[:middle]) + 100)
        file.write(b"damage")


def _print(name: str, changed: int, fetched: int, disk: Counting, index: ChunkIndex) -> float:
    ratio, share = fetched / changed, disk.written_bytes / index.file.length_bytes
    print(f"{name:10} {changed:12} {fetched:12} {ratio:6.3f}x {disk.written_bytes:12} {share:11.3f}x")
    return ratio


if __name__ == "__main__":
    sys.exit(main())
