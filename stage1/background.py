"""A child that does something beside the pod, and outlives the exec of its supervisor."""
from __future__ import annotations

import os

from stage1 import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def run(cgroup: str, work: Callable[[], None]) -> None:
    """Start a child that does the work and ends; the supervisor reaps it.

    It holds neither the lock of the pod nor its cgroup, so that nobody takes it for the
    pod, and the signals of the terminal pass it by.
    """
    if os.fork():
        return
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
