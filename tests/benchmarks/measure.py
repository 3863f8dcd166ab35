"""Runs in the nested host: times commands, one round after the other, each command once a round.

Standard input is JSON: `commands` by name, `rounds`, `at_once` (how many of a command run together) and `after`
(a command between the rounds, not timed). Standard output is JSON: for each name a list of [wall ms, CPU ms], where
the CPU time is that of all processes of the host, daemons too.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import time

CPU_STAT = "/sys/fs/cgroup/cpu.stat"


def cpu_ms() -> float:
    """The CPU time of the host so far."""
    with open(CPU_STAT) as stat:
        return int(stat.readline().split()[1]) / 1000


def once(command: list[str], at_once: int) -> list[float]:
    """One timing: all of them started together, until the last one ended."""
    null = os.open(os.devnull, os.O_RDWR)
    files = [(os.POSIX_SPAWN_DUP2, null, number) for number in (0, 1)]
    program = command[0]
    cpu, begun = cpu_ms(), time.perf_counter()
    pids = [os.posix_spawnp(program, command, os.environ, file_actions=files) for _ in range(at_once)]
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    wall = (time.perf_counter() - begun) * 1000
    time.sleep(0.02)   # the daemons finish what they do for the command
    os.close(null)
    if any(statuses):
        sys.exit(f"{' '.join(command)}: wait statuses {statuses}")
    return [wall, cpu_ms() - cpu]


def main() -> None:
    task = json.load(sys.stdin)
    results: dict[str, list[list[float]]] = {name: [] for name in task["commands"]}
    for number in range(task["rounds"] + 1):
        for name, command in task["commands"].items():
            timing = once(command, task.get("at_once", 1))
            if number:   # the first round warms up
                results[name].append(timing)
        if after := task.get("after"):
            subprocess.run(after, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
