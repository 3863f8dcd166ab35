"""Deletes directory trees that somebody else filled: without following links, without leaving the mount."""
from __future__ import annotations

import errno
import os

from stage2 import syscalls

MAX_DEPTH = 64
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def remove_tree(path: str) -> None:
    """Delete a directory and all below it; one that is already gone is no error.

    Goes by directory descriptors, so that a link put in the way leads nowhere, and never
    into another mount. Where something is mounted below, it is first unmounted in a mount
    namespace of our own; the kernel drops such mounts elsewhere with their directory.
    A failure leaves a smaller tree, on which the call can be repeated.
    """
    try:
        _remove(path)
    except OSError as err:
        if err.errno not in (errno.EXDEV, errno.EBUSY):
            raise
        _detach_mounts(path)
        _remove(path)


def _remove(path: str) -> None:
    parent, name = os.path.split(os.path.abspath(path))
    try:
        parent_fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _remove_directory(parent_fd, name)
    except FileNotFoundError:
        if os.path.lexists(path):
            raise
    finally:
        os.close(parent_fd)


def _remove_directory(parent_fd: int, name: str) -> None:
    """Delete one directory; what lies deep in it is moved up, so that depth costs no descriptors."""
    fd = syscalls.openat2(parent_fd, name, _OPEN, resolve=syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS)
    try:
        while not _empty(fd, fd, 0):
            pass
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent_fd)


def _empty(fd: int, top_fd: int, depth: int) -> bool:
    """Delete what is in a directory; False if something from below now stands in the top directory."""
    all_gone = True
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
        elif depth == MAX_DEPTH:
            os.rename(name, f".moved-up-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=top_fd)
            all_gone = False
        else:
            below = syscalls.openat2(fd, name, _OPEN, resolve=syscalls.RESOLVE_NO_XDEV | syscalls.RESOLVE_NO_SYMLINKS)
            try:
                all_gone = _empty(below, top_fd, depth + 1) and all_gone
            finally:
                os.close(below)
            os.rmdir(name, dir_fd=fd)
    return all_gone


def _detach_mounts(path: str) -> None:
    """Unmount everything at and below a path, for this process alone."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    for target in reversed(mounts_below(os.path.realpath(path))):
        syscalls.umount2(target, syscalls.MNT_DETACH | syscalls.UMOUNT_NOFOLLOW)


def mounts_below(path: str) -> list[str]:
    """What is mounted at or below a path, in the order it was mounted."""
    with open("/proc/self/mountinfo", "rb") as file:
        targets = [_unescape(line.split(b" ", 5)[4]) for line in file]
    return [target for target in targets if target == path or target.startswith(path + "/")]


def _unescape(field: bytes) -> str:
    for escaped, plain in ((rb"\040", b" "), (rb"\011", b"\t"), (rb"\012", b"\n"), (rb"\134", b"\\")):
        field = field.replace(escaped, plain)
    return os.fsdecode(field)
