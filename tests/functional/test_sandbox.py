"""What an app can see and do."""
from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.lib.host import Host
from tests.lib.machine import together

DEFAULT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)

PROMISED_NODES = {"null": "1:3 666", "zero": "1:5 666", "full": "1:7 666", "random": "1:8 666", "urandom": "1:9 666",
                  "tty": "5:0 666"}


def fields(host: Host, busybox: Path, *words: str) -> dict[str, str]:
    """/proc/self/status of an app."""
    pod = host.rkt("--insecure-options=image", "run", busybox, "--exec=/bin/cat", *words, "--",
                   "/proc/self/status").ok()
    return dict(re.findall(r"^(\w+):\s*(.*)$", pod.stdout, re.MULTILINE))


def test_capabilities_are_the_default_set(host: Host, busybox: Path) -> None:
    mask = f"{sum(1 << number for number in DEFAULT_CAPABILITIES):016x}"
    status = fields(host, busybox)
    assert (status["CapBnd"], status["CapEff"], status["CapAmb"]) == (mask, mask, "0" * 16)


def test_a_user_other_than_root_has_no_capabilities(host: Host, busybox: Path) -> None:
    status = fields(host, busybox, "--user=web", "--group=web")
    assert (status["CapEff"], status["CapPrm"], status["NoNewPrivs"]) == ("0" * 16, "0" * 16, "1")


def test_a_seccomp_filter_is_on(host: Host, busybox: Path) -> None:
    assert fields(host, busybox)["Seccomp"] == "2"


@pytest.mark.parametrize("command", ["mount -t tmpfs none /mnt", "unshare -m true", "umount /proc", "swapoff /dev/null",
                                     "mknod /tmp/disk b {disk} && head -c 1 /tmp/disk", "dmesg"])
def test_what_would_reach_beyond_the_pod_is_not_permitted(host: Host, busybox: Path, command: str) -> None:
    number = os.stat("/").st_dev   # a disk of the machine
    pod = host.shell(busybox, f"mkdir -p /mnt; {command}".format(disk=f"{os.major(number)} {os.minor(number)}"))
    assert pod.returncode not in (0, 128 + signal.SIGSYS, 254)
    assert re.search("not permitted|denied", pod.stderr), pod.stderr


def test_only_the_streams_are_open(host: Host, busybox: Path) -> None:
    pod = host.rkt("--insecure-options=image", "run", busybox, "--exec=/bin/ls", "--", "/proc/self/fd")
    assert pod.stdout.split() == ["0", "1", "2", "3"]   # 3 is the directory that ls reads


def test_device_nodes_are_the_promised_ones(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "cd /dev; stat -c '%n %t:%T %a' $(find * -type c -o -type b)")
    nodes = dict(line.split(" ", 1) for line in pod.stdout.splitlines())
    assert PROMISED_NODES.items() <= nodes.items()
    assert set(nodes) <= {*PROMISED_NODES, "console", "net/tun", "ptmx", "pts/ptmx"}


def test_links_in_dev(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "cd /dev; for link in fd stdin stdout stderr; do readlink $link; done; "
                              "echo hi >/dev/stdout")
    assert pod.stdout.split() == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "hi"]


@pytest.mark.parametrize(("path", "kind"), [("/proc", "proc"), ("/sys", "sysfs"), ("/dev/shm", "tmpfs"),
                                            ("/dev/pts", "devpts"), ("/dev", "tmpfs")])
def test_file_systems_of_the_app_container_executor(host: Host, busybox: Path, path: str, kind: str) -> None:
    assert f" {path} {kind} " in host.shell(busybox, "cat /proc/mounts").stdout


def test_shm_and_tmp_can_be_written_by_all(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "stat -c '%a' /tmp /dev/shm; touch /tmp/a /dev/shm/a",
                     app_options=["--user=web", "--group=web"])
    assert (pod.returncode, pod.stdout.split()) == (0, ["1777", "1777"])


@pytest.mark.parametrize("path", ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                                  "/proc/sys/vm/panic_on_oom", "/sys/kernel/uevent_helper"])
def test_the_kernel_cannot_be_told_anything(host: Host, busybox: Path, path: str) -> None:
    pod = host.shell(busybox, f"[ -e {path} ] || exit 9; echo x >{path}")
    assert pod.returncode in (1, 2, 9), pod.stdout
    if pod.returncode != 9:
        assert re.search("Read-only|denied|not permitted", pod.stderr), pod.stderr


@pytest.mark.parametrize("path", ["/proc/kcore", "/proc/kallsyms", "/sys/firmware", "/proc/config.gz",
                                  "/proc/sched_debug"])
def test_what_tells_of_the_machine_is_hidden(host: Host, busybox: Path, path: str) -> None:
    pod = host.shell(busybox, f"if [ -d {path} ]; then ls -A {path}; else head -c 10 {path}; fi 2>/dev/null")
    assert pod.output == b""


def test_nothing_of_the_host_is_reachable(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "ls -A /; ls /proc/1/root/ 2>/dev/null && echo reached; cat /proc/self/mountinfo >&2")
    assert set(pod.stdout.split()) <= {"bin", "dev", "etc", "proc", "root", "sys", "tmp", "run", "usr", "var"}
    mounted_on = {line.split()[4] for line in pod.stderr.splitlines()} - {"/", "/etc/hostname", "/etc/hosts"}
    assert {path.split("/")[1] for path in mounted_on} <= {"dev", "proc", "sys", "tmp"}


def test_the_processes_of_the_host_are_not_seen(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "ps -o pid,args")
    assert len(pod.stdout.splitlines()) <= 5
    assert "systemd-journald" not in pod.stdout


def test_the_cgroup_tree_cannot_be_written(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "mkdir /sys/fs/cgroup/mine 2>&1; cat /proc/self/cgroup")
    assert re.search("Read-only|No such file|denied|not permitted", pod.stdout), pod.stdout


def test_what_an_app_writes_is_its_own(host: Host, busybox: Path) -> None:
    host.shell(busybox, "echo changed >/etc/passwd; rm /bin/ls; touch /new").ok()
    pod = host.shell(busybox, "ls /bin/ls; ls /new 2>/dev/null; grep -c . /etc/passwd").stdout
    assert pod == "/bin/ls\n3\n"


def test_each_pod_has_its_own_namespaces(host: Host, busybox: Path) -> None:
    kinds = ("mnt", "pid", "ipc", "uts", "cgroup")
    script = "; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds)
    mine = set(host.run("sh", "-c", script).stdout.split())
    one, two = (set(pod.stdout.split()) for pod in together(
        [host.start_shell(busybox, f"{script}; sleep 1") for _ in range(2)]))
    assert len(one) == len(two) == 5
    assert not one & mine and not one & two
    net = "readlink /proc/self/ns/net"
    assert host.shell(busybox, net).stdout == host.run("sh", "-c", net).stdout
    alone = host.shell(busybox, "ip -o link; ping -c 1 127.0.0.1", "--net=none").ok()
    assert re.findall(r"^\d+: (\w+)", alone.stdout, re.MULTILINE) == ["lo"]


def test_signals_are_neither_blocked_nor_ignored(host: Host, busybox: Path) -> None:
    status = fields(host, busybox)
    assert status["SigBlk"] == "0" * 16
    of_the_c_library = 1 << 31 | 1 << 32   # 32 and 33, which nobody can set but it: as the caller of rkt left them
    assert int(status["SigIgn"], 16) & ~of_the_c_library == 0


def test_umask_is_022(host: Host, busybox: Path) -> None:
    assert host.shell(busybox, "umask").stdout == "0022\n"
