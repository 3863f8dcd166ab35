"""The cgroup of a caller, and cgroups of our own."""
from __future__ import annotations

import os
import time
import uuid
from pathlib import Path

import pytest

from stage1 import cgroups
from stage1.cgroups import Place
from tests.lib.forked import forked, needs_root

needs_cgroup2 = pytest.mark.skipif(not os.access(f"{cgroups.mount_point()}/cgroup.procs", os.W_OK),
                                   reason="needs a cgroup2 hierarchy to write to")
USER = "/user.slice/user-1000.slice"


@pytest.mark.parametrize("path, kind, unit, slice_name", [
    ("/", "session", "", ""),
    ("/system.slice/web.service", "service", "web.service", "system.slice"),
    ("/web.service", "service", "web.service", ""),
    ("/system.slice/system-web.slice/web@1.service", "service", "web@1.service", "system-web.slice"),
    ("/system.slice/docker.service/container", "delegated", "docker.service", "system.slice"),
    ("/machine.slice/rkt-1.scope/payload", "delegated", "rkt-1.scope", "machine.slice"),
    (f"{USER}/session-2.scope", "session", "session-2.scope", "user-1000.slice"),
    (f"{USER}/user@1000.service/app.slice/vte.scope", "session", "vte.scope", "user-1000.slice"),
    (f"{USER}/user@1000.service/app.slice/tool.service", "service", "tool.service", "user-1000.slice"),
    (f"{USER}/user@1000.service/init.scope", "session", "init.scope", "user-1000.slice"),
    (f"{USER}/user@1000.service", "service", "user@1000.service", "user-1000.slice"),
    ("/init.scope", "session", "init.scope", ""),
    ("/batch/job7", "session", "", ""),
    ("/system.slice", "session", "", "system.slice"),
])
def test_what_a_path_tells(path: str, kind: str, unit: str, slice_name: str) -> None:
    assert cgroups.place(path) == Place(path, kind, unit, slice_name)


@pytest.mark.parametrize("path, uid", [
    (f"{USER}/session-2.scope", 1000), ("/user.slice/user-0.slice", 0), ("/system.slice/user-7.service", None),
    ("/user.slice/user-.slice", None), ("/user.slice/user-x1.slice/x", None), ("/", None),
])
def test_the_user_of_a_slice(path: str, uid: int | None) -> None:
    assert cgroups.owner_uid(path) == uid


def test_the_line_of_cgroup2_counts(monkeypatch) -> None:
    texts = {"self": b"9:name=systemd:/other\n4:memory:/a:b\n0::/system.slice/odd:name\n", 7: b"4:memory:/x\n"}
    monkeypatch.setattr(cgroups.files, "read", lambda path: texts[7 if "/7/" in path else "self"])
    assert cgroups.path_of() == "/system.slice/odd:name"
    assert cgroups.path_of(7) == "/"


@pytest.mark.parametrize("there, root", [(["cgroup.controllers"], ""), ([], "/unified")])
def test_the_hierarchy_is_the_whole_tree_or_a_part(monkeypatch, tmp_path: Path, there: list[str], root: str) -> None:
    for name in there:
        (tmp_path / name).write_text("")
    monkeypatch.setattr(cgroups, "ROOT", str(tmp_path))
    assert cgroups.mount_point() == f"{tmp_path}{root}"
    assert cgroups.directory("/a/b/") == f"{tmp_path}{root}/a/b"
    assert cgroups.directory("/") == f"{tmp_path}{root}"


def test_where_the_hierarchy_is_missing_no_cgroup_is_entered(monkeypatch) -> None:
    monkeypatch.setattr(cgroups, "ROOT", "/proc/self/nothing")
    assert cgroups.enter_own("/rkt-1") is False
    assert cgroups.processes("/rkt-1") == []
    cgroups.remove("/rkt-1")


@needs_root
@needs_cgroup2
def test_a_cgroup_of_our_own_lives_and_goes() -> None:
    path = f"/rkt-test-{uuid.uuid4().hex}"

    def enter() -> tuple[bool, str, bool]:
        entered = cgroups.enter_own(f"{path}/inner")
        return entered, cgroups.path_of(), cgroups.processes(path) == [os.getpid()]

    try:
        assert forked(enter) == (True, f"{path}/inner", True)
        assert os.path.isdir(cgroups.directory(path))
    finally:
        deadline = time.monotonic() + 5
        while cgroups.processes(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        cgroups.remove(path)
    assert not os.path.exists(cgroups.directory(path))


@needs_root
@needs_cgroup2
def test_a_cgroup_with_processes_stays() -> None:
    path = f"/rkt-test-{uuid.uuid4().hex}"

    def enter() -> bool:
        before = cgroups.path_of()
        cgroups.enter_own(path)
        cgroups.remove(path)
        stayed = os.path.isdir(cgroups.directory(path))
        cgroups.enter_own(before)
        cgroups.remove(path)
        return stayed and not os.path.exists(cgroups.directory(path))

    assert forked(enter) is True
