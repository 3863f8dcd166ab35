"""Registers the pod with systemd-machined where systemd-nspawn refuses to: in the slice of a user.

systemd-nspawn takes a unit below user-UID.slice for the user's login session and will not
register it. The scope is the pod's own, so we register it, once its PID 1 is there.
"""
from __future__ import annotations

import os
import time

from stage1 import background, bus, supervisor

_WAIT_S = 10.0


def register(uuid: str, root: str, caller: str) -> None:
    """Register the pod whose supervisor this process is about to become; returns at once.

    A short-lived process does it, in the cgroup `caller`. Without registration a pod runs
    as well, so a failure is only said.
    """
    pod = os.getpid()
    background.run(caller, lambda: _register(uuid, root, pod))


def _register(uuid: str, root: str, pod: int) -> None:
    deadline = time.monotonic() + _WAIT_S
    while (leader := supervisor.leader(pod)) is None:
        if not os.path.exists(f"/proc/{pod}") or time.monotonic() > deadline:
            return
        time.sleep(0.002)
    words = [
        bus.string(f"rkt-{uuid}"),
        *bus.array("y", *((ord("y"), byte) for byte in bytes.fromhex(uuid.replace("-", "")))),
        bus.string("rkt"),
        bus.string("container"),
        (ord("u"), leader),
        bus.string(root),
    ]
    try:
        bus.call_machined("RegisterMachine", words)
    except bus.BusError as err:
        if supervisor.leader(pod) is not None:  # a short pod may have ended before
            os.write(2, f"stage1: registration with systemd-machined: {err}\n".encode())
