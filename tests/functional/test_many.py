"""Many pods at once."""
from __future__ import annotations

import time
from pathlib import Path

from tests.lib.host import Host
from tests.lib.machine import together, until


def test_fifty_runs_at_once_all_succeed_and_leave_nothing(host: Host, busybox: Path) -> None:
    host.rkt("--insecure-options=image", "fetch", busybox).ok()
    scopes = ("systemctl", "list-units", "--all", "--plain", "--no-legend", "rkt-*")
    before = host.run(*scopes).stdout
    begun = time.monotonic()
    pods = together([host.start_shell("example.com/busybox", f"echo {number}; exit {number % 3}")
                     for number in range(50)])
    print(f"50 pods: {time.monotonic() - begun:.1f} s")
    assert [(pod.returncode, pod.stdout, pod.stderr) for pod in pods] == [
        (number % 3, f"{number}\n", "") for number in range(50)]
    assert len({pod.uuid for pod in pods}) == 50
    until(lambda: host.run(*scopes).stdout == before, "the scopes are gone")
    until(lambda: not [trace for pod in pods for trace in host.traces(pod.uuid, passing=False)], "nothing is left", 5)
    host.rkt("rm", *(pod.uuid for pod in pods)).ok()
    assert [trace for pod in pods for trace in host.traces(pod.uuid)] == []


def test_twenty_first_runs_of_one_file_at_once(host: Host, busybox: Path) -> None:
    data_dir = "/var/tmp/fresh"
    words = ("--insecure-options=image", "run", busybox, "--exec=/bin/echo", "--", "here")
    pods = together([host.start_rkt(f"--dir={data_dir}", *words) for _ in range(20)])
    assert {(pod.returncode, pod.stdout, pod.stderr) for pod in pods} == {(0, "here\n", "")}
    images = host.rkt(f"--dir={data_dir}", "image", "list", "--no-legend").stdout
    assert images.count("\n") == 1
    host.run("rm", "-r", data_dir).ok()
