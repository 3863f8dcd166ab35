"""python3 -m tests.benchmarks [NAME…]: prints the figures of docs/performance.md, all or those named."""
from __future__ import annotations

import sys

from tests.benchmarks import list as pod_list
from tests.benchmarks import many, run
from tests.benchmarks.bench import benchmark_host

BENCHMARKS = {"starts": run.starts, "memory": run.memory, "first": run.first_run, "lists": pod_list.lists,
              "many": many.together}


def main(names: list[str]) -> None:
    with benchmark_host() as host:
        for name in names or BENCHMARKS:
            BENCHMARKS[name](host)


if __name__ == "__main__":
    main(sys.argv[1:])
