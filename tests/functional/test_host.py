"""The nested host itself: what the other functional tests stand on."""
from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lib.host import Host


def test_systemd_is_up_without_failed_units(host: Host) -> None:
    assert host.run("systemctl", "is-system-running").stdout == "running\n"
    assert host.run("cat", "/proc/1/comm").stdout == "systemd\n"


def test_a_caller_is_in_no_unit(host: Host) -> None:
    assert host.run("grep", "^0::", "/proc/self/cgroup").stdout == "0::/caller\n"


def test_a_login_is_in_the_scope_of_its_session(host: Host) -> None:
    assert "/user.slice/user-0.slice/session-" in host.in_session("grep", "^0::", "/proc/self/cgroup").stdout


def test_a_program_has_a_terminal_of_the_host(host: Host) -> None:
    terminal = host.terminal("sh", "-c", "tty; read line; echo got $line")
    terminal.expect("/dev/pts/[0-9]+")
    terminal.send("word\n")
    terminal.expect("got word")
    assert terminal.wait().returncode == 0


def test_statuses_signals_and_streams_come_through(host: Host) -> None:
    assert host.run("sh", "-c", "exit 7").returncode == 7
    assert host.run("sh", "-c", "kill -TERM $$").returncode == -15
    both = host.run("sh", "-c", "cat; echo oops >&2", input=b"\0\1\r\n")
    assert (both.output, both.stderr) == (b"\0\1\r\n", "oops\n")


def test_the_controllers_are_there_in_the_hybrid_layout(hybrid_host: Host) -> None:
    done = hybrid_host.run("systemd-run", "--quiet", "--pipe", "--wait", "--property=TasksMax=7",
                           "sh", "-c", "cat /sys/fs/cgroup/pids$(sed -n 's/^.*:pids://p' /proc/self/cgroup)/pids.max")
    assert done.stdout == "7\n"


def test_a_host_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "shared").mkdir()
    before = Path("/proc/self/mountinfo").read_text()
    host = Host(tmp_path / "root", tmp_path / "shared").boot()
    cgroups = [cgroup for cgroup in host._cgroups if cgroup.is_dir()]
    assert cgroups
    host.shut_down()
    assert Path("/proc/self/mountinfo").read_text() == before
    assert [cgroup for cgroup in cgroups if cgroup.exists()] == []
    assert [*(tmp_path / "root").iterdir(), *(tmp_path / "shared").iterdir()] == []
    with pytest.raises(subprocess.CalledProcessError):
        subprocess.run(["pgrep", "-g", str(host._outer.pid)], check=True)
