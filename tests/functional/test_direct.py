"""Straight on this machine: no systemd as PID 1, or none that answers."""
from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.lib.machine import Machine, until

pytestmark = pytest.mark.skipif(Path("/run/systemd/system").is_dir(), reason="systemd runs this machine")


@pytest.mark.parametrize("status", [0, 42])
def test_an_app_runs(machine: Machine, busybox: Path, status: int) -> None:
    pod = machine.shell(busybox, f"echo here; exit {status}")
    assert (pod.returncode, pod.stdout, pod.stderr) == (status, "here\n", "")
    assert machine.state(pod.uuid)["app-busybox"] == str(status)


def test_nothing_is_left(machine: Machine, busybox: Path) -> None:
    pod = machine.shell(busybox, "true").ok()
    until(lambda: not machine.traces(pod.uuid), "nothing is left", 5)
    machine.rkt("rm", pod.uuid).ok()
    assert machine.traces(pod.uuid) == []


def test_a_pod_has_a_cgroup_of_its_own(machine: Machine, busybox: Path) -> None:
    before = sorted(path.name for path in machine.cgroup_root().iterdir() if path.is_dir())
    pod = machine.start_shell(busybox, "echo up; sleep 100")
    pod.until_line("up")
    assert pod.uuid in Path(f"/proc/{pod.pid}/cgroup").read_text()
    pod.signal(signal.SIGTERM)
    assert pod.wait(20).returncode == 143
    until(lambda: sorted(path.name for path in machine.cgroup_root().iterdir() if path.is_dir()) == before,
          "its cgroup is gone", 5)


def test_stop_and_kill(machine: Machine, busybox: Path) -> None:
    pod = machine.start_shell(busybox, "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done")
    pod.until_line("up")
    assert machine.rkt("stop", pod.uuid).stdout == f'"{pod.uuid}"\n'
    assert pod.wait(20).returncode == 5
    pod = machine.start_shell(busybox, "echo up; sleep 100")
    pod.until_line("up")
    pod.kill()
    pod.wait(20)
    until(lambda: machine.state(pod.uuid)["state"] == "exited", "the pod has ended")
    machine.rkt("rm", pod.uuid).ok()
    until(lambda: not machine.traces(pod.uuid), "nothing is left", 5)


def test_enter(machine: Machine, busybox: Path) -> None:
    pod = machine.start_shell(busybox, "echo up; sleep 100")
    pod.until_line("up")
    entered = machine.rkt("enter", pod.uuid, "/bin/sh", "-c", "hostname; exit 3")
    assert (entered.returncode, entered.stdout) == (3, f"rkt-{pod.uuid}\n")
    pod.signal(signal.SIGTERM)
    pod.wait(20)
