"""Reading a large image in one pass, beside `tar -xzf` of the same file.

    python3 -m tests.benchmarks.unpack [ROUNDS [DIRECTORY]]

Needs no nested host, and 500 MB of disk a round. Every round unpacks into new directories, and none is deleted before
the end: ext4 walks past each inode that was freed within the last minute, which would be measured too.
"""
from __future__ import annotations

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.bench import show
from tests.lib import tars

FILES, SIZE_BYTES, FILES_IN_A_DIRECTORY = 8_000, 200_000_000, 20

READ = """
import os, sys
from stage0.aci import reader, treehash
source, blob, tree = (os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2] + ".blob", os.O_WRONLY | os.O_CREAT),
                      os.open(sys.argv[2], os.O_RDONLY))
reader.read(source, blob_fd=blob, unpack_into=tree)
if len(sys.argv) > 3:
    treehash.summarize(sys.argv[2] + "/rootfs")
"""


def content() -> Iterator[bytes]:
    """What files of a system hold, without end: programs, libraries, texts, in an order that looks random."""
    paths = sorted(path for path in Path("/usr/lib").rglob("*") if path.is_file() and not path.is_symlink())
    random.Random(1).shuffle(paths)
    while True:
        for path in paths:
            if path.stat().st_size < 8 << 20:
                yield path.read_bytes()


def make_image(path: Path) -> None:
    """An image of many small and a few large files, packed by gzip."""
    chance = random.Random(2)
    sizes = [min(4 << 20, int(chance.lognormvariate(8.6, 1.8))) for _ in range(FILES)]
    factor = SIZE_BYTES / sum(sizes)
    pieces, rest = content(), b""
    with open(path, "wb") as file:
        packer = subprocess.Popen(["gzip", "-nc"], stdin=subprocess.PIPE, stdout=file)
        assert packer.stdin is not None
        packer.stdin.write(tars.directory("rootfs"))
        for number, size in enumerate(sizes):
            directory = f"rootfs/directory-{number // FILES_IN_A_DIRECTORY}"
            if number % FILES_IN_A_DIRECTORY == 0:
                packer.stdin.write(tars.directory(directory))
            wanted = int(size * factor)
            while len(rest) < wanted:
                rest += next(pieces)
            packer.stdin.write(tars.member(f"{directory}/file-{number}", data=rest[:wanted], mtime=1_700_000_000))
            rest = rest[wanted:]
        packer.stdin.write(tars.member("manifest", data=tars.MANIFEST) + tars.END)
        packer.stdin.close()
        assert packer.wait() == 0


def timing(command: list[str]) -> list[float]:
    """Wall and CPU ms of a command with its children."""
    def cpu() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before, begun = cpu(), time.perf_counter()
    subprocess.run(command, check=True)
    return [(time.perf_counter() - begun) * 1000, (cpu() - before) * 1000]


def unpacking(directory: Path, rounds: int) -> None:
    """Times all ways in turn, on one image, and prints the medians."""
    image = directory / "image.aci"
    make_image(image)
    ways: dict[str, Callable[[str], list[str]]] = {
        "one pass": lambda target: [sys.executable, "-c", READ, str(image), target],
        "one pass, digest of the tree": lambda target: [sys.executable, "-c", READ, str(image), target, "digest"],
        "tar -xzf": lambda target: ["tar", "-xzf", str(image), "-C", target],
    }
    results: dict[str, list[list[float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, command in ways.items():
            target = directory / f"{name}-{number}"
            target.mkdir()
            os.sync()
            measured = timing(command(str(target)))
            if number:   # the first round warms up
                results[name].append(measured)
    packed_mb, plain_mb = image.stat().st_size / 1e6, SIZE_BYTES / 1e6
    show(f"{FILES} files, {plain_mb:.0f} MB, {packed_mb:.0f} MB as gzip", results, "one pass")


def main(words: list[str]) -> None:
    directory = Path(tempfile.mkdtemp(prefix="rkt-bench.", dir=words[1] if len(words) > 1 else None))
    try:
        unpacking(directory, int(words[0]) if words else 5)
    finally:
        shutil.rmtree(directory)


if __name__ == "__main__":
    main(sys.argv[1:])
