"""The child's side of an app: which program it is, why it cannot be started, and what the kernel knows of it."""
from __future__ import annotations

import errno
import os
import struct
import sys
from pathlib import Path

import pytest

from stage2 import app as application
from stage2 import syscalls
from stage2.app import StartError, find_program
from stage2.record import App
from tests.lib.forked import forked, needs_root

CHOWN, KILL, NET_RAW = 0, 5, 13


def program(path: Path, content: bytes | str = "#!/bin/sh\n", mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    path.chmod(mode)
    return path


# --- find_program -------------------------------------------------------------------------------------


def test_a_word_is_looked_for_in_the_directories_of_the_path_in_order(tmp_path: Path) -> None:
    second, third = program(tmp_path / "second/tool"), program(tmp_path / "third/tool")
    assert find_program("tool", f"{tmp_path}/first:{tmp_path}/second:{tmp_path}/third", "/") == str(second)
    assert find_program("tool", f"{tmp_path}/third:{tmp_path}/second", "/") == str(third)


def test_a_word_with_a_slash_is_not_looked_for(tmp_path: Path) -> None:
    program(tmp_path / "bin/sub/tool")
    here = program(tmp_path / "work/sub/tool")
    assert find_program("sub/tool", f"{tmp_path}/bin", f"{tmp_path}/work") == str(here)
    assert find_program("./sub/tool", f"{tmp_path}/bin", f"{tmp_path}/work") == f"{tmp_path}/work/./sub/tool"
    assert find_program(str(here), "", "/") == str(here)


@pytest.mark.parametrize("path", ["", ":/nowhere", "/nowhere:", ".", "/nowhere:."])
def test_an_empty_or_relative_place_counts_from_the_working_directory(tmp_path: Path, path: str) -> None:
    program(tmp_path / "tool")
    assert os.path.samefile(find_program("tool", path, str(tmp_path)), tmp_path / "tool")


def test_directories_and_files_that_cannot_be_executed_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a/tool").mkdir(parents=True)
    program(tmp_path / "b/tool", mode=0o644)
    found = program(tmp_path / "c/tool")
    assert find_program("tool", f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/c", "/") == str(found)


@pytest.mark.parametrize("word, path, directory, message", [
    ("tool", "/nowhere:/none", "/", 'unable to find "tool" in "/nowhere:/none"'),
    ("./tool", "/nowhere", "/proc", 'unable to find "./tool" in "/proc"'),
    ("/nowhere/tool", "/bin", "/", 'unable to find "/nowhere/tool" in "/"'),
    ("..", "/usr/bin", "/", 'unable to find ".." in "/usr/bin"'),
])
def test_a_program_that_is_not_there(word: str, path: str, directory: str, message: str) -> None:
    with pytest.raises(StartError) as caught:
        find_program(word, path, directory)
    assert str(caught.value) == message


def test_a_program_that_may_not_be_executed_is_named(tmp_path: Path) -> None:
    denied = program(tmp_path / "tool", mode=0o644)
    with pytest.raises(StartError) as caught:
        find_program("tool", f"/nowhere:{tmp_path}", "/")
    assert str(caught.value) == f"{denied} is not executable"


# --- why a program cannot be started ------------------------------------------------------------------


def elf(interpreter: bytes, place: int = 200) -> bytes:
    """The head of a 64-bit little-endian ELF file with a PT_LOAD and a PT_INTERP entry."""
    header = struct.pack("<4sBBBBQHHIQQQIHHHHHH", b"\x7fELF", 2, 1, 1, 0, 0, 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    entries = [struct.pack("<IIQQQQQQ", kind, 4, offset, 0, 0, len(interpreter), len(interpreter), 1)
               for kind, offset in ((1, 0), (3, place))]
    return (header + b"".join(entries)).ljust(place, b"\0") + interpreter


@pytest.mark.parametrize("content, reason", [
    ("#!/no/such/sh -e\necho", ": its interpreter /no/such/sh is missing or cannot be executed"),
    ("#! \t/no/such/sh\n", ": its interpreter /no/such/sh is missing or cannot be executed"),
    ("#!\n", ": its interpreter  is missing or cannot be executed"),
    (elf(b"/lib/ld-none.so.1\0"), ": its loader /lib/ld-none.so.1 is missing"),
    (elf(b"/bin/sh\0"), " cannot be executed"),
    (elf(b"/lib/without-end"), ": its loader /lib/without-en is missing"),
    (elf(b"/lib/ld.so\0", place=5000), " cannot be executed"),
    (b"\x7fELF", " cannot be executed"),
    (b"\x7fELF\x01\x01" + b"\xff" * 4090, " cannot be executed"),
    (b"\x7fELF\x02\x01" + b"\xff" * 4090, " cannot be executed"),
    (b"", " cannot be executed"),
    ("echo no shebang\n", " cannot be executed"),
])
def test_the_reason_is_looked_for_in_the_file(tmp_path: Path, content: bytes | str, reason: str) -> None:
    path = program(tmp_path / "tool", content)
    assert application._why_not(str(path)) == f"{path}{reason}"


@needs_root
def test_the_reason_for_a_file_that_the_user_may_not_read(tmp_path: Path) -> None:
    path = program(tmp_path / "tool", mode=0o700)

    def ask() -> str:
        os.setresuid(1000, 1000, 1000)
        return application._why_not(str(path))

    assert forked(ask) == f"{path} cannot be executed"


def test_the_loader_of_a_real_program_is_found() -> None:
    with open(os.path.realpath(sys.executable), "rb") as opened:
        loader = application._elf_interpreter(opened.read(4096))
    assert os.path.exists(loader) and "ld" in os.path.basename(loader)


# --- become -------------------------------------------------------------------------------------------


def app(*words: str, **fields: object) -> App:
    return App("web", words, (), **fields)  # type: ignore[arg-type]


def outcome(made: App, *, filters: tuple[bytes, ...] = (), environment: dict[str, str] | None = None,
            as_root: bool = False, keep_fds: int = 3, prepare=lambda: None) -> str:
    """What the program of an app wrote, or the failure of its start."""
    def run() -> str:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.dup2(write, 1)
                prepare()
                application.become(made, made.exec, environment or {}, filters, keep_fds, as_root)
            except StartError as err:
                os.write(1, f"failed: {err} ({err.__cause__})".encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as opened:
            said = opened.read().decode()
        os.waitpid(child, 0)
        return said

    return forked(run)


STATUS = ("/bin/sh", "-c", "exec cat /proc/self/status")
# what lets everything through: BPF_RET | BPF_K, SECCOMP_RET_ALLOW
ALLOW_ALL = struct.pack("<HBBI", 6, 0, 0, 0x7FFF0000)


def status(said: str, *fields: str) -> list[str]:
    found = dict(line.split(":", 1) for line in said.splitlines())
    return [" ".join(found[field].split()) for field in fields]


@needs_root
def test_a_root_app_has_the_capabilities_of_its_mask_and_no_more() -> None:
    mask = 1 << CHOWN | 1 << NET_RAW
    said = outcome(app(*STATUS, capabilities=mask))
    assert status(said, "CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb") == [f"{mask:016x}"] * 3 + ["0" * 16] * 2
    assert status(said, "Uid", "Gid", "NoNewPrivs", "Seccomp", "Umask") == ["0 0 0 0", "0 0 0 0", "0", "0", "0022"]


@needs_root
def test_another_user_has_no_capabilities_but_the_bounding_set() -> None:
    mask = 1 << CHOWN | 1 << KILL
    said = outcome(app(*STATUS, capabilities=mask, uid=1000, gid=1001, groups=(7, 8), umask=0o027))
    assert status(said, "CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb") == [f"{mask:016x}"] + ["0" * 16] * 4
    assert status(said, "Uid", "Gid", "Groups", "Umask") == [
        "1000 1000 1000 1000", "1001 1001 1001 1001", "7 8", "0027"]


@needs_root
def test_an_app_without_capabilities_is_root_without_power() -> None:
    said = outcome(app(*STATUS))
    assert status(said, "CapBnd", "CapPrm", "CapEff", "Uid", "Groups") == ["0" * 16] * 3 + ["0 0 0 0", ""]


@needs_root
def test_the_inheritable_and_ambient_sets_of_the_caller_do_not_reach_the_app() -> None:
    def prepare() -> None:
        every = syscalls.capget()
        syscalls.capset(every, every, every)
        syscalls.prctl(syscalls.PR_CAP_AMBIENT, 2, CHOWN)  # PR_CAP_AMBIENT_RAISE

    for uid in (0, 1000):
        said = outcome(app(*STATUS, uid=uid), prepare=prepare)
        assert status(said, "CapInh", "CapAmb", "CapEff", "CapPrm", "CapBnd") == ["0" * 16] * 5


@pytest.mark.parametrize("uid, asked, filters, expected", [
    (0, False, (ALLOW_ALL, ALLOW_ALL), ["0", "2", "2"]),
    (0, True, (ALLOW_ALL,), ["1", "2", "1"]),
    (1000, False, (ALLOW_ALL,), ["1", "2", "1"]),
    (1000, False, (), ["0", "0", "0"]),
    (1000, True, (), ["1", "0", "0"]),
])
@needs_root
def test_filters_and_no_new_privileges(uid: int, asked: bool, filters: tuple[bytes, ...], expected: list[str]) -> None:
    said = outcome(app(*STATUS, uid=uid, no_new_privileges=asked), filters=filters)
    assert status(said, "NoNewPrivs", "Seccomp", "Seccomp_filters") == expected


@needs_root
def test_a_handler_runs_as_root_with_the_limits_of_its_app() -> None:
    mask = 1 << CHOWN
    said = outcome(app(*STATUS, uid=1000, gid=1000, capabilities=mask), as_root=True)
    assert status(said, "Uid", "Gid", "CapBnd", "CapEff") == ["0 0 0 0", "0 0 0 0", f"{mask:016x}", f"{mask:016x}"]


@needs_root
def test_descriptors_close_but_those_it_is_to_keep() -> None:
    def prepare() -> None:
        for fd in (3, 4, 90):
            os.dup2(0, fd)

    said = outcome(app("/bin/sh", "-c", "for n in 0 1 2 3 4 90; do [ -e /proc/$$/fd/$n ] && echo $n; done; true"),
                   keep_fds=4, prepare=prepare)
    assert said.split() == ["0", "1", "2", "3"]


@needs_root
def test_words_environment_and_working_directory_are_those_given(tmp_path: Path) -> None:
    program(tmp_path / "show", "#!/bin/sh\nprintf '%s|' \"$@\" \"$A\" \"$(pwd -P)\"\n")
    made = app("show", "a b", "", "$HOME", working_directory=str(tmp_path))
    assert outcome(made, environment={"PATH": f"/bin:{tmp_path}", "A": "b=ç"}) == f"a b||$HOME|b=ç|{tmp_path}|"


@needs_root
def test_without_a_path_in_the_environment_the_default_one_counts() -> None:
    assert outcome(app("sh", "-c", "echo found")) == "found\n"


@pytest.mark.parametrize("made, failure", [
    (app("/bin/sh", working_directory="/nowhere"),
     "failed: working directory of web ([Errno 2] No such file or directory: '/nowhere')"),
    (app("nowhere"), f'failed: unable to find "nowhere" in "{application.DEFAULT_PATH}" (None)'),
])
@needs_root
def test_a_start_that_fails(made: App, failure: str) -> None:
    assert outcome(made) == failure


@needs_root
def test_a_program_whose_interpreter_is_missing(tmp_path: Path) -> None:
    path = program(tmp_path / "script", "#!/no/such/interpreter\n")
    assert outcome(app(str(path))) == (
        f"failed: {path}: its interpreter /no/such/interpreter is missing or cannot be executed "
        f"([Errno 2] No such file or directory: '{path}')")


# --- signals and capabilities -------------------------------------------------------------------------


def test_signals_are_as_a_program_expects_them() -> None:
    import signal

    def reset() -> list[int]:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGRTMAX, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGUSR1])
        application.reset_signals()
        with open("/proc/self/status") as opened:
            return [int(line.split()[1], 16) for line in opened if line.startswith(("SigBlk", "SigIgn", "SigCgt"))]

    of_the_c_library = 1 << 31 | 1 << 32   # signals 32 and 33, caught where there were threads
    assert [mask & ~of_the_c_library for mask in forked(reset)] == [0, 0, 0]


@needs_root
def test_the_bounding_set_keeps_only_the_mask() -> None:
    def limit() -> str:
        application.limit_capabilities(1 << KILL | 1 << 63)
        with open("/proc/self/status") as opened:
            return next(line.split()[1] for line in opened if line.startswith("CapBnd"))

    assert forked(limit) == f"{1 << KILL:016x}"


@needs_root
def test_a_filter_that_the_kernel_refuses_fails() -> None:
    def load() -> int:
        try:
            syscalls.set_seccomp_filter(b"\xff" * 8)
        except OSError as err:
            return err.errno or 0
        return 0

    assert forked(load) == errno.EINVAL
