"""Where a pod lives: a scope under its caller, the cgroup of its service; readiness, sockets, machinectl."""
from __future__ import annotations

import json
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib import images
from tests.lib.host import Host
from tests.lib.machine import shell_words, until

# An app that uses programs of the host: options of its pod, and what its script begins with.
USR = ("--volume=usr,kind=host,source=/usr,readOnly=true", "--mount=volume=usr,target=/usr")
LINKS = "ln -s usr/lib /lib; ln -s usr/lib64 /lib64"


def words(host: Host, image: Path | str, script: str, *options: str) -> list[str]:
    """The command of a pod of one shell script, for systemd-run."""
    return host.rkt_command(*shell_words(image, script, *options))[0]


@pytest.fixture
def unit(host: Host) -> Iterator[str]:
    """The name of a service for the test."""
    name = f"test-{time.monotonic_ns()}.service"
    yield name
    host.run("systemctl", "stop", name)
    host.run("systemctl", "reset-failed", name)


def cgroup_of(host: Host, pid: str) -> str:
    """The cgroup of a process in the host, below its root."""
    text = host.run("cat", f"/proc/{pid}/cgroup").stdout
    return next(line.removeprefix("0::") for line in text.splitlines() if line.startswith("0::"))


def test_a_caller_outside_of_units_gets_a_scope(host: Host, busybox: Path) -> None:
    pod = host.start_shell(busybox, "echo up; sleep 100", "--property=TasksMax=77", "--slice=machine.slice")
    pod.until_line("up")
    scope = f"rkt-{pod.uuid}.scope"
    assert host.property(scope, "ActiveState") == "active"
    assert host.property(scope, "Slice") == "machine.slice"
    assert host.property(scope, "TasksMax") == "77"
    assert host.property(scope, "Delegate") == "yes"
    assert host.property(scope, "Description")
    assert cgroup_of(host, host.state(pod.uuid)["pid"]).startswith(f"/machine.slice/{scope}")
    pod.signal(signal.SIGTERM)
    pod.wait(20)
    until(lambda: host.property(scope, "ActiveState") == "inactive", "the scope is gone")


def test_the_process_that_was_started_is_the_supervisor(host: Host, busybox: Path) -> None:
    pod = host.start_shell(busybox, "echo up; sleep 100")
    pod.until_line("up")
    assert Path(f"/proc/{pod.pid}/comm").read_text() == "systemd-nspawn\n"
    inner = re.findall(r"^NSpid:.*\t(\d+)$", Path(f"/proc/{pod.pid}/status").read_text(), re.MULTILINE)[0]
    ppid = host.run("cat", f"/var/lib/rkt/pods/run/{pod.uuid}/ppid").stdout.strip()
    assert ppid == inner
    pod.signal(signal.SIGTERM)
    pod.wait(20)


def test_a_session_keeps_its_slice(host: Host, busybox: Path) -> None:
    done = host.in_session(*words(host, busybox, "sleep 0.5; exit 6"))
    assert done.returncode == 6
    pod = host.in_session("sh", "-c", f"{' '.join(words(host, busybox, ':')[:-2])} -c 'echo $AC_APP_NAME'")
    assert pod.stdout == "busybox\n"


def test_a_service_keeps_the_pod_in_its_own_cgroup(host: Host, busybox: Path, unit: str) -> None:
    host.service(unit, *words(host, busybox, "sleep 100"), properties=("KillMode=mixed", "Slice=machine.slice")).ok()
    main = host.property(unit, "MainPID")
    until(lambda: host.run("cat", f"/proc/{main}/comm").stdout == "systemd-nspawn\n", "the pod runs")
    pods = json.loads(host.rkt("list", "--format=json").stdout)
    uuid = next(pod["name"] for pod in pods if pod["state"] == "running")
    assert host.state(uuid)["state"] == "running"
    assert cgroup_of(host, main).startswith(f"/machine.slice/{unit}")
    assert f"rkt-{uuid}.scope" not in host.run("systemctl", "list-units", "--plain").stdout
    assert "sleep 100" in host.run("systemctl", "status", "--no-pager", unit).stdout
    host.run("systemctl", "stop", unit).ok()
    assert host.state(uuid)["state"] == "exited"


def test_a_service_with_delegation_has_subgroups(host: Host, busybox: Path, unit: str) -> None:
    host.service(unit, *words(host, busybox, "sleep 100"), properties=("KillMode=mixed", "Delegate=yes")).ok()
    main = host.property(unit, "MainPID")
    until(lambda: cgroup_of(host, main).endswith("/supervisor"), "the supervisor has its subgroup")
    assert cgroup_of(host, main) == f"/system.slice/{unit}/supervisor"
    until(lambda: "sleep 100" in host.run("systemctl", "status", "--no-pager", unit).stdout, "the app is seen")


@pytest.mark.parametrize(("script", "result", "status"), [("exit 0", "success", "0"), ("exit 7", "exit-code", "7"),
                                                          ("kill -9 $$$$", "exit-code", "137")])
def test_the_status_of_a_service_is_that_of_its_app(
        host: Host, busybox: Path, unit: str, script: str, result: str, status: str) -> None:
    host.service(unit, *words(host, busybox, script), properties=("KillMode=mixed", "RemainAfterExit=yes")).ok()
    until(lambda: host.property(unit, "SubState") in ("exited", "failed"), "the service has ended")
    assert (host.property(unit, "Result"), host.property(unit, "ExecMainStatus")) == (result, status)


def test_the_journal_of_a_service_has_the_apps_output(host: Host, busybox: Path, unit: str) -> None:
    host.service(unit, *words(host, busybox, "echo to the journal"), properties=("RemainAfterExit=yes",)).ok()
    journal = ("journalctl", "--unit", unit, "--output=cat")
    until(lambda: "to the journal\n" in host.run(*journal).stdout, "the line is there")


def test_a_service_is_ready_when_its_apps_started(host: Host, busybox: Path, unit: str) -> None:
    done = host.service(unit, *words(host, busybox, "sleep 100"), properties=("Type=notify", "KillMode=mixed"))
    assert done.returncode == 0
    assert host.property(unit, "SubState") == "running"


def test_an_app_that_says_when_it_is_ready_is_waited_for(host: Host, shared: Path, unit: str) -> None:
    image = images.build(shared / "notify.aci", images.manifest("example.com/notify", annotations=[
        {"name": "appc.io/executor/supports-systemd-notify", "value": "true"}]))
    script = f"{LINKS}; sleep 1; systemd-notify --ready; sleep 100"
    begun = time.monotonic()
    host.service(unit, *words(host, image, script, *USR), properties=("Type=notify", "TimeoutStartSec=8")).ok()
    assert 1 <= time.monotonic() - begun < 6


def test_a_socket_reaches_the_app_that_declares_its_port(host: Host, shared: Path, unit: str) -> None:
    port = {"name": "http", "protocol": "tcp", "port": 8080, "socketActivated": True}
    image = images.build(shared / "socket.aci", images.manifest("example.com/socket", app={"ports": [port]}))
    server = ("import os, socket; print(os.environ['LISTEN_FDS'], os.environ['LISTEN_PID'] == str(os.getpid())); "
              "socket.socket(fileno=3).accept()[0].send(b'answer')")
    command = words(host, image, f'{LINKS}; exec python3 -c "{server}"', *USR)
    host.run("systemd-run", "--quiet", f"--unit={unit.removesuffix('.service')}", "--property=KillMode=mixed",
             "--socket-property=ListenStream=127.0.0.1:8080", *command).ok()
    answer = host.run("bash", "-c", "cat </dev/tcp/127.0.0.1/8080")
    journal = ("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")
    assert answer.stdout == "answer", host.run(*journal).stdout
    until(lambda: "1 True\n" in host.run(*journal).stdout, "the app tells what it got")
    host.run("systemctl", "stop", unit.replace(".service", ".socket"))


def test_machined_knows_the_pod(host: Host, busybox: Path) -> None:
    pod = host.start_shell(busybox, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done")
    pod.until_line("up")
    name = f"rkt-{pod.uuid}"
    until(lambda: name in host.run("machinectl", "list", "--full").stdout, "the machine is listed")
    status = host.run("machinectl", "status", "--no-pager", "--full", name).ok().stdout
    assert pod.uuid.replace("-", "") in status
    assert host.run("machinectl", "show", "--value", "--property=Class", name).stdout == "container\n"
    host.run("machinectl", "poweroff", name).ok()
    assert pod.wait(20).returncode == 0
    until(lambda: name not in host.run("machinectl", "list", "--full").stdout, "the machine is gone")
