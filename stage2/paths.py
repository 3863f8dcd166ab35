"""File names as seen in the container, before an app has its own root."""
from __future__ import annotations

RECORD = "/rkt/record.json"
STATUS = "/rkt/status"
SUPERVISOR_STATUS = "/rkt/supervisor-status"
NOTIFY = "/run/rkt/notify"        # one socket an app that reports its readiness itself
READY = "ready"


def app_rootfs(app: str) -> str:
    """The root of an app."""
    return f"/opt/stage2/{app}/rootfs"


def volume(number: int) -> str:
    """Where stage1 put the source of the pod's n-th volume mount."""
    return f"/rkt/volumes/{number}"


def seccomp_filter(name: str) -> str:
    """A compiled system call filter."""
    return f"/rkt/seccomp/{name}"


def status(app: str) -> str:
    """The exit status of an app."""
    return f"{STATUS}/{app}"


def pid(app: str) -> str:
    """The PID, in the pod, of an app that runs."""
    return f"{STATUS}/{app}-pid"
