"""Limits of the scope or the service hold for the app, where the kernel's controllers are."""
from __future__ import annotations

from pathlib import Path

from tests.lib.host import Host
from tests.lib.machine import shell_words, until

HUNGRY = "head -c 100000000 /dev/zero | tail | wc -c"   # tail keeps all, as there is no end of line


def test_the_memory_of_a_scope(hybrid_host: Host, busybox: Path) -> None:
    assert hybrid_host.shell(busybox, HUNGRY).stdout == "100000000\n"
    pod = hybrid_host.shell(busybox, HUNGRY, "--property=MemoryMax=40M")
    assert pod.stdout != "100000000\n"


def test_the_tasks_of_a_scope(hybrid_host: Host, busybox: Path) -> None:
    script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait; echo all"
    assert hybrid_host.shell(busybox, script).stdout == "all\n"
    pod = hybrid_host.shell(busybox, script, "--property=TasksMax=7")
    assert pod.stdout == "" and "can't fork" in pod.stderr


def test_the_processor_quota_of_a_service(hybrid_host: Host, busybox: Path) -> None:
    command = hybrid_host.rkt_command(*shell_words(busybox, "timeout 3 dd if=/dev/zero of=/dev/null; sleep 100"))[0]
    hybrid_host.service("quota.service", *command, properties=("CPUQuota=20%", "KillMode=mixed")).ok()
    group = "/sys/fs/cgroup/cpu/system.slice/quota.service/cpu.stat"

    def throttled() -> int:
        return int(hybrid_host.run("sed", "-n", "s/^nr_throttled //p", group).ok().stdout)

    until(lambda: throttled() > 10, "the quota holds")
    hybrid_host.run("systemctl", "stop", "quota.service").ok()
