"""rkt list with no pods and with a thousand that ended, beside podman ps."""
from __future__ import annotations

from tests.benchmarks.bench import RKT_CLEAN, RKT_RUN, measure, show
from tests.lib.host import Host
from tests.lib.machine import RKT

# A pod that ended is its directory: a copy of one is another one.
COPY = """
cd /var/lib/rkt/pods/run
for number in $(seq 0 999); do cp -a "$1" $(printf '%08x-0000-4000-8000-000000000000' $number); done
"""


def lists(host: Host, rounds: int = 20) -> None:
    """The list of no pods and of a thousand."""
    host.run(*RKT_CLEAN).ok()
    commands = {"rkt list": [str(RKT), "list"], "podman ps": ["podman", "ps"]}
    empty = measure(host, commands, rounds)
    show("list of no pods", empty, "rkt list")
    uuid = host.rkt(*RKT_RUN[1:]).ok().uuid
    host.run("bash", "-c", COPY, "copy", uuid, timeout_s=300).ok()
    full = measure(host, {"rkt list": [str(RKT), "list"]}, rounds)
    show("list of 1,001 ended pods", full, "rkt list")
    host.run(*RKT_CLEAN, timeout_s=300).ok()
