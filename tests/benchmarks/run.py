"""The start of an app whose image is in the store; the memory beside it; the first run of an image file."""
from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tests.benchmarks.bench import NSPAWN_RUN, PODMAN_RUN, RKT_CLEAN, RKT_RUN, measure, show
from tests.lib import images
from tests.lib.host import Host
from tests.lib.machine import PYTHON, RKT


def starts(host: Host, rounds: int = 30) -> None:
    """rkt run beside systemd-nspawn and podman run, all with /bin/true on the host's network."""
    commands = {"rkt run": RKT_RUN, "systemd-nspawn": NSPAWN_RUN, "podman run --rm (runc)": PODMAN_RUN,
                "bare python3": [str(PYTHON), "-IS", "-c", "pass"]}
    show("start of /bin/true", measure(host, commands, rounds, after=RKT_CLEAN), "rkt run")
    help_of = {"rkt --help": [str(RKT), "--help"], "rkt version": [str(RKT), "version"],
               "python3 with typer": [str(PYTHON), "-c", "import typer"],
               "bare python3": [str(PYTHON), "-IS", "-c", "pass"]}
    show("answers", measure(host, help_of, rounds), "rkt --help")


def memory(host: Host) -> None:
    """What stays in memory beside a sleeping app."""
    pod = host.start_rkt("run", "--net=host", "example.com/busybox", "--exec=/bin/sleep", "--", "1000")
    host.rkt("status", "--wait-ready=20s", pod.uuid).ok()
    time.sleep(1)   # the relay comes after the start
    print("\nresident beside an app, PSS in KiB")
    processes = [pod.pid]
    for pid in processes:
        processes += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    inside = re.search(r"^NSpid:.*\s(\d+)$", Path(f"/proc/{pod.pid}/status").read_text(), re.MULTILINE)[1]
    processes += [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline")   # beside the pod, not in it
                  if path.read_text().endswith(f"stage1/relay.py\0{inside}\0")]
    total = 0
    for pid in processes:
        name = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")[:60]
        pss = int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)[1])
        if not name.startswith("/bin/sleep"):
            total += pss
            print(f"{name:60} {pss:8}")
    print(f"{'total':60} {total:8}")
    pod.signal(15)
    pod.wait()


def first_run(host: Host, rounds: int = 5) -> None:
    """The first run of a 200 MB image of 8,000 files, beside tar unpacking it."""
    files = {f"/data/{number // 100}/{number}": os.urandom(25_000).hex() for number in range(8000)}
    image = images.build(host.file("large").with_suffix(".aci"), images.manifest("example.com/large"), files)
    print(f"\nimage of {len(files)} files: {image.stat().st_size / 1e6:.0f} MB")
    fresh = "/var/tmp/first"
    commands = {
        "rkt run FILE, first": [str(RKT), f"--dir={fresh}", "--insecure-options=image", "run", "--net=host", str(image),
                                "--exec=/bin/true"],
        "tar -xzf": ["sh", "-c", f"mkdir {fresh}.tar && tar -C {fresh}.tar -xzf {image}"],
    }
    results = measure(host, commands, rounds, after=["rm", "-rf", fresh, fresh + ".tar"])
    show("first run of an image file", results, "rkt run FILE, first")
    image.unlink()
