"""The wrappers of system calls: what the kernel then has, and the path in the error."""
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stage2 import syscalls
from tests.lib.forked import forked, needs_root


def status(field: str) -> str:
    """A line of /proc/self/status."""
    with open("/proc/self/status") as opened:
        return next(line.split(":", 1)[1].strip() for line in opened if line.startswith(field + ":"))


@pytest.mark.parametrize("call, path", [
    (lambda: syscalls.mount("/none", "/nowhere", None, syscalls.MS_BIND), "/nowhere"),
    (lambda: syscalls.umount2("/nowhere", syscalls.MNT_DETACH), "/nowhere"),
    (lambda: syscalls.pivot_root("/nowhere", "/nowhere"), "/nowhere"),
    (lambda: syscalls.openat2(syscalls.AT_FDCWD, "/nowhere", os.O_PATH), "/nowhere"),
    (lambda: syscalls.open_tree(syscalls.AT_FDCWD, "/nowhere", 0), "/nowhere"),
    (lambda: syscalls.move_mount(syscalls.AT_FDCWD, "/nowhere", syscalls.AT_FDCWD, "/none", 0), "/none"),
    (lambda: syscalls.mount_setattr(syscalls.AT_FDCWD, "/nowhere", 0, syscalls.MOUNT_ATTR_RDONLY), "/nowhere"),
])
@needs_root
def test_a_failure_has_errno_and_path(call, path: str) -> None:
    with pytest.raises(OSError) as caught:
        call()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, path)


def test_a_failure_without_a_path() -> None:
    with pytest.raises(OSError) as caught:
        syscalls.setns(-1, 0)
    assert (caught.value.errno, caught.value.filename) == (errno.EBADF, None)
    assert str(caught.value) == "[Errno 9] Bad file descriptor"


def test_prctl_sets_what_it_says() -> None:
    def name() -> str:
        syscalls.prctl(syscalls.PR_SET_NAME, b"renamed\0")
        return status("Name")

    def no_new_privileges() -> str:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        return status("NoNewPrivs")

    assert forked(name) == "renamed"
    assert forked(no_new_privileges) == "1"


@needs_root
def test_capset_sets_each_set_over_all_64_bits() -> None:
    def limited() -> tuple[list[str], int]:
        syscalls.capset(1 << 1 | 1 << 38, 1 << 0 | 1 << 1 | 1 << 38, 1 << 39)
        return [status(field) for field in ("CapEff", "CapPrm", "CapInh")], syscalls.capget()

    sets, permitted = forked(limited)
    assert [int(mask, 16) for mask in sets] == [0x4000000002, 0x4000000003, 0x8000000000]
    assert permitted == 0x4000000003


def test_capget_is_the_permitted_set() -> None:
    assert syscalls.capget() == int(status("CapPrm"), 16)


@pytest.mark.parametrize("link, resolve, number", [
    ("../outside", syscalls.RESOLVE_BENEATH, errno.EXDEV),
    ("/outside", syscalls.RESOLVE_BENEATH, errno.EXDEV),
    ("inside", syscalls.RESOLVE_NO_SYMLINKS, errno.ELOOP),
    ("../outside", syscalls.RESOLVE_IN_ROOT, errno.ENOENT),
    ("inside", syscalls.RESOLVE_BENEATH, 0),
    ("/inside", syscalls.RESOLVE_IN_ROOT, 0),
    ("../../inside", syscalls.RESOLVE_IN_ROOT, 0),
])
def test_openat2_resolves_as_it_is_told(tmp_path: Path, link: str, resolve: int, number: int) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "outside").write_text("outside")
    (tmp_path / "root/inside").write_text("inside")
    (tmp_path / "root/link").symlink_to(link)
    directory = os.open(tmp_path / "root", os.O_PATH)
    try:
        if number:
            with pytest.raises(OSError) as caught:
                syscalls.openat2(directory, "link", os.O_RDONLY, 0, resolve)
            assert (caught.value.errno, caught.value.filename) == (number, "link")
        else:
            fd = syscalls.openat2(directory, "link", os.O_RDONLY, 0, resolve)
            assert os.read(fd, 10) == b"inside"
            assert not os.get_inheritable(fd)
            os.close(fd)
    finally:
        os.close(directory)


def test_close_range_closes_or_marks() -> None:
    def close() -> list[bool]:
        for fd in (200, 201, 300):
            os.dup2(0, fd)
        syscalls.close_range(200, 201)
        syscalls.close_range(300, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
        return [os.path.exists(f"/proc/self/fd/{fd}") for fd in (200, 201)] + [os.get_inheritable(300)]

    assert forked(close) == [False, False, False]


@needs_root
def test_namespaces_are_joined_by_descriptor() -> None:
    def join() -> tuple[str, str]:
        fd = os.open("/proc/self/ns/uts", os.O_RDONLY)
        first = os.readlink("/proc/self/ns/uts")
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        assert os.readlink("/proc/self/ns/uts") != first
        syscalls.setns(fd, syscalls.CLONE_NEWUTS)
        return first, os.readlink("/proc/self/ns/uts")

    before, after = forked(join)
    assert before == after


@needs_root
def test_mounts(tmp_path: Path) -> None:
    def mount() -> tuple[str, list[str], str, bool]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        target = str(tmp_path)
        syscalls.mount("t", target, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NOEXEC, "mode=0710,size=64k")
        (tmp_path / "file").write_text("x")
        syscalls.mount_setattr(syscalls.AT_FDCWD, target, 0, syscalls.MOUNT_ATTR_RDONLY, syscalls.MOUNT_ATTR_NOEXEC)
        with open("/proc/self/mountinfo") as opened:
            options = next(line.split()[5] for line in opened if line.split()[4] == target)
        mode = oct(os.stat(target).st_mode & 0o7777)
        names = os.listdir(target)
        syscalls.umount2(target, syscalls.MNT_DETACH)
        return mode, names, options, os.path.exists(tmp_path / "file")

    assert forked(mount) == ("0o710", ["file"], "ro,nosuid,relatime", False)


@needs_root
def test_a_mount_made_by_descriptors(tmp_path: Path) -> None:
    def mount() -> tuple[str, bool]:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        (tmp_path / "first").mkdir()
        (tmp_path / "second").mkdir()
        context = syscalls.fsopen("tmpfs")
        syscalls.fsconfig(context, syscalls.FSCONFIG_SET_STRING, "mode", "0700")
        syscalls.fsconfig(context, syscalls.FSCONFIG_CMD_CREATE, None, None)
        made = syscalls.fsmount(context, syscalls.MOUNT_ATTR_NODEV)
        empty = syscalls.MOVE_MOUNT_F_EMPTY_PATH
        syscalls.move_mount(made, "", syscalls.AT_FDCWD, str(tmp_path / "first"), empty)
        (tmp_path / "first/file").write_text("x")
        copy = syscalls.open_tree(syscalls.AT_FDCWD, str(tmp_path / "first"), syscalls.OPEN_TREE_CLONE)
        syscalls.move_mount(copy, "", syscalls.AT_FDCWD, str(tmp_path / "second"), empty)
        return oct(os.stat(tmp_path / "second").st_mode & 0o7777), (tmp_path / "second/file").exists()

    assert forked(mount) == ("0o700", True)


def test_a_file_system_is_synced_by_descriptor(tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    syscalls.syncfs(fd)
    os.close(fd)
    with pytest.raises(OSError) as caught:
        syscalls.syncfs(fd)
    assert caught.value.errno == errno.EBADF
