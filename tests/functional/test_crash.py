"""kill -9 at any moment: the list tells the truth, gc clears everything, and the next run works."""
from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lib.host import Host
from tests.lib.machine import CHECKOUT, Result, shell_words, until

DATA = "/var/tmp/crash"
POINTS = sorted({point for stage in ("stage0", "stage1") for file in (CHECKOUT / stage).rglob("*.py")
                 for point in re.findall(r'\breach\("([^"]+)"\)', file.read_text())})
KILLED = (-9, 137)


class Crash:
    """A data directory of its own, in which commands may be killed."""

    def __init__(self, host: Host, image: Path) -> None:
        self.host = host
        self.image = image
        host.run("sh", "-c", f"rm -rf {DATA}; mkdir {DATA}; touch {DATA}/.fault-injection").ok()

    def rkt(self, *words: object, **options: object) -> Result:
        return self.host.rkt(f"--dir={DATA}", *words, **options)   # type: ignore[arg-type]

    def pod(self) -> str:
        """A pod that ended."""
        return self.rkt(*shell_words(self.image, "true")).ok().uuid

    def prepared(self) -> str:
        """A prepared pod."""
        return self.rkt("--insecure-options=image", "prepare", "--quiet", self.image).ok().stdout.strip()

    def check(self) -> None:
        """Nobody is left over and all can be cleared."""
        until(lambda: not self.host.traces(DATA, passing=False), "the processes and mounts are gone", 10)
        listed = self.rkt("list", "--format=json").ok()
        assert listed.stderr == ""
        states = {pod["state"] for pod in json.loads(listed.stdout)}
        assert states <= {"exited", "prepared", "aborted prepare", "exited garbage"}, states
        collected = self.rkt("gc", "--grace-period=0s", "--expire-prepared=0s").ok()
        assert collected.stderr == "" or "to garbage" in collected.stderr
        assert self.rkt("list", "--no-legend").ok().stdout == ""
        assert self.host.run("sh", "-c", f"ls {DATA}/pods/*/").stdout.split() == [
            f"{DATA}/pods/{state}/:" for state in sorted(self.host.run("ls", f"{DATA}/pods").stdout.split())]
        again = self.rkt(*shell_words(self.image, "echo works"))
        assert (again.returncode, again.stdout, again.stderr) == (0, "works\n", "")
        self.rkt("image", "verify", "example.com/busybox").ok()
        self.rkt("rm", again.uuid).ok()
        self.rkt("image", "gc", "--grace-period=0s").ok()
        assert self.rkt("image", "list", "--no-legend").ok().stdout == ""
        left = self.host.run("find", f"{DATA}/cas", "-mindepth", "1", "-type", "f", "-not", "-path", "*/db/*",
                             "-not", "-path", "*locks/*").stdout
        assert left == ""
        assert "rkt-" not in self.host.run("systemctl", "list-units", "--plain", "--no-legend", "rkt-*").stdout


@pytest.fixture
def crash(host: Host, busybox: Path) -> Crash:
    """A fresh data directory."""
    return Crash(host, busybox)


SCENARIOS: dict[str, Callable[[Crash], list[object]]] = {
    "run": lambda crash: shell_words(crash.image, "true"),
    "prepare": lambda crash: ["--insecure-options=image", "prepare", "--name=mine", crash.image],
    "run-prepared": lambda crash: ["run-prepared", "--net=host", crash.prepared()],
    "fetch": lambda crash: ["--insecure-options=image", "fetch", crash.image],
    "rm": lambda crash: ["rm", crash.pod(), crash.prepared()],
    "gc": lambda crash: ["gc", "--grace-period=0s"] if crash.pod() else [],
    "image rm": lambda crash: ["image", "rm", "example.com/busybox"] if crash.rkt("rm", crash.pod()).ok() else [],
    "image gc": lambda crash: ["image", "gc", "--grace-period=0s"] if crash.rkt("rm", crash.pod()).ok() else [],
}


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point(host: Host, busybox: Path, point: str) -> None:
    reached = []
    for name, words in SCENARIOS.items():
        crash = Crash(host, busybox)
        if crash.rkt(*words(crash), env={"RKT_TEST_KILL_AT": point}).returncode in KILLED:
            reached.append(name)
            crash.check()
    assert reached, f"no command comes to {point}"


@pytest.mark.parametrize("name", ["run", "prepare", "fetch", "rm", "gc"])
def test_a_kill_after_some_milliseconds(crash: Crash, name: str) -> None:
    killed = 0
    for delay_ms in range(1, 81, 4):
        words = SCENARIOS[name](crash)
        process = crash.host.start_rkt(f"--dir={DATA}", *words)
        time.sleep(delay_ms / 1000)
        process.kill()
        killed += process.wait().returncode in KILLED
        until(lambda: not crash.host.traces(DATA, passing=False), "the processes and mounts are gone", 10)
        assert crash.rkt("list").ok().stderr == ""
    assert killed >= 3
    crash.check()


def test_there_are_enough_points() -> None:
    assert len(POINTS) >= 20
