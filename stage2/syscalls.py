"""The system calls that Python lacks, one wrapper each, named as in the man pages.

Every wrapper raises OSError with the path it was called on, and has no policy. Built on
`_ctypes` alone: the `ctypes` package on top of it costs every start 2 ms. The numbers
of calls since Linux 5.2 are the same on every architecture.
"""
from __future__ import annotations

import _ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# mount(2)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOSYMFOLLOW, MS_NOATIME, MS_BIND, MS_MOVE, MS_REC = 256, 1024, 4096, 8192, 16384
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_RELATIME, MS_STRICTATIME = (
    1 << 17, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 24)
# umount2(2)
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
# unshare(2), setns(2)
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
# prctl(2)
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 22, 24, 36
PR_SET_KEEPCAPS, PR_SET_NAME, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 15, 38, 47
PR_SET_DUMPABLE = 4
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2
# openat2(2)
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16
# open_tree(2), move_mount(2), mount_setattr(2)
OPEN_TREE_CLONE, AT_RECURSIVE, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, AT_FDCWD = 1, 0x8000, 0x1000, 0x100, -100
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x4, 0x40
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
# fsopen(2), fsconfig(2), fsmount(2)
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE = 0, 1, 5, 6
# capget(2), capset(2)
_CAPABILITY_VERSION_3 = 0x20080522
# ptrace(2)
PTRACE_CONT, PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_LISTEN = 7, 0x4206, 0x4207, 0x4208
PTRACE_GETSIGMASK, PTRACE_SETSIGMASK = 0x420A, 0x420B
# madvise(2), close_range(2)
MADV_DONTNEED = 4
CLOSE_RANGE_CLOEXEC = 4

_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_PIDFD_OPEN, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 434, 436, 437, 442
_CLOEXEC = 0o2000000


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "l"


class _Char(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "c"


class _Call(_ctypes.CFuncPtr):
    """A C function that returns a long and sets errno."""

    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO
    _restype_ = _Long


_functions: dict[str, Any] = {}


def _call(name: str, path: str | None, *arguments: int | bytes | None) -> int:
    """Call a function of libc; integers go as longs, bytes as pointers. OSError names the path."""
    function = _functions.get(name)
    if function is None:
        handle = _functions.setdefault("", _ctypes.dlopen(None, 0))  # type: ignore[arg-type]
        function = _functions[name] = _Call(_ctypes.dlsym(handle, name))
    words = [_Long(word) if isinstance(word, int) else word for word in arguments]
    result = int(function(*words))
    # The wrappers of libc return an int: of the long only the lower half is meant.
    if result & 0xFFFFFFFF == 0xFFFFFFFF:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def _buffer(content: bytes) -> Any:
    """Memory that a call can write to, or that another structure points to."""
    class Buffer(_ctypes.Array):  # type: ignore[type-arg]
        _type_ = _Char
        _length_ = len(content)

    return Buffer.from_buffer_copy(content)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else os.fsencode(text)


def mount(source: str | None, target: str, filesystem: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    _call("mount", target, _bytes(source), _bytes(target), _bytes(filesystem), flags, _bytes(data))


def umount2(target: str, flags: int) -> None:
    """umount2(2)."""
    _call("umount2", target, _bytes(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    _call("pivot_root", new_root, _bytes(new_root), _bytes(put_old))


def unshare(flags: int) -> None:
    """unshare(2)."""
    _call("unshare", None, flags)


def setns(fd: int, kind: int) -> None:
    """setns(2); `fd` of a namespace file or a pidfd."""
    _call("setns", None, fd, kind)


def prctl(option: int, argument2: int | bytes = 0, argument3: int | bytes = 0) -> int:
    """prctl(2) with up to two arguments, the others zero."""
    return _call("prctl", None, option, argument2, argument3, 0, 0)


def capget() -> int:
    """capget(2) of the calling thread: the permitted set, a mask of 64 bits."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    data = _buffer(bytes(24))
    _call("capget", None, header, data)
    words = bytes(data)
    return int.from_bytes(words[4:8], "little") | int.from_bytes(words[16:20], "little") << 32


def capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2) of the calling thread; each set is a mask of 64 bits."""
    header = _CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4)
    data = b"".join(
        (mask >> shift & 0xFFFFFFFF).to_bytes(4, "little")
        for shift in (0, 32) for mask in (effective, permitted, inheritable))
    _call("capset", None, header, data)


def set_seccomp_filter(program: bytes) -> None:
    """Load a filter of struct sock_filter entries, 8 bytes each, for the calling thread (seccomp(2))."""
    buffer = _buffer(program)
    address = _ctypes.addressof(buffer)
    header = (len(program) // 8).to_bytes(8, "little") + address.to_bytes(8, "little")  # struct sock_fprog
    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, header)


def openat2(directory_fd: int, path: str, flags: int, mode: int = 0, resolve: int = 0) -> int:
    """openat2(2): a descriptor, close-on-exec; `resolve` takes the RESOLVE_ flags."""
    how = b"".join(word.to_bytes(8, "little") for word in (flags | _CLOEXEC, mode, resolve))
    return _call("syscall", path, _OPENAT2, directory_fd, os.fsencode(path), how, len(how))


def open_tree(directory_fd: int, path: str, flags: int) -> int:
    """open_tree(2): a descriptor of a mount, close-on-exec."""
    return _call("syscall", path, _OPEN_TREE, directory_fd, os.fsencode(path), flags | _CLOEXEC)


def move_mount(from_fd: int, from_path: str, to_fd: int, to_path: str, flags: int) -> None:
    """move_mount(2)."""
    _call("syscall", to_path or from_path, _MOVE_MOUNT, from_fd, os.fsencode(from_path), to_fd, os.fsencode(to_path),
          flags)


def mount_setattr(directory_fd: int, path: str, flags: int, attr_set: int = 0, attr_clear: int = 0,
                  propagation: int = 0) -> None:
    """mount_setattr(2) without an idmap."""
    attributes = b"".join(word.to_bytes(8, "little") for word in (attr_set, attr_clear, propagation, 0))
    _call("syscall", path, _MOUNT_SETATTR, directory_fd, os.fsencode(path), flags, attributes, len(attributes))


def fsopen(filesystem: str) -> int:
    """fsopen(2): the descriptor of a new file system context, close-on-exec."""
    return _call("syscall", filesystem, _FSOPEN, os.fsencode(filesystem), 1)


def fsconfig(fd: int, command: int, key: str | None, value: str | None, auxiliary: int = 0) -> None:
    """fsconfig(2) with a string, a flag or a descriptor."""
    _call("syscall", value, _FSCONFIG, fd, command, _bytes(key), _bytes(value), auxiliary)


def fsmount(fd: int, attributes: int) -> int:
    """fsmount(2): the descriptor of a detached mount, close-on-exec."""
    return _call("syscall", None, _FSMOUNT, fd, 1, attributes)


def close_range(first: int, last: int, flags: int = 0) -> None:
    """close_range(2)."""
    _call("syscall", None, _CLOSE_RANGE, first, last, flags)


def syncfs(fd: int) -> None:
    """syncfs(2): the whole file system that the descriptor is on, written to the disk."""
    _call("syncfs", None, fd)


def madvise(address: int, length: int, advice: int) -> None:
    """madvise(2) on a range of this process's own memory."""
    _call("madvise", None, address, length, advice)


def ptrace(request: int, pid: int, address: int = 0, data: int | bytes = 0) -> None:
    """ptrace(2) for requests that answer nothing."""
    _call("ptrace", f"process {pid}", request, pid, address, data)


def ptrace_sigmask(pid: int) -> int:
    """The signals that a stopped tracee blocks, signal N at bit N-1."""
    mask = _buffer(bytes(8))
    _call("ptrace", f"process {pid}", PTRACE_GETSIGMASK, pid, 8, mask)
    return int.from_bytes(bytes(mask), "little")


def ptrace_set_sigmask(pid: int, mask: int) -> None:
    """Set the signals that a stopped tracee blocks."""
    ptrace(PTRACE_SETSIGMASK, pid, 8, mask.to_bytes(8, "little"))
