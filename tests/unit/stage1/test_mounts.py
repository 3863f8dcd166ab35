"""The stage1 root: what is on disk, and what is mounted in a namespace of its own."""
from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stage1 import mounts
from stage1.mounts import MountError
from stage1.plan import Bind, Plan
from stage2 import errors, syscalls
from stage2.record import Record
from tests.lib.forked import errno_of, forked, needs_root

ROOT = "stage1/rootfs"


@pytest.fixture
def pod(tmp_path: Path, monkeypatch) -> Iterator[Path]:
    """A pod directory, which is the working directory, with its skeleton."""
    directory = tmp_path / "pod"
    directory.mkdir()
    monkeypatch.chdir(directory)
    mounts.skeleton()
    yield directory


def separated(call: Callable[[], object]) -> object:
    """What a call returns in a child that `separate` was called in."""
    def separate() -> object:
        mounts.separate()
        return call()

    return forked(separate)


def plan(*binds: Bind) -> Plan:
    return Plan(binds, (), (), Record("x", ()))


def test_the_skeleton(pod: Path) -> None:
    top = pod / ROOT
    made = {str(path.relative_to(top)) for path in top.rglob("*") if not path.is_symlink()}
    linked = {name for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32") if os.path.islink(f"/{name}")}
    assert made == {"proc", "sys", "dev", "run", "tmp", "etc", "var", "opt", "rkt", "rkt/status", "rkt/lib",
                    "rkt/seccomp", "rkt/volumes", "opt/stage2"}
    assert {path.name: os.readlink(path) for path in top.iterdir() if path.is_symlink()} == {
        name: os.readlink(f"/{name}") for name in linked}


def test_the_skeleton_of_a_prepared_pod_keeps_what_is_there(pod: Path) -> None:
    app = pod / ROOT / "opt/stage2/web/rootfs"
    app.mkdir(parents=True)
    (app / "file").write_text("x")
    mounts.skeleton()
    assert (app / "file").read_text() == "x"


@needs_root
def test_mounts_of_the_host_come_in_and_none_goes_out(tmp_path: Path) -> None:
    read, write = os.pipe()
    (tmp_path / "shared").mkdir()

    def host() -> tuple[bool, bool]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        syscalls.mount("t", str(tmp_path / "shared"), "tmpfs", 0)
        syscalls.mount(None, str(tmp_path / "shared"), None, syscalls.MS_SHARED)
        for name in ("in", "out"):
            (tmp_path / "shared" / name).mkdir()
        ready_read, ready_write = os.pipe()
        child = os.fork()
        if child == 0:
            mounts.separate()
            syscalls.mount("t", str(tmp_path / "shared/out"), "tmpfs", 0)
            os.write(ready_write, b"1")
            os.read(read, 1)
            os._exit(0 if (tmp_path / "shared/in/mark").exists() else 1)
        os.read(ready_read, 1)
        went_out = os.path.ismount(tmp_path / "shared/out")
        syscalls.mount("t", str(tmp_path / "shared/in"), "tmpfs", 0)
        (tmp_path / "shared/in/mark").write_text("")
        os.write(write, b"1")
        return went_out, os.waitpid(child, 0)[1] == 0

    assert forked(host) == (False, True)
    os.close(read)
    os.close(write)


@needs_root
def test_binds_are_done_in_order_and_read_only_where_asked(pod: Path, tmp_path: Path) -> None:
    (tmp_path / "volume/sub").mkdir(parents=True)
    (tmp_path / "file").write_text("content")

    def bind() -> list[object]:
        syscalls.mount("t", str(tmp_path / "volume/sub"), "tmpfs", 0)
        (tmp_path / "volume/sub/mark").write_text("")
        mounts.apply(plan(
            Bind(str(tmp_path / "volume"), "/rkt/volumes/0", read_only=False, recursive=True),
            Bind(str(tmp_path / "volume"), "/rkt/volumes/1", read_only=False),
            Bind(str(tmp_path / "file"), "/rkt/volumes/2", read_only=False, is_file=True),
            Bind("/usr", "/usr"),
            Bind(str(tmp_path / "volume"), "/new/place")))
        top = pod / ROOT
        (top / "rkt/volumes/0/written").write_text("x")
        return [(top / "rkt/volumes/0/sub/mark").exists(), (top / "rkt/volumes/1/sub/mark").exists(),
                (top / "rkt/volumes/2").read_text(), errno_of(lambda: (top / "usr/new").write_text("x")),
                errno_of(lambda: (top / "new/place/new").write_text("x")), (top / "usr/bin").is_dir()]

    assert separated(bind) == [True, False, "content", errno.EROFS, errno.EROFS, True]
    assert (tmp_path / "volume/written").read_text() == "x"
    assert os.listdir(pod / ROOT / "usr") == []  # the host sees no mount


@needs_root
def test_a_bind_that_fails_names_its_source(pod: Path) -> None:
    def bind() -> str:
        try:
            mounts.apply(plan(Bind("/nowhere/data", "/rkt/volumes/0")))
        except MountError as err:
            return errors.line(err)
        return ""

    assert separated(bind) == f"mount of /nowhere/data: {ROOT}/rkt/volumes/0: no such file or directory"


@pytest.mark.parametrize("name", ["plain", "a:b", "a,b=c", "back\\slash", "spaces and ünicode"])
@needs_root
def test_an_overlay_whatever_its_paths_are_called(pod: Path, tmp_path: Path, name: str) -> None:
    place = tmp_path / name
    for directory in ("tree", "upper", "work"):
        (place / directory).mkdir(parents=True)
    (place / "tree/file").write_text("image")
    (place / "target").mkdir()

    def stack() -> tuple[str, str]:
        mounts.overlay(*(str(place / part) for part in ("tree", "upper", "work", "target")))
        before = (place / "target/file").read_text()
        (place / "target/file").write_text("app")
        return before, (place / "target/file").read_text()

    assert separated(stack) == ("image", "app")
    assert (place / "tree/file").read_text() == "image"
    assert (place / "upper/file").read_text() == "app"
    assert os.listdir(place / "target") == []


@needs_root
def test_an_overlay_that_fails_names_the_tree(pod: Path, tmp_path: Path) -> None:
    def stack() -> str:
        try:
            mounts.overlay("/nowhere/tree", str(tmp_path), str(tmp_path), str(pod))
        except MountError as err:
            return errors.line(err)
        return ""

    assert separated(stack) == f"overlay of /nowhere/tree: {pod}: no such file or directory"


@needs_root
def test_the_runtime_directory_is_hidden_in_the_namespace_alone() -> None:
    place = "/run/systemd" if os.path.isdir("/run/systemd") else "/run"
    before = sorted(os.listdir(place))

    def hide() -> list[str]:
        mounts.hide_runtime_directory()
        return os.listdir(place)

    assert separated(hide) == []
    assert set(before) <= set(os.listdir(place))
