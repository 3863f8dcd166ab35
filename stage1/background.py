"""A process that does something beside the pod, and outlives the exec of its supervisor."""
from __future__ import annotations

import os

from stage1 import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(cgroup: str, work: Callable[[], None]) -> None:
    """Start a process that does the work and ends.

    It is no child of the supervisor, whose only child is the pod, and holds neither the
    lock of the pod nor its cgroup, so that nobody takes it for the pod. The signals of the
    terminal pass it by.
    """
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    try:
        lock_fd = os.environ.get("RKT_LOCK_FD")
        if lock_fd is not None:
            os.close(int(lock_fd))
        cgroups.enter_own(cgroup)
        import _signal
        for number in (_signal.SIGINT, _signal.SIGQUIT, _signal.SIGHUP, _signal.SIGTSTP, _signal.SIGTTOU):
            _signal.signal(number, _signal.SIG_IGN)
        work()
    finally:
        os._exit(0)


def after_the_pod(cgroup: str, work: Callable[[], None], keep_fd: int | None = None) -> None:
    """Do the work when this process, the supervisor to be, has ended."""
    _when(cgroup, work, keep_fd, lambda ended: _wait(ended, None))


def beside_the_pod(cgroup: str, work: Callable[[], None], after_s: float) -> None:
    """Do the work if this process, the supervisor to be, still runs after some time."""
    _when(cgroup, work, None, lambda ended: not _wait(ended, after_s))


def _when(cgroup: str, work: Callable[[], None], keep_fd: int | None, due: Callable[[int], bool]) -> None:
    """Of the caller's descriptors the process keeps `keep_fd` alone: the pod's output ends with the pod."""
    ended = os.pidfd_open(os.getpid())

    def wait() -> None:
        null = os.open("/dev/null", os.O_RDWR)
        for fd in {0, 1, 2} - {keep_fd}:
            os.dup2(null, fd)
        if due(ended):
            work()

    run(cgroup, wait)
    os.close(ended)


def _wait(pidfd: int, timeout_s: float | None) -> bool:
    """Wait for the end of a process; False if it still runs after the time."""
    import select
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
