"""The default system call filter of an app, compiled by libseccomp once and kept by content.

What is not in the list answers ENOSYS, so that a C library falls back to an older call;
what is known and withheld answers EPERM. Nothing kills a process (lessons: modern
images died of SIGSYS). Calls that a capability guards are let through with it.
"""
from __future__ import annotations

import os

from stage2 import files
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1                     # of the lists in syscall_lists: a change there needs a new one
CAP_SYS_ADMIN = 21
GUARDING = (2, 16, 17, 18, 19, 20, 21, 22, 23, 25, 26, 34)   # the capabilities of syscall_lists.GUARDED

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_MASKED_EQ = 7
_UNKNOWN = -1
_ATTRIBUTE_BAD_ARCH, _ATTRIBUTE_OPTIMIZE = 2, 8
_LOW_32 = 0xFFFFFFFF
_ARCH_X86 = 0x40000003


class SeccompError(RktError):
    """A system call filter cannot be made."""


def default_filters(cache: str, capabilities: int) -> tuple[tuple[str, bytes], ...]:
    """The programs to load for an app with these capabilities, each with its name in the cache.

    Three programs, of whose answers the strictest holds: what may be called at all, and
    which arguments may not be given. Compiled on the first use; `cache` is a directory, made if
    need be. Raises SeccompError: libseccomp is missing, or refuses.
    """
    guarded = tuple(number for number in GUARDING if capabilities >> number & 1)
    machine = os.uname().machine
    names = (f"calls-{VERSION}-{machine}-{'-'.join(map(str, guarded)) or 'none'}",
             f"arguments-{VERSION}-{machine}-{'admin' if CAP_SYS_ADMIN in guarded else 'none'}",
             f"sockets-{VERSION}-{machine}")
    found = []
    for name, compile_filter in zip(names, (_allowed_calls, _refused_arguments, _refused_sockets)):
        path = f"{cache}/{name}"
        try:
            program = files.read(path)
        except FileNotFoundError:
            program = compile_filter(guarded)
            os.makedirs(cache, 0o755, exist_ok=True)
            files.replace(path, program)
        found.append((name, program))
    return tuple(found)


def _allowed_calls(guarded: tuple[int, ...]) -> bytes:
    """Lets the listed calls through, answers EPERM for those withheld and ENOSYS for all else."""
    from stage1 import syscall_lists  # late: only the first run with these capabilities compiles
    allowed = set(syscall_lists.ALLOWED)
    for capability in guarded:
        allowed.update(syscall_lists.GUARDED[capability])
    withheld = {name for names in syscall_lists.GUARDED.values() for name in names} | set(syscall_lists.WITHHELD)
    library = _Library(_ERRNO | _ENOSYS)
    for name in sorted(allowed):
        library.rule(_ALLOW, name)
    for name in sorted(withheld - allowed - {"clone3"}):  # clone3 hides its flags: C libraries fall back to clone
        library.rule(_ERRNO | _EPERM, name)
    for value in syscall_lists.PERSONALITIES:
        library.rule(_ALLOW, "personality", (0, _MASKED_EQ, _LOW_32, value))
    return library.program()


def _refused_arguments(guarded: tuple[int, ...]) -> bytes:
    """Lets everything through but the arguments that lead out of the pod.

    The kernel takes only the lower half of these arguments, so only that is compared:
    CVE-2019-7303 and CVE-2023-1523 came of comparing it all.
    """
    from stage1 import syscall_lists
    library = _Library(_ALLOW)
    for request in (0x5412, 0x541C):  # TIOCSTI, TIOCLINUX: type into the caller's terminal
        library.rule(_ERRNO | _EPERM, "ioctl", (1, _MASKED_EQ, _LOW_32, request))
    if CAP_SYS_ADMIN not in guarded:
        flag_index = 1 if os.uname().machine.startswith("s390") else 0
        for flag in syscall_lists.NAMESPACE_FLAGS:
            library.rule(_ERRNO | _EPERM, "clone", (flag_index, _MASKED_EQ, flag, flag))
    return library.program()


def _refused_sockets(guarded: tuple[int, ...]) -> bytes:
    """Lets everything through but AF_VSOCK, which does not know of network namespaces.

    For the host's own architecture alone: on i386 all calls for sockets go through
    socketcall, whose arguments a filter cannot see.
    """
    library = _Library(_ALLOW, others=_ALLOW)
    library.rule(_ERRNO | _EPERM, "socket", (0, _MASKED_EQ, _LOW_32, 40))
    return library.program()


class _Library:
    """A filter that libseccomp builds, for the host's architectures; with `others` for the first of them alone."""

    def __init__(self, default_action: int, others: int | None = None) -> None:
        import ctypes
        self.ctypes = ctypes
        try:
            self.library: Any = ctypes.CDLL("libseccomp.so.2", use_errno=True)
        except OSError as err:
            raise SeccompError("filter of system calls: libseccomp is not installed") from err

        class Comparison(ctypes.Structure):
            _fields_ = [("argument", ctypes.c_uint), ("operator", ctypes.c_int), ("a", ctypes.c_uint64),
                        ("b", ctypes.c_uint64)]

        self.comparison = Comparison
        self.library.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.library.seccomp_init(default_action))
        self._checked("seccomp_attr_set", _ATTRIBUTE_BAD_ARCH, _ERRNO | _ENOSYS if others is None else others)
        if os.uname().machine == "x86_64" and others is None:
            self._checked("seccomp_arch_add", _ARCH_X86)
        try:
            self._checked("seccomp_attr_set", _ATTRIBUTE_OPTIMIZE, 2)
        except SeccompError:
            pass  # before libseccomp 2.5: a list instead of a tree, slower but right

    def rule(self, action: int, name: str, *comparisons: tuple[int, ...]) -> None:
        """Answer a call with an action; a call that this libseccomp does not know stays with the default.

        A comparison is (argument, operator, mask, value).
        """
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:
            return
        array = (self.comparison * len(comparisons))(*(self.comparison(*words) for words in comparisons))
        self._checked("seccomp_rule_add_array", self.ctypes.c_uint32(action), number, len(comparisons), array,
                      what=name)

    def program(self) -> bytes:
        """The compiled filter: struct sock_filter entries of 8 bytes."""
        fd = os.memfd_create("seccomp")
        try:
            self._checked("seccomp_export_bpf", fd)
            os.lseek(fd, 0, os.SEEK_SET)
            return os.read(fd, 1 << 20)
        finally:
            os.close(fd)
            self.library.seccomp_release(self.context)

    def _checked(self, function: str, *arguments: Any, what: str = "") -> None:
        result = getattr(self.library, function)(self.context, *arguments)
        if result < 0:
            raise SeccompError(f"filter of system calls: {function} {what}: {os.strerror(-result)}")
