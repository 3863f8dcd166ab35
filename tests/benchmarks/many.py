"""Fifty runs at once, beside podman."""
from __future__ import annotations

from tests.benchmarks.bench import PODMAN_RUN, RKT_CLEAN, RKT_RUN, measure, show
from tests.lib.host import Host


def together(host: Host, rounds: int = 3, pods: int = 50) -> None:
    """The time until the last of all of them has ended."""
    commands = {"rkt run": RKT_RUN, "podman run --rm (runc)": PODMAN_RUN}
    show(f"{pods} runs at once", measure(host, commands, rounds, at_once=pods, after=RKT_CLEAN), "rkt run")
