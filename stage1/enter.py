"""Entry point `enter`: runs a program beside an app, in the very sandbox of the app.

Namespaces, cgroup, capabilities, filters and user are those of the app, set up by the
same code as at its start (stage2.app.become), from the same record.
"""
from __future__ import annotations

import os

from stage1 import cgroups, poddir, supervisor
from stage2 import app as application
from stage2 import errors, files, record, syscalls
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_KINDS = {"ipc": syscalls.CLONE_NEWIPC, "uts": syscalls.CLONE_NEWUTS, "net": syscalls.CLONE_NEWNET,
          "pid": syscalls.CLONE_NEWPID, "cgroup": syscalls.CLONE_NEWCGROUP, "mnt": syscalls.CLONE_NEWNS}
_NOT_FOUND, _FAILED = 127, 254


class EnterError(RktError):
    """A program cannot be run in an app."""


def main(argv: list[str]) -> int:
    """Run a command in an app of the pod whose directory is the working directory.

    Arguments: `--pid=PID` of the supervisor, `--appname=APP`, `--`, the command. Returns the
    exit status of the program, 128+N after signal N.
    """
    options = dict(word[2:].split("=", 1) for word in argv[:argv.index("--")])
    command = tuple(argv[argv.index("--") + 1:])
    pid, name = int(options["pid"]), options["appname"]
    app = record.read(poddir.RECORD).app(name)
    if app is None:
        raise EnterError(f"no app {name} in this pod")
    filters = tuple(
        files.read(f"{poddir.STAGE1_ROOTFS}/rkt/seccomp/{filter_name}") for filter_name in app.seccomp)
    leader = supervisor.leader(pid) or pid
    main_pid = _app_pid(name)
    environment = {**dict(app.environment), "TERM": os.environ.get("TERM", "vt100")}
    on_terminal = os.isatty(0)
    if on_terminal:
        from stage1 import terminal  # now: the pod's own root has no modules
    pod_namespaces = {kind: _open(f"/proc/{leader}/ns/{kind}") for kind in _KINDS}
    _join_cgroup(leader, main_pid)
    for kind, fd in pod_namespaces.items():
        syscalls.setns(fd, _KINDS[kind])
        os.close(fd)
    master, slave = _open_pty() if on_terminal else (-1, -1)
    child = os.fork()
    if child == 0:
        _child(app, main_pid, command, environment, filters, slave)
    if not on_terminal:
        return _status(child)
    os.close(slave)
    terminal.copy_size(0, master)
    child_fd = os.pidfd_open(child)
    with terminal.Terminal(0):
        terminal.relay(0, 1, master, child_fd)
    return _status(child)


def _status(child: int) -> int:
    """Wait for the program, handing on the signals that come for it."""
    import _signal
    passed_on = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGUSR1, _signal.SIGUSR2)
    for number in passed_on:
        _signal.signal(number, lambda got, _frame: os.kill(child, got))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return 128 - code if code < 0 else code


def _child(app: record.App, main_pid: int, command: tuple[str, ...], environment: dict[str, str],
           filters: tuple[bytes, ...], slave: int) -> NoReturn:
    """In the namespaces of the pod: go on to those of the app and become the program."""
    try:
        application.reset_signals()
        fd = _open(f"/proc/{main_pid}/ns/mnt")
        syscalls.setns(fd, syscalls.CLONE_NEWNS)
        os.close(fd)
        if slave >= 0:
            os.setsid()
            import fcntl
            fcntl.ioctl(slave, 0x540E, 0)  # TIOCSCTTY
            os.fchown(slave, app.uid, -1)
            for number in range(3):
                os.dup2(slave, number)
        application.become(app.replace(working_directory="/"), command, environment, filters)
    except (OSError, RktError) as err:
        os.write(2, f"enter: {errors.line(err)}\n".encode())
        os._exit(_NOT_FOUND if isinstance(err, application.NotFoundError) else _FAILED)
    os._exit(_FAILED)


def _app_pid(name: str) -> int:
    """The PID of an app's main process, as the pod numbers it."""
    try:
        return int(files.read(f"{poddir.STATUS}/{name}-pid"))
    except FileNotFoundError as err:
        raise EnterError(f"app {name} is not running") from err


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _open_pty() -> tuple[int, int]:
    """A new pty of the pod's own devpts: master and slave."""
    import fcntl
    master = os.open("/dev/pts/ptmx", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    fcntl.ioctl(master, 0x40045431, bytes(4))  # TIOCSPTLCK: unlocked
    number = int.from_bytes(fcntl.ioctl(master, 0x80045430, bytes(4)), "little")  # TIOCGPTN
    return master, os.open(f"/dev/pts/{number}", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


def _join_cgroup(leader: int, _main_pid: int) -> None:
    """Move to the cgroup of the pod, whose limits then hold for the program."""
    try:
        files.append(f"{cgroups.directory(cgroups.path_of(leader))}/cgroup.procs", f"{os.getpid()}\n")
    except OSError as err:
        raise EnterError(f"cgroup of the pod {cgroups.path_of(leader)}") from err
