"""Calls the entry points of stage1, in this very process, in the pod's directory."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from stage0.pods import Pod
    from stage1.scope import Scope


def run(pod: Pod, arguments: Sequence[str], scope: Scope) -> NoReturn:
    """Become the pod's supervisor; the lock goes along on its descriptor. Returns only by raising."""
    os.fchdir(pod.fd)
    os.set_inheritable(pod.lock_fd, True)
    os.environ["RKT_LOCK_FD"] = str(pod.lock_fd)
    from stage1 import run
    run.main([*arguments, pod.uuid], scope=scope)


def enter(pod: Pod, pid: int, app: str, command: Sequence[str]) -> int:
    """Run a program in an app of a running pod, whose first process is `pid`."""
    os.fchdir(pod.fd)
    from stage1 import enter
    return enter.main([f"--pid={pid}", f"--appname={app}", "--", *command])


def stop(pod: Pod, *, force: bool) -> int:
    """Ask a running pod to end, or kill it."""
    os.fchdir(pod.fd)
    from stage1 import stop
    return stop.main([*(["--force"] if force else []), pod.uuid])


def gc(pod: Pod, *, debug: bool = False) -> int:
    """Give back what a pod that ended may have left outside of its directory."""
    os.fchdir(pod.fd)
    from stage1 import collect
    try:
        return collect.main([*(["--debug"] if debug else []), pod.uuid])
    finally:
        os.chdir("/")
