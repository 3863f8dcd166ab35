"""What the benchmarks share: a nested host where rkt, systemd-nspawn and podman have the same image, and tables."""
from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.lib import images
from tests.lib.host import Host
from tests.lib.machine import PYTHON, RKT

Results = dict[str, list[list[float]]]   # by name of the command: wall and CPU ms of each round

IMAGE = "example.com/busybox"
MEASURE = Path(__file__).with_name("measure.py")
ROOTFS = "/var/lib/machines/busybox"

RKT_RUN = [str(RKT), "run", "--net=host", IMAGE, "--exec=/bin/true"]
NSPAWN_RUN = ["systemd-nspawn", "--quiet", "--console=pipe", f"--directory={ROOTFS}", "--machine=busybox", "/bin/true"]
PODMAN_RUN = ["podman", "run", "--rm", "--net=host", "busybox", "/bin/true"]
RKT_CLEAN = [str(RKT), "gc", "--grace-period=0s"]

PODMAN_CONFIGURATION = """[containers]
pids_limit = 0
[engine]
cgroup_manager = "systemd"
runtime = "runc"
events_logger = "file"
"""


@contextmanager
def benchmark_host() -> Iterator[Host]:
    """A nested host where the busybox image is in the stores of all that are compared."""
    shared = Path(tempfile.mkdtemp(prefix="rkt-bench."))
    (shared / "root").mkdir()
    subprocess.run([PYTHON, "-m", "compileall", "-q", "stage0", "stage1", "stage2"], check=False)
    host = Host(shared / "root", shared).boot()
    try:
        image = images.build(shared / "busybox.aci", images.manifest(IMAGE))
        host.rkt("--insecure-options=image", "fetch", image).ok()
        host.rkt("image", "render", "--rootfs-only", IMAGE, ROOTFS).ok()
        host.run(*RKT_RUN).ok()
        if shutil.which("podman"):
            (shared / "containers.conf").write_text(PODMAN_CONFIGURATION)
            host.run("cp", shared / "containers.conf", "/etc/containers/containers.conf").ok()
            host.run("sh", "-c", f"tar -C {ROOTFS} -c . | podman import - busybox", timeout_s=120).ok()
        yield host
    finally:
        host.shut_down()
        shutil.rmtree(shared)


def measure(host: Host, commands: Mapping[str, Sequence[str]], rounds: int, **task: Any) -> Results:
    """Times commands side by side; those of podman are left out where it is not installed."""
    there = {name: command for name, command in commands.items() if command[0] != "podman" or shutil.which("podman")}
    asked = json.dumps({"commands": there, "rounds": rounds, **task}).encode()
    results: Results = json.loads(host.run(PYTHON, "-IS", MEASURE, input=asked, timeout_s=3600).ok().stdout)
    return results


def show(title: str, results: Results, reference: str) -> None:
    """Prints the medians, and the median of the paired ratios to one of the commands."""
    print(f"\n{title}\n{'':34}{'wall ms':>10}{'best':>8}{'CPU ms':>10}{'wall ×':>9}{'CPU ×':>8}")
    for name, timings in results.items():
        walls, cpus = zip(*timings, strict=True)
        pairs = list(zip(results[reference], timings, strict=True))
        ratios = [statistics.median(mine[part] / theirs[part] for mine, theirs in pairs) for part in (0, 1)]
        print(f"{name:34}{statistics.median(walls):10.1f}{min(walls):8.1f}{statistics.median(cpus):10.1f}"
              f"{ratios[0]:9.2f}{ratios[1]:8.2f}")
    print(f"(×: {reference} over this one, median of the paired ratios)")
