"""Where a process stands in the cgroup tree, and what that says about who started it."""
from __future__ import annotations

import os

from stage2 import files
from stage2.value import Value

ROOT = "/sys/fs/cgroup"


class Place(Value):
    """The cgroup of a caller, taken apart.

    `kind` is "service" (the main cgroup of a systemd service), "delegated" (below a
    unit, in a subgroup that some supervisor made), "session" (a scope, or no unit at all).
    """

    path: str
    kind: str
    unit: str
    slice: str


def mount_point() -> str:
    """Where the cgroup2 hierarchy is mounted: on hybrid hosts beside the others."""
    return ROOT if os.path.exists(f"{ROOT}/cgroup.controllers") else f"{ROOT}/unified"


def path_of(pid: int | str = "self") -> str:
    """The cgroup2 path of a process, from the root of the hierarchy: `/` at least.

    The lines of other hierarchies are left alone: a kernel may list some that nobody mounted.
    """
    for line in files.read(f"/proc/{pid}/cgroup").decode().splitlines():
        if line.startswith("0::"):
            return line[3:]
    return "/"


def place(path: str) -> Place:
    """What a cgroup path tells of the process in it."""
    parts = [part for part in path.split("/") if part]
    slice_name = ""
    for number, part in enumerate(parts):
        if part.endswith(".slice"):
            slice_name = part
        elif part.startswith("user@") and part.endswith(".service") and number + 1 < len(parts):
            break  # what follows belongs to the user's own manager
        elif part.endswith((".service", ".scope")):
            if number + 1 < len(parts):
                return Place(path, "delegated", part, slice_name)
            return Place(path, "service" if part.endswith(".service") else "session", part, slice_name)
    unit = parts[-1] if parts else ""
    if unit.endswith(".service"):
        return Place(path, "service", unit, slice_name)
    return Place(path, "session", unit if unit.endswith(".scope") else "", slice_name)


def owner_uid(path: str) -> int | None:
    """The user whose slice a path is in, None outside of all user slices."""
    for part in path.split("/"):
        if part.startswith("user-") and part.endswith(".slice") and part[5:-6].isdigit():
            return int(part[5:-6])
    return None


def directory(path: str) -> str:
    """The directory of a cgroup."""
    return mount_point() + path.rstrip("/")


def enter_own(path: str) -> bool:
    """Make a cgroup and move the calling process into it; False where the hierarchy is not writable."""
    try:
        os.makedirs(directory(path), exist_ok=True)
        files.append(f"{directory(path)}/cgroup.procs", f"{os.getpid()}\n")
    except OSError:
        return False
    return True


def processes(path: str) -> list[int]:
    """The PIDs in a cgroup and all below it; empty if it is gone."""
    found: list[int] = []
    for parent, _children, _files in os.walk(directory(path)):
        try:
            found += [int(pid) for pid in files.read(f"{parent}/cgroup.procs").split()]
        except FileNotFoundError:
            continue
    return found


def remove(path: str) -> None:
    """Remove a cgroup with its subgroups, as far as they are empty.

    Also what systemd-nspawn before 257 makes of it in the v1 hierarchy of a hybrid host.
    """
    for top in (directory(path), f"{ROOT}/systemd{path}"):
        for parent, _children, _files in os.walk(top, topdown=False):
            try:
                os.rmdir(parent)
            except OSError:
                continue


def remove_when_empty(path: str, timeout_s: float = 5.0) -> None:
    """Remove a cgroup once the last process in it has gone, waiting for that at most `timeout_s`."""
    import time
    deadline = time.monotonic() + timeout_s
    while processes(path) and time.monotonic() < deadline:
        time.sleep(0.01)
    remove(path)
