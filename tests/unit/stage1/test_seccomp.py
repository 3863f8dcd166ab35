"""The filters, loaded in a child and asked for what they refuse."""
from __future__ import annotations

import ctypes
import errno
import mmap
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stage1 import capabilities, seccomp, syscall_lists
from stage1.seccomp import SeccompError
from stage2 import app, syscalls
from tests.lib.forked import forked, needs_root

TIOCSTI, TIOCLINUX, TIOCGWINSZ = 0x5412, 0x541C, 0x5413
AF_UNIX, AF_INET, AF_VSOCK, SOCK_STREAM = 1, 2, 40, 1
HIGH = 1 << 32          # the kernel does not look at this half of the argument
DEFAULT = capabilities.mask(capabilities.DEFAULT)

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
x86_64 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="of x86_64 alone")


def number(name: str) -> int:
    """The number of a system call here."""
    found = int(ctypes.CDLL("libseccomp.so.2").seccomp_syscall_resolve_name(name.encode()))
    if found < 0:
        pytest.skip(f"this machine has no {name}")
    return found


def raw(call: int, *arguments: int) -> int:
    """The errno of a system call, 0 if it succeeds."""
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(call), *(ctypes.c_long(argument) for argument in arguments))
    return ctypes.get_errno() if result == -1 else 0


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("seccomp"))


def filtered(cache: str, ask: Callable[[], object], mask: int = DEFAULT) -> object:
    """The answer of a child that has the filters of an app with these capabilities."""
    filters = seccomp.default_filters(cache, mask)

    def load() -> object:
        for _name, program in filters:
            syscalls.set_seccomp_filter(program)
        return ask()

    return forked(load)


def answers(cache: str, *calls: tuple[object, ...], mask: int = DEFAULT) -> list[int]:
    """What each call answers under the filters: (name or number, argument …)."""
    numbered = [(number(call) if isinstance(call, str) else call, *arguments) for call, *arguments in calls]
    return filtered(cache, lambda: [raw(*call) for call in numbered], mask)  # type: ignore[arg-type, return-value]


def raised(capability: str) -> int:
    return DEFAULT | capabilities.mask((capability,))


# --- what an app may call ---------------------------------------------------------------------------


@needs_root
def test_everyday_calls_go_through(cache: str) -> None:
    def everyday() -> tuple[bool, bytes, int]:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(write, b"hello")
            os._exit(3)
        return os.getpid() > 0, os.read(read, 5), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    assert filtered(cache, everyday) == (True, b"hello", 3)
    assert answers(cache, ("getpid",), ("socket", AF_UNIX, SOCK_STREAM, 0), ("socket", AF_INET, SOCK_STREAM, 0),
                   ("ptrace", 0xFFFF, 0, 0, 0), ("close", -1)) == [0, 0, 0, errno.ESRCH, errno.EBADF]


@needs_root
def test_a_program_can_be_executed(cache: str) -> None:
    def run() -> str:
        return subprocess.run(["/bin/sh", "-c", "echo $((6 * 7)) | cat"], capture_output=True, text=True).stdout

    assert filtered(cache, run) == "42\n"


@pytest.mark.parametrize("name", ["keyctl", "add_key", "request_key", "io_uring_setup", "io_uring_enter", "userfaultfd",
                                  "kexec_load", "kexec_file_load", "unshare", "setns", "mount", "umount2", "pivot_root",
                                  "bpf", "perf_event_open", "fsopen", "move_mount", "open_by_handle_at", "syslog",
                                  "reboot", "init_module", "finit_module", "swapon", "process_vm_readv",
                                  "pidfd_getfd", "settimeofday", "sethostname", "acct", "quotactl"])
@needs_root
def test_a_call_that_is_withheld_is_not_permitted(cache: str, name: str) -> None:
    assert answers(cache, (name, -1, -1, -1, -1, -1)) == [errno.EPERM]


@needs_root
def test_clone3_and_unknown_calls_are_not_implemented(cache: str) -> None:
    # 467 is the last call that the list knows of; file_getattr came with Linux 6.17.
    assert answers(cache, ("clone3", 0, 0), (468, -1, 0, 0, 0, -1), (4000,), (100_000,)) == [errno.ENOSYS] * 4


@pytest.mark.parametrize("persona, number_", [
    (0xFFFFFFFF, 0), (0, 0), (HIGH, 0), (0x20000, 0),
    (0x0040000, errno.ENOSYS),       # ADDR_NO_RANDOMIZE
    (0x0100000, errno.ENOSYS),       # MMAP_PAGE_ZERO
])
@needs_root
def test_only_harmless_personalities_can_be_had(cache: str, persona: int, number_: int) -> None:
    assert answers(cache, ("personality", persona)) == [number_]


# --- arguments --------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [TIOCSTI, TIOCLINUX])
@pytest.mark.parametrize("high", [0, HIGH, -HIGH, 1 << 63])
@needs_root
def test_nothing_is_typed_into_the_callers_terminal(cache: str, request_: int, high: int) -> None:
    assert answers(cache, ("ioctl", -1, request_ + high, 0)) == [errno.EPERM]


@needs_root
def test_other_terminal_requests_go_through(cache: str) -> None:
    assert answers(cache, ("ioctl", -1, TIOCGWINSZ, 0), ("ioctl", -1, TIOCSTI - 1, 0)) == [errno.EBADF] * 2


@pytest.mark.parametrize("high", [0, HIGH])
@needs_root
def test_sockets_to_the_hypervisor_are_refused(cache: str, high: int) -> None:
    assert answers(cache, ("socket", AF_VSOCK + high, SOCK_STREAM, 0)) == [errno.EPERM]


@pytest.mark.parametrize("flag", [syscalls.CLONE_NEWUSER, syscalls.CLONE_NEWNS, syscalls.CLONE_NEWPID,
                                  syscalls.CLONE_NEWNET, syscalls.CLONE_NEWIPC, syscalls.CLONE_NEWUTS,
                                  syscalls.CLONE_NEWCGROUP])
@pytest.mark.parametrize("high", [0, HIGH])
@needs_root
def test_a_clone_into_a_new_namespace_is_refused(cache: str, flag: int, high: int) -> None:
    assert answers(cache, ("clone", high + flag | signal.SIGCHLD, 0, 0, 0, 0)) == [errno.EPERM]
    assert answers(cache, ("clone", high + flag | 0x00010000, 0, 0, 0, 0)) == [errno.EPERM]  # with CLONE_THREAD


# --- capabilities let calls through -----------------------------------------------------------------


@pytest.mark.parametrize("capability, call", [
    ("CAP_SYS_ADMIN", ("setns", -1, 0)), ("CAP_SYS_ADMIN", ("fsmount", -1, 0, 0)),
    ("CAP_DAC_READ_SEARCH", ("open_by_handle_at", -1, 0, 0)), ("CAP_SYS_PTRACE", ("pidfd_getfd", -1, 0, 0)),
    ("CAP_SYS_MODULE", ("finit_module", -1, 0, 0)),
])
@needs_root
def test_a_call_goes_through_with_its_capability(cache: str, capability: str, call: tuple[object, ...]) -> None:
    assert answers(cache, call) == [errno.EPERM]
    kernels_own = forked(lambda: raw(number(str(call[0])), *call[1:]))  # type: ignore[arg-type]
    assert kernels_own != errno.EPERM
    assert answers(cache, call, mask=raised(capability)) == [kernels_own]


@needs_root
def test_with_cap_sys_admin_namespaces_can_be_had_but_no_typing(cache: str) -> None:
    mask = raised("CAP_SYS_ADMIN")

    def unshare() -> bool:
        before = os.readlink("/proc/self/ns/uts")
        syscalls.unshare(syscalls.CLONE_NEWUTS)
        return os.readlink("/proc/self/ns/uts") != before

    assert filtered(cache, unshare, mask) is True
    assert answers(cache, ("ioctl", -1, TIOCSTI, 0), ("keyctl", -1), ("clone3", 0, 0), mask=mask) == [
        errno.EPERM, errno.EPERM, errno.EINVAL]


@needs_root
def test_chroot_is_among_the_default_ones_and_goes_with_its_capability(cache: str) -> None:
    call = ("chroot", 0)
    assert answers(cache, call) == [errno.EFAULT]
    assert answers(cache, call, mask=DEFAULT & ~capabilities.mask(("CAP_SYS_CHROOT",))) == [errno.EPERM]


def test_the_guarding_capabilities_are_those_of_the_lists() -> None:
    assert tuple(sorted(syscall_lists.GUARDED)) == seccomp.GUARDING
    guarded = {name for names in syscall_lists.GUARDED.values() for name in names}
    assert set(syscall_lists.ALLOWED) & guarded == set()
    assert (set(syscall_lists.ALLOWED) | guarded) & set(syscall_lists.WITHHELD) == set()
    assert len(set(syscall_lists.ALLOWED)) == len(syscall_lists.ALLOWED)


# --- other calling conventions of x86-64 ------------------------------------------------------------


def low_page() -> mmap.mmap:
    """Memory that 32 bits can point to, and that can be executed."""
    map_32_bit = 0x40
    return mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | map_32_bit,
                     mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def address(page: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(page))


def int_80(call: int, *arguments: int) -> int:
    """A system call as a 32-bit program makes it; its result, negative for an error."""
    page = low_page()
    # push rbx; mov eax, ebx, ecx, edx; int 0x80; pop rbx; ret
    words = (call, *arguments, *[0] * (3 - len(arguments)))
    page.write(b"\x53" + b"".join(bytes((code,)) + struct.pack("<I", word & 0xFFFFFFFF)
                                  for code, word in zip((0xB8, 0xBB, 0xB9, 0xBA), words)) + b"\xcd\x80\x5b\xc3")
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address(page))())


def has_32_bit_calls() -> bool:
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os._exit(0 if int_80(20) == os.getpid() else 1)
    return os.waitpid(child, 0)[1] == 0


@x86_64
@needs_root
def test_a_32_bit_call_is_filtered_by_its_own_number(cache: str) -> None:
    if not has_32_bit_calls():
        pytest.skip("this kernel has no 32-bit calls")
    getpid, ioctl, socket, keyctl, mount, clone3 = 20, 54, 359, 288, 21, 435
    new_user = syscalls.CLONE_NEWUSER | signal.SIGCHLD

    def ask() -> list[int]:
        assert int_80(getpid) == os.getpid()
        return [min(0, int_80(*call)) for call in (
            (ioctl, -1, TIOCSTI), (ioctl, -1, TIOCGWINSZ),
            (socket, AF_UNIX, SOCK_STREAM), (keyctl, -1), (mount, 0, 0, 0), (clone3, 0, 0), (120, new_user, 0))]

    assert filtered(cache, ask) == [-errno.EPERM, -errno.EBADF, 0, -errno.EPERM, -errno.EPERM,
                                    -errno.ENOSYS, -errno.EPERM]


@x86_64
@needs_root
def test_the_old_32_bit_way_to_sockets_is_open(cache: str) -> None:
    if not has_32_bit_calls():
        pytest.skip("this kernel has no 32-bit calls")
    socketcall, sys_socket = 102, 1

    def ask() -> int:
        words = low_page()
        words.write(struct.pack("<III", AF_UNIX, SOCK_STREAM, 0))
        return int_80(socketcall, sys_socket, address(words))

    descriptor = filtered(cache, ask)
    assert isinstance(descriptor, int) and descriptor > 2


@x86_64
@needs_root
def test_x32_calls_are_not_implemented(cache: str) -> None:
    assert answers(cache, (0x40000000 + number("getpid"),), (0x40000000 + 514, -1, TIOCSTI, 0)) == [errno.ENOSYS] * 2


# --- who loads them, and the cache ------------------------------------------------------------------


@needs_root
def test_the_filters_hold_for_the_program_of_an_app(cache: str, tmp_path: Path) -> None:
    """As another user, over exec, by the way that apps are started."""
    from stage2.record import App
    filters = tuple(program for _name, program in seccomp.default_filters(cache, 0))
    tmp_path.chmod(0o755)
    program = ("import ctypes, os; libc = ctypes.CDLL(None, use_errno=True)\n"
               f"print(libc.ioctl(0, ctypes.c_ulong({TIOCSTI + HIGH}), b'x'), ctypes.get_errno(), os.getuid())")

    def run() -> str:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            os.dup2(write, 1)
            app.become(App("web", (os.path.realpath(sys.executable), "-I", "-S", "-c", program), (), uid=1000),
                       (os.path.realpath(sys.executable), "-I", "-S", "-c", program), {}, filters)
        os.close(write)
        os.waitpid(child, 0)
        return os.read(read, 100).decode()

    assert forked(run) == f"-1 {errno.EPERM} 1000\n"


def test_filters_are_compiled_once_and_kept_by_content(tmp_path: Path, monkeypatch) -> None:
    cache = str(tmp_path / "new/seccomp")
    machine = os.uname().machine
    first = seccomp.default_filters(cache, DEFAULT)
    assert [name for name, _program in first] == [f"calls-{seccomp.VERSION}-{machine}-18",
                                                  f"arguments-{seccomp.VERSION}-{machine}-none",
                                                  f"sockets-{seccomp.VERSION}-{machine}"]
    assert all(program and len(program) % 8 == 0 and len(program) // 8 <= 4096 for _name, program in first)
    assert {path.name: path.read_bytes() for path in (tmp_path / "new/seccomp").iterdir()} == dict(first)

    def never(_guarded: object) -> bytes:
        raise AssertionError("compiled again")

    monkeypatch.setattr(seccomp, "_allowed_calls", never)
    monkeypatch.setattr(seccomp, "_refused_arguments", never)
    monkeypatch.setattr(seccomp, "_refused_sockets", never)
    assert seccomp.default_filters(cache, DEFAULT) == first
    unguarding = capabilities.mask(("CAP_CHOWN", "CAP_NET_RAW"))
    assert seccomp.default_filters(cache, DEFAULT | unguarding) == first


def test_filters_are_named_by_the_capabilities_that_change_them(tmp_path: Path) -> None:
    machine = os.uname().machine
    names = [[name.removeprefix(f"calls-{seccomp.VERSION}-{machine}-").removeprefix(
        f"arguments-{seccomp.VERSION}-{machine}-") for name, _ in seccomp.default_filters(str(tmp_path), mask)[:2]]
        for mask in (0, 1 << 21 | 1 << 2, capabilities.ALL)]
    assert names == [["none", "none"], ["2-21", "admin"], ["-".join(map(str, seccomp.GUARDING)), "admin"]]


def test_without_libseccomp_there_is_a_clear_line(tmp_path: Path, monkeypatch) -> None:
    def missing(_name: str, **_options: object) -> None:
        raise OSError("libseccomp.so.2: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(SeccompError) as caught:
        seccomp.default_filters(str(tmp_path), 0)
    assert str(caught.value) == "filter of system calls: libseccomp is not installed"
    assert os.listdir(tmp_path) == []
