"""The child's side of an app: from a process of stage2 to the app's program.

`rkt run` and `rkt enter` both end in `become`: one sandbox, one code path.
"""
from __future__ import annotations

import os

from stage2 import files, paths, syscalls
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from stage2.record import App

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LAST_SIGNAL = 64


class StartError(RktError):
    """The program of an app cannot be started."""


class NotFoundError(StartError):
    """There is no such program in the root of the app."""


def find_program(word: str, path: str, directory: str) -> str:
    """The file that a command's first word means, in the root of the calling process.

    A word with a slash is taken as it is, relative to the working directory; any other
    is looked for in the directories of `path` (runtime.md section 5.1).

    Raises StartError: no such file, or none that can be executed.
    """
    places = [""] if "/" in word else path.split(":")
    denied = ""
    for place in places:
        candidate = os.path.join(directory, place, word)
        if os.path.isfile(candidate):
            if os.access(candidate, os.X_OK):
                return candidate
            denied = candidate
    if denied:
        raise StartError(f"{denied} is not executable")
    raise NotFoundError(f'unable to find "{word}" in "{directory if "/" in word else path}"')


def become(app: App, words: tuple[str, ...], environment: dict[str, str], filters: tuple[bytes, ...],
           keep_fds: int = 3, as_root: bool = False) -> NoReturn:
    """Turn the calling process, which has the app's root already, into a program of the app.

    Descriptors from `keep_fds` on are closed at the exec. `as_root` keeps uid 0, for the
    event handlers. Raises StartError or OSError until the exec succeeded.
    """
    uid, gid = (0, 0) if as_root else (app.uid, app.gid)
    no_new_privileges = app.no_new_privileges or (uid != 0 and bool(filters))
    try:
        os.chdir(app.working_directory)
    except OSError as err:
        raise StartError(f"working directory of {app.name}") from err
    program = find_program(words[0], environment.get("PATH", DEFAULT_PATH), app.working_directory)
    os.umask(app.umask)
    os.setgroups(app.groups)
    if not no_new_privileges:
        _load(filters)  # takes CAP_SYS_ADMIN, which goes next
    limit_capabilities(app.capabilities)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    kept = 0 if uid else app.capabilities & syscalls.capget()
    syscalls.capset(kept, kept, 0)
    if no_new_privileges:
        syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
        _load(filters)
    syscalls.close_range(keep_fds, 0xFFFFFFFF, syscalls.CLOSE_RANGE_CLOEXEC)
    try:
        os.execve(program, words, environment)
    except OSError as err:
        raise StartError(_why_not(program)) from err


def filters_of(app: App) -> tuple[bytes, ...]:
    """The compiled filters of an app, read where the pod's own root is still there."""
    return tuple(files.read(paths.seccomp_filter(name)) for name in app.seccomp)


def _load(filters: tuple[bytes, ...]) -> None:
    for program in filters:
        syscalls.set_seccomp_filter(program)


def limit_capabilities(mask: int) -> None:
    """Drop every capability that is not in the mask from the bounding set and the ambient set."""
    syscalls.prctl(syscalls.PR_CAP_AMBIENT, syscalls.PR_CAP_AMBIENT_CLEAR_ALL)
    for capability in range(64):
        if not mask >> capability & 1:
            try:
                syscalls.prctl(syscalls.PR_CAPBSET_DROP, capability)
            except OSError:  # EINVAL: this and all higher ones are unknown to the kernel
                return


def reset_signals() -> None:
    """Default dispositions and an empty mask, as a program expects them."""
    import _signal
    for number in range(1, _LAST_SIGNAL + 1):
        if number not in (9, 19, 32, 33):
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _why_not(program: str) -> str:
    """Why a file that is there cannot be executed: names the interpreter that is missing."""
    try:
        with open(program, "rb") as opened:
            head = opened.read(4096)
    except OSError:  # the app's user may not even read it
        head = b""
    if head.startswith(b"#!"):
        interpreter = head[2:].split(b"\n", 1)[0].split()[:1]
        name = os.fsdecode(interpreter[0]) if interpreter else ""
        return f"{program}: its interpreter {name} is missing or cannot be executed"
    if head.startswith(b"\x7fELF"):
        loader = _elf_interpreter(head)
        if loader and not os.path.exists(loader):
            return f"{program}: its loader {loader} is missing"
    return f"{program} cannot be executed"


def _elf_interpreter(head: bytes) -> str:
    """The PT_INTERP path of a 64-bit little-endian ELF file, empty if there is none in its head."""
    if head[4:6] != b"\x02\x01":
        return ""
    offset, size, count = (int.from_bytes(head[at:at + n], "little") for at, n in ((32, 8), (54, 2), (56, 2)))
    for entry in range(offset, offset + size * count, size or 1):
        if int.from_bytes(head[entry:entry + 4], "little") == 3:
            start = int.from_bytes(head[entry + 8:entry + 16], "little")
            return os.fsdecode(head[start:head.find(b"\0", start)])
    return ""
