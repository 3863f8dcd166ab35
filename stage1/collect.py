"""Entry point `gc`: gives back what a pod that ended may have left outside of its directory."""
from __future__ import annotations

from stage1 import cgroups, poddir, scope
from stage2 import files


def main(argv: list[str]) -> int:
    """Remove the cgroup of the pod whose directory is the working directory.

    Its mounts went with its namespace and its scope with its processes, but for one that
    never had any; a cgroup that we made ourselves, without systemd, stays. May run any
    number of times, also on a pod that never started.
    """
    uuid = argv[-1]
    scope.clear(uuid)
    try:
        payload = files.read(poddir.SUBCGROUP).decode().strip()
    except FileNotFoundError:
        return 0
    own = "/" + payload.removesuffix("/payload")
    if own.endswith(f"/rkt-{uuid}"):
        cgroups.remove(own)
    return 0
