"""A pod from its preparation to its removal, and the commands that look at it."""
from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.host import Host
from tests.lib.machine import Process, until

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def running(host: Host, busybox: Path) -> Iterator[Process]:
    """A pod that runs until it is told to end, named `lasting`."""
    script = "trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done"
    with host.start_shell(busybox, script, "--name=lasting") as process:
        process.until_line("up")
        yield process
    host.rkt("rm", process.uuid)


def test_prepare_then_run_prepared(host: Host, busybox: Path) -> None:
    prepared = host.rkt("--insecure-options=image", "prepare", "--quiet", busybox, "--exec=/bin/sh", "--",
                        "-c", "exit 3")
    assert re.fullmatch(UUID + "\n", prepared.stdout)
    uuid = prepared.stdout.strip()
    assert host.state(uuid)["state"] == "prepared"
    assert host.rkt("run-prepared", "--net=host", uuid[:13]).returncode == 3
    state = host.state(uuid)
    assert list(state) == ["state", "created", "started", "networks", "pid", "exited", "app-busybox"]
    assert (state["state"], state["exited"], state["app-busybox"]) == ("exited", "true", "3")
    again = host.rkt("run-prepared", uuid)
    assert again.returncode == 254
    assert re.fullmatch(rf"run-prepared: .*{uuid}.*\n", again.stderr)


def test_status_of_a_running_pod(host: Host, running: Process) -> None:
    state = host.state(running.uuid)
    assert (state["state"], state["exited"]) == ("running", "false")
    assert "app-busybox" not in state
    assert host.run("cat", f"/proc/{state['pid']}/comm").returncode == 0
    answer = json.loads(host.rkt("status", "--format=json", running.uuid).stdout)
    assert (answer["name"], answer["state"], answer["app_names"]) == (running.uuid, "running", ["busybox"])
    assert [(app["name"], app["state"]) for app in answer["apps"]] == [("busybox", "running")]


def test_status_waits_for_the_end(host: Host, running: Process) -> None:
    late = host.rkt("status", "--wait=200ms", running.uuid)
    assert late.returncode == 254
    waiting = host.start_rkt("status", "--wait", running.uuid)
    running.signal(signal.SIGTERM)
    done = waiting.wait(20)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "state=exited")
    assert "app-busybox=5" in done.stdout.splitlines()


def test_status_waits_until_the_apps_are_ready(host: Host, running: Process) -> None:
    assert host.rkt("status", "--wait-ready=10s", running.uuid).stdout.startswith("state=running\n")


def test_exit_status_of_status(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "exit 9")
    assert host.rkt("status", pod.uuid).returncode == 0
    assert host.rkt("status", "--exit-status", pod.uuid).returncode == 9


def test_a_pod_is_found_by_uuid_prefix_name_and_file(host: Host, running: Process) -> None:
    for words in ([running.uuid], [running.uuid[:8]], ["lasting"], [f"--uuid-file={running.uuid_file}"]):
        assert json.loads(host.rkt("status", "--format=json", *words).stdout)["name"] == running.uuid


def test_a_name_is_taken_while_its_pod_runs(host: Host, busybox: Path, running: Process) -> None:
    second = host.shell(busybox, "true", "--name=lasting")
    assert second.returncode == 254
    assert "lasting" in second.stderr and second.stderr.count("\n") == 1


def test_list_shows_a_line_an_app(host: Host, running: Process) -> None:
    header, *lines = host.rkt("list", "--full").stdout.splitlines()
    assert re.split("\t+", header) == ["UUID", "APP", "IMAGE NAME", "IMAGE ID", "STATE", "CREATED", "STARTED",
                                       "NETWORKS", "NAME"]   # the last one if any pod has a name
    line = next(line for line in lines if line.startswith(running.uuid))
    assert re.match(rf"{running.uuid}\s+busybox\s+example.com/busybox:1.0\s+sha512-[0-9a-f]{{12}}\s+running\s", line)
    assert host.rkt("list", "--no-legend").stdout.count("\n") == len(lines)
    pods = json.loads(host.rkt("list", "--format=json").stdout)
    assert {"name": running.uuid, "state": "running"}.items() <= next(
        pod for pod in pods if pod["name"] == running.uuid).items()


def test_cat_manifest(host: Host, running: Process) -> None:
    pretty = host.rkt("cat-manifest", running.uuid).stdout
    plain = host.rkt("cat-manifest", "--pretty-print=false", running.uuid).stdout
    assert plain.count("\n") == 1 and "\n\t" in pretty
    manifest = json.loads(plain)
    assert manifest == json.loads(pretty)
    assert (manifest["acKind"], [app["name"] for app in manifest["apps"]]) == ("PodManifest", ["busybox"])


def test_stop_ends_a_pod_gracefully(host: Host, running: Process) -> None:
    stopped = host.rkt("stop", running.uuid)
    assert (stopped.returncode, stopped.stdout) == (0, f'"{running.uuid}"\n')
    assert running.wait(20).returncode == 5
    again = host.rkt("stop", running.uuid)
    assert again.returncode == 0
    assert "already stopped" in again.stdout + again.stderr


def test_stop_by_force_kills(host: Host, running: Process) -> None:
    host.rkt("stop", "--force", running.uuid).ok()
    assert running.wait(20).returncode in (137, -9)
    until(lambda: host.state(running.uuid)["state"] == "exited", "the pod has ended")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_rkt_ends_the_pod_gracefully(host: Host, running: Process, number: int) -> None:
    running.signal(number)
    assert running.wait(20).returncode == 5


def test_an_app_that_does_not_end_is_killed_after_the_timeout(host: Host, busybox: Path) -> None:
    pod = host.start_shell(busybox, "trap '' TERM; echo up; while :; do sleep 0.05; done", "--stop-timeout=1s")
    pod.until_line("up")
    pod.signal(signal.SIGTERM)
    assert pod.wait(10).returncode == 137
    assert host.state(pod.uuid)["app-busybox"] == "137"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH])
def test_other_signals_reach_the_app(host: Host, busybox: Path, number: int) -> None:
    pod = host.start_shell(busybox, f"trap 'echo got; exit 4' {int(number)}; echo up; while :; do sleep 0.05; done")
    pod.until_line("up")
    pod.signal(number)
    done = pod.wait(10)
    assert (done.stdout, done.returncode) == ("got\n", 4)


def test_a_killed_supervisor_takes_the_app_along(host: Host, running: Process) -> None:
    running.kill()
    running.wait(20)
    until(lambda: not host.traces(running.uuid, passing=False), "nothing of the pod is left")
    assert host.state(running.uuid)["state"] == "exited"


def test_rm_removes_what_does_not_run(host: Host, busybox: Path, running: Process) -> None:
    refused = host.rkt("rm", running.uuid)
    assert refused.returncode == 254
    assert running.uuid in refused.stderr
    pod = host.shell(busybox, "true")
    removed = host.rkt("rm", pod.uuid)
    assert (removed.returncode, removed.stdout) == (0, f'"{pod.uuid}"\n')
    gone = host.rkt("status", pod.uuid)
    assert (gone.returncode, gone.stderr) == (254, f'status: no matches found for "{pod.uuid}"\n')


@pytest.mark.parametrize("command", ["status", "stop", "rm", "cat-manifest", "enter", "run-prepared"])
def test_an_unknown_pod_is_said_so(host: Host, command: str) -> None:
    missing = host.rkt(command, UNKNOWN)
    assert (missing.returncode, missing.stdout) == (254, "")
    assert f'no matches found for "{UNKNOWN}"' in missing.stderr


def test_gc_marks_then_removes(host: Host, busybox: Path, running: Process) -> None:
    ended = host.shell(busybox, "true").uuid
    prepared = host.rkt("--insecure-options=image", "prepare", "--quiet", busybox).stdout.strip()
    marked = host.rkt("gc", "--mark-only")
    assert f'moving pod "{ended}" to garbage' in marked.stderr
    assert host.state(ended)["state"] == "exited garbage"
    assert host.state(prepared)["state"] == "prepared"
    host.rkt("gc", "--grace-period=1h").ok()
    assert host.state(ended)["state"] == "exited garbage"
    collected = host.rkt("gc", "--grace-period=0s", "--expire-prepared=0s").ok()
    assert f'Garbage collecting pod "{ended}"' in collected.stdout
    assert host.rkt("status", ended).returncode == host.rkt("status", prepared).returncode == 254
    assert host.state(running.uuid)["state"] == "running"


def test_export_writes_what_an_app_changed(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "echo new >/etc/new; rm /etc/group")
    image = host.file("exported").with_suffix(".aci")
    host.rkt("export", pod.uuid, image).ok()
    assert host.shell(image, "cat /etc/new; ls /etc/new /etc/passwd /etc/group 2>/dev/null").stdout.split() == [
        "new", "/etc/new", "/etc/passwd"]


def test_nothing_is_left_of_a_pod_that_ended(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "true").ok()
    until(lambda: not host.traces(pod.uuid, passing=False), "systemd has removed the scope", 5)
    assert pod.uuid not in host.run("systemctl", "list-units", "--all", "--plain").stdout
    host.rkt("rm", pod.uuid).ok()
    assert host.traces(pod.uuid) == []
    assert pod.uuid not in host.run("find", "/var/lib/rkt", "/run").stdout
