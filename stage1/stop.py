"""Entry point `stop`: asks a pod to end, or kills it."""
from __future__ import annotations

import os

from stage1 import poddir, supervisor
from stage2.errors import RktError

_SIGTERM, _SIGKILL = 15, 9


class StopError(RktError):
    """A pod cannot be asked to end."""


def main(argv: list[str]) -> int:
    """Send the request to the pod whose directory is the working directory; does not wait.

    SIGTERM to the supervisor, which hands it to PID 1 of the pod; with `--force` SIGKILL
    to PID 1, with which the kernel ends all processes of the pod, and to the supervisor.
    """
    force = "--force" in argv
    pid = supervisor.pid()
    if pid is None:
        raise StopError(f"{poddir.PPID}: the pod has no supervisor yet")
    # By descriptor: between the look and the signal the number could go to another process.
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    try:
        if not supervisor.is_alive():
            return 0
        if force:
            leader = supervisor.leader(pid)
            if leader is not None:
                _send(os.pidfd_open(leader), _SIGKILL)
        _send(fd, _SIGKILL if force else _SIGTERM)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)
    return 0


def _send(fd: int, number: int) -> None:
    import _signal
    _signal.pidfd_send_signal(fd, number)
