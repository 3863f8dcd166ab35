"""The processes of a running pod, found from its directory."""
from __future__ import annotations

import fcntl
import os

from stage1 import poddir
from stage2 import files


def pid() -> int | None:
    """The PID of the supervisor of the pod whose directory is the working directory."""
    try:
        return int(files.read(poddir.PPID))
    except (FileNotFoundError, ValueError):
        return None


def is_alive() -> bool:
    """Whether somebody holds the lock of the pod: its supervisor does until the pod has ended."""
    fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def leader(supervisor: int) -> int | None:
    """PID 1 of the pod as the host numbers it: the child of the supervisor that is PID 1 in its namespace."""
    try:
        children = files.read(f"/proc/{supervisor}/task/{supervisor}/children").split()
    except FileNotFoundError:
        return None
    for child in children:
        try:
            status = files.read(f"/proc/{int(child)}/status")
        except (FileNotFoundError, ProcessLookupError):
            continue
        for line in status.splitlines():
            if line.startswith(b"NSpid:") and line.split()[-1] == b"1" and len(line.split()) > 2:
                return int(child)
    return None
