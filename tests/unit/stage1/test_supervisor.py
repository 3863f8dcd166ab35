"""The processes of a running pod, found from its directory."""
from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stage1 import supervisor
from stage2 import syscalls
from tests.lib.forked import forked, needs_root


@pytest.mark.parametrize("content, pid", [("1234\n", 1234), ("7", 7), ("", None), ("soon\n", None), (None, None)])
def test_the_supervisor_by_its_file(tmp_path: Path, monkeypatch, content: str | None, pid: int | None) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "ppid").write_text(content)
    assert supervisor.pid() == pid


@pytest.mark.parametrize("lock, alive", [(fcntl.LOCK_EX, True), (fcntl.LOCK_SH, False), (fcntl.LOCK_UN, False)])
def test_a_pod_lives_as_long_as_somebody_holds_its_lock(tmp_path: Path, monkeypatch, lock: int, alive: bool) -> None:
    monkeypatch.chdir(tmp_path)
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, lock)
    before = os.listdir("/proc/self/fd")
    assert supervisor.is_alive() is alive
    assert os.listdir("/proc/self/fd") == before
    os.close(fd)
    assert supervisor.is_alive() is False


def test_a_look_does_not_take_the_lock(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert supervisor.is_alive() is False
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(fd)


@needs_root
def test_the_leader_is_the_child_that_is_pid_1_in_its_namespace() -> None:
    def find() -> tuple[bool, int | None]:
        helper = os.fork()  # another child, which is no PID 1
        if helper == 0:
            time.sleep(30)
            os._exit(0)
        before = supervisor.leader(os.getpid())
        syscalls.unshare(syscalls.CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        found = supervisor.leader(os.getpid())
        for process in (helper, child):
            os.kill(process, 9)
            os.waitpid(process, 0)
        return found == child, before

    assert forked(find) == (True, None)


def test_a_supervisor_that_is_gone_has_no_leader() -> None:
    gone = subprocess.Popen([sys.executable, "-S", "-c", ""])
    gone.wait()
    assert supervisor.leader(gone.pid) is None


def test_a_supervisor_without_children_has_no_leader() -> None:
    assert forked(lambda: supervisor.leader(os.getpid())) is None
