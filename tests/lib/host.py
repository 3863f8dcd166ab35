"""A nested host: systemd as PID 1 in namespaces of its own, over an overlay of this machine's root.

It boots in a second, has its own processes, network, mounts, cgroups, D-Bus, journal and machined, and is gone
without a trace when it is shut down, or when the process that booted it dies.
"""
from __future__ import annotations

import itertools
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.lib.machine import CHECKOUT, PATH, Machine, Result, until

HIERARCHIES = ("memory", "cpu", "cpuacct", "pids", "devices", "freezer", "blkio", "cpuset", "systemd")   # of cgroup v1
NUMBERS = itertools.count(1)
INIT = CHECKOUT / "tests/lib/host-init"

# A caller is like a login without a session: its cgroup belongs to no unit.
CALLER = """
root=/sys/fs/cgroup
if [ -d $root/unified ]; then
  for file in $root/*/cgroup.procs; do echo $$ >$file; done 2>/dev/null
  mkdir -p $root/systemd/caller; echo $$ >$root/systemd/caller/cgroup.procs
  root=$root/unified
fi
mkdir -p $root/caller; echo $$ >$root/caller/cgroup.procs
exec "$@"
"""


class HostError(Exception):
    """No nested host can be had here."""


class Host(Machine):
    """One nested host. `directory` is empty and stays so for all others to see; `shared` is seen in it read-write."""

    def __init__(self, directory: Path, shared: Path, layout: str = "v2") -> None:
        super().__init__(shared, Path("/var/lib/rkt"))
        self.directory = directory
        self.layout = layout
        self.name = f"host-{os.getpid()}-{next(NUMBERS)}"
        self.console = shared / f"console-{directory.name}"
        self.leader = 0
        self._cgroups: list[Path] = []

    def cgroup_root(self) -> Path:
        """The root of the host's cgroup tree, as this machine names it."""
        return self._cgroups[0]

    def boot(self, timeout_s: float = 60) -> Host:
        """Starts its systemd and waits until it is up."""
        if os.geteuid() != 0:
            raise HostError("a nested host needs root")
        self._make_cgroups()
        command = ["setpriv", "--pdeathsig=KILL", "unshare", "--cgroup", "--pid", "--fork", "--mount", "--uts", "--ipc",
                   "--net", "--kill-child", "--",
                   str(INIT), self.name, str(self.directory), self.layout, str(CHECKOUT), str(self.shared)]
        with open(self.console, "wb") as console:
            self._outer = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                                           start_new_session=True, preexec_fn=self._join)
        try:
            self._wait_for_systemd(time.monotonic() + timeout_s)
        except BaseException:
            self.shut_down()
            raise
        return self

    def shut_down(self) -> None:
        """Ends it at once, as a power failure does, and removes its cgroups."""
        if self.leader:
            os.kill(self.leader, signal.SIGKILL)
        else:
            self._outer.kill()
        self._outer.wait()
        for cgroup in self._cgroups:
            until(lambda: _removed(cgroup), f"{cgroup} is empty")   # noqa: B023 (called before the next round)
        self.console.unlink(missing_ok=True)

    def _make_cgroups(self) -> None:
        """One cgroup in each hierarchy that the host sees, below the one that the tests are in."""
        own = {}
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, controllers, path = line.split(":", 2)
            for controller in controllers.removeprefix("name=").split(","):
                own["" if number == "0" else controller] = path.lstrip("/")
        unified = super().cgroup_root()
        self._parents = [unified / own[""]]
        # The named v1 hierarchy is there even without the others: a systemd-nspawn before 257 makes cgroups in it.
        for name in HIERARCHIES if self.layout == "hybrid" else ("systemd",):
            if name in own and (root := Path("/sys/fs/cgroup", name)).is_dir():
                self._parents.append(root / own[name])
        self._cgroups = [parent / self.name for parent in self._parents]
        for parent, cgroup in zip(self._parents, self._cgroups, strict=True):
            for stale in parent.glob("host-*-*"):
                if not Path("/proc", stale.name.split("-")[1]).exists():   # its tests were killed
                    _removed(stale)
            cgroup.mkdir()
            if "cpuset" in cgroup.parts:
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (cgroup / file).write_text((parent / file).read_text())
                (cgroup / "cgroup.clone_children").write_text("1")

    def _join(self) -> None:
        for cgroup in self._cgroups:
            (cgroup / "cgroup.procs").write_text(str(os.getpid()))

    def _wait_for_systemd(self, limit: float) -> None:
        def inner() -> list[str]:
            if self._outer.poll() is not None:
                raise HostError(f"the nested host did not start: {self.console.read_text()[-2000:]}")
            return [pid for pid in _children(self._outer.pid) if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"]

        until(inner, "systemd starts in the nested host", limit - time.monotonic())
        self.leader = int(inner()[0])
        # The parent of PID 1 leaves the host's cgroups: seen from inside it would be a process without a number.
        for parent in self._parents:
            (parent / "cgroup.procs").write_text(str(self._outer.pid))
        state = ""
        while state not in ("running", "degraded"):
            inner()
            if time.monotonic() > limit:
                raise HostError(f"the nested host is {state!r} after a minute: {self.console.read_text()[-2000:]}")
            state = self.run("systemctl", "is-system-running", "--wait").stdout.strip()
            time.sleep(0.05)

    def wrapped(self, command: list[str]) -> list[str]:
        """Runs a command in all namespaces of the host, in a cgroup outside of any unit."""
        return ["nsenter", "--target", str(self.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup",
                "--root", "--wd", "--", "sh", "-c", CALLER, "caller", *command]

    def pid_of(self, popen: subprocess.Popen[bytes]) -> int:
        """nsenter waits for a child, which is the one."""
        while not (children := _children(popen.pid)):
            if popen.poll() is not None:
                return popen.pid
            time.sleep(0.001)
        return int(children[0])

    def in_session(self, *command: object, **options: Any) -> Result:
        """Runs a command as a login does: in a session's scope, its output on pipes."""
        return self.run("systemd-run", "--quiet", "--pipe", "--wait", "--collect", "--uid=root",
                        "--property=PAMName=login", f"--setenv=PATH={PATH}", *command, **options)

    def service(self, unit: str, *command: object, properties: tuple[str, ...] = (), **options: Any) -> Result:
        """Starts a command as the service `unit` and comes back when it is started, for Type=notify: ready."""
        return self.run("systemd-run", "--quiet", f"--unit={unit}", *(f"--property={line}" for line in properties),
                        *command, **options)

    def property(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", f"--property={name}", unit).ok().stdout.strip()


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


def _removed(cgroup: Path) -> bool:
    """Removes a cgroup with all below it, as far as nobody is left in them."""
    for path, _, _ in os.walk(cgroup, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            return False
    return True
