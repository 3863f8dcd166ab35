"""`rkt enter`: another program in the sandbox of an app."""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lib.host import Host
from tests.lib.machine import Process


@pytest.fixture(scope="module")
def pod(host: Host, busybox: Path) -> Iterator[Process]:
    """A running pod of one app."""
    options = ["--environment=MINE=1", "--user=web", "--group=web"]
    with host.start_shell(busybox, "echo up; sleep 1000", app_options=options) as process:
        process.until_line("up")
        yield process


@pytest.fixture(scope="module")
def two(host: Host, busybox: Path) -> Iterator[Process]:
    """A running pod of two apps."""
    with host.start_rkt("--insecure-options=image", "run", "--net=host", busybox, "--name=one", "--exec=/bin/sh",
                        "--", "-c", "touch /one; sleep 1000", "---", busybox, "--name=two", "--exec=/bin/sleep",
                        "--", "1000") as process:
        host.rkt("status", "--wait-ready=20s", process.uuid).ok()
        yield process


@pytest.mark.parametrize("status", [0, 1, 42])
def test_the_exit_status_is_that_of_the_program(host: Host, pod: Process, status: int) -> None:
    assert host.rkt("enter", pod.uuid, "/bin/sh", "-c", f"exit {status}").returncode == status


def test_a_program_killed_by_a_signal(host: Host, pod: Process) -> None:
    assert host.rkt("enter", pod.uuid, "/bin/sh", "-c", "kill -9 $$").returncode in (137, -9)


def test_a_missing_program_is_127(host: Host, pod: Process) -> None:
    missing = host.rkt("enter", pod.uuid, "/no/such")
    assert missing.returncode == 127
    assert "/no/such" in missing.stderr and missing.stderr.count("\n") == 1


def test_streams_come_through_byte_for_byte(host: Host, pod: Process) -> None:
    done = host.rkt("enter", pod.uuid, "sh", "-c", "cat; echo err >&2", input=b"\0\1\2" * 100_000)
    assert (done.output, done.stderr) == (b"\0\1\2" * 100_000, "err\n")


def test_the_sandbox_is_that_of_the_app(host: Host, pod: Process) -> None:
    script = ("for kind in mnt pid ipc uts net cgroup; do readlink /proc/$$/ns/$kind; done; cat /proc/$$/cgroup; "
              "grep -E '^(Cap|Seccomp:|NoNewPrivs|Uid|Gid|Groups)' /proc/$$/status; echo $MINE $AC_APP_NAME; pwd")
    inside = host.rkt("enter", pod.uuid, "/bin/sh", "-c", script).ok().stdout
    own = host.rkt("enter", pod.uuid, "/bin/sh", "-c", script.replace("$$", "$(pidof sleep)")).ok().stdout
    assert inside == own
    assert "Seccomp:\t2\n" in inside and "CapEff:\t0000000000000000\n" in inside


def test_an_app_has_to_be_named_when_there_are_several(host: Host, two: Process) -> None:
    unnamed = host.rkt("enter", two.uuid, "/bin/true")
    assert unnamed.returncode == 254
    assert "one" in unnamed.stderr and "two" in unnamed.stderr
    assert host.rkt("enter", "--app=one", two.uuid, "/bin/ls", "/one").stdout == "/one\n"
    assert host.rkt("enter", "--app=two", two.uuid, "/bin/ls", "/one").returncode == 1
    unknown = host.rkt("enter", "--app=three", two.uuid, "/bin/true")
    assert unknown.returncode == 254 and "three" in unknown.stderr


def test_a_terminal_is_the_programs(host: Host, pod: Process) -> None:
    command, _ = host.rkt_command("enter", pod.uuid, "/bin/sh")
    terminal = host.terminal(*command)
    terminal.send("tty; stty size; echo $((6*7))\n")
    terminal.expect(r"/dev/pts/\d+|/dev/console")
    terminal.expect("42")
    terminal.send("exit 6\n")
    assert terminal.wait().returncode == 6


def test_a_pod_that_ended_cannot_be_entered(host: Host, busybox: Path) -> None:
    ended = host.shell(busybox, "true").uuid
    late = host.rkt("enter", ended, "/bin/true")
    assert late.returncode == 254
    assert ended in late.stderr and late.stderr.count("\n") == 1
