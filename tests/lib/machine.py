"""Runs rkt and other programs on this machine as it is; host.py does the same in a nested host."""
from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
RKT = CHECKOUT / ".venv/bin/rkt"
ACTOOL = CHECKOUT / ".venv/bin/actool"
PYTHON = CHECKOUT / ".venv/bin/python3"

NUMBERS = itertools.count(1)   # of files; machines share directories

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "xterm"}


class Result:
    """What a program left: its status (-N after signal N) and its output."""

    def __init__(self, command: list[str], returncode: int, output: bytes, errors: bytes,
                 uuid_file: Path | None) -> None:
        self.command = command
        self.returncode = returncode
        self.output = output
        self.stdout = output.decode(errors="replace")
        self.stderr = errors.decode(errors="replace")
        self.uuid_file = uuid_file

    @property
    def uuid(self) -> str:
        """The pod of a `rkt run` or `rkt prepare`."""
        text = self.uuid_file.read_text() if self.uuid_file else self.stdout
        return text.strip()

    def ok(self) -> Result:
        """Itself; fails the test if the program failed."""
        assert self.returncode == 0, f"{self}\n{self.stdout}{self.stderr}"
        return self

    def __repr__(self) -> str:
        return f"{' '.join(self.command)} → {self.returncode}"


class Process:
    """A program that runs on. `pid` is its PID as this machine counts."""

    def __init__(self, command: list[str], popen: subprocess.Popen[bytes], pid: int, uuid_file: Path | None) -> None:
        self.command = command
        self.popen = popen
        self.pid = pid
        self.uuid_file = uuid_file

    @property
    def uuid(self) -> str:
        """The pod of a `rkt run`; waits until it is known."""
        assert self.uuid_file is not None
        until(lambda: bool(self.uuid_file.exists() and self.uuid_file.read_text()), f"{self.uuid_file} is written")
        return self.uuid_file.read_text().strip()

    def signal(self, number: int) -> None:
        """Sends a signal to the program itself."""
        os.kill(self.pid, number)

    def wait(self, timeout_s: float = 60, input: bytes | None = None) -> Result:
        """Feeds it and waits for its end; kills it at the time limit, and fails the test."""
        try:
            output, errors = self.popen.communicate(input, timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            output, errors = self.popen.communicate()
            raise AssertionError(f"{' '.join(self.command)} runs after {timeout_s} s\n{output!r}\n{errors!r}") from None
        return Result(self.command, self.popen.returncode, output or b"", errors or b"", self.uuid_file)

    def until_line(self, wanted: str) -> None:
        """Reads its output up to a line."""
        assert self.popen.stdout is not None
        seen = []
        while not seen or seen[-1] != wanted:
            line = self.popen.stdout.readline()
            assert line, f"{wanted!r} does not come: {seen} {self.wait().stderr}"
            seen.append(line.decode().rstrip("\n"))

    def kill(self) -> None:
        """SIGKILL to the program."""
        if self.popen.poll() is None:
            self.signal(signal.SIGKILL)

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_error: object) -> None:
        self.kill()
        self.popen.wait(20)


class Machine:
    """This machine: programs run in the caller's cgroup, rkt with a data directory of its own."""

    def __init__(self, shared: Path, data_dir: Path) -> None:
        self.shared = shared       # a directory that programs on it see at the same path
        self.data_dir = data_dir
        self.started: list[Process] = []

    leader = 1   # the PID whose mounts are those of the whole machine

    def cgroup_root(self) -> Path:
        """The root of the cgroup tree, as seen from the tests."""
        unified = Path("/sys/fs/cgroup/unified")
        return unified if unified.is_dir() else Path("/sys/fs/cgroup")

    def wrapped(self, command: list[str]) -> list[str]:
        """The command that runs a command there."""
        return command

    def pid_of(self, popen: subprocess.Popen[bytes]) -> int:
        """The PID of the program, given the process that was started for it."""
        return popen.pid

    def start(self, *command: object, env: dict[str, str] | None = None, uuid_file: Path | None = None,
              **options: Any) -> Process:
        """Starts a program; `options` are those of Popen."""
        environment = [f"{name}={value}" for name, value in {**ENVIRONMENT, **(env or {})}.items()]
        words = list(map(str, command))
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        popen = subprocess.Popen(self.wrapped(["env", "-i", "--default-signal", *environment, *words]), **options)
        process = Process(words, popen, self.pid_of(popen), uuid_file)
        self.started.append(process)
        return process

    def run(self, *command: object, input: bytes | None = None, timeout_s: float = 60,
            env: dict[str, str] | None = None, uuid_file: Path | None = None, **options: Any) -> Result:
        """Runs a program to its end."""
        if input is not None:
            options["stdin"] = subprocess.PIPE
        return self.start(*command, env=env, uuid_file=uuid_file, **options).wait(timeout_s, input)

    def rkt_command(self, *words: object) -> tuple[list[str], Path | None]:
        """The command of a rkt call; a run saves its UUID in a file that is returned too."""
        command = [str(RKT), f"--dir={self.data_dir}", *map(str, words)]
        verb = next((index for index, word in enumerate(command[1:], 1) if not word.startswith("-")), 0)
        if command[verb] != "run" or any(word.startswith("--uuid-file-save") for word in command):
            return command, None
        uuid_file = self.file("uuid")
        return [*command[:verb + 1], f"--uuid-file-save={uuid_file}", *command[verb + 1:]], uuid_file

    def rkt(self, *words: object, **options: Any) -> Result:
        """Runs rkt to its end: `host.rkt("run", image).uuid` is the pod."""
        command, uuid_file = self.rkt_command(*words)
        return self.run(*command, uuid_file=uuid_file, **options)

    def start_rkt(self, *words: object, **options: Any) -> Process:
        """Starts rkt and lets it run."""
        command, uuid_file = self.rkt_command(*words)
        return self.start(*command, uuid_file=uuid_file, **options)

    def shell(self, image: Path | str, script: str, *pod_options: object, app_options: Iterable[object] = (),
              **options: Any) -> Result:
        """Runs a pod of one app, a shell script on the host's network."""
        return self.rkt(*shell_words(image, script, *pod_options, app_options=app_options), **options)

    def start_shell(self, image: Path | str, script: str, *pod_options: object, app_options: Iterable[object] = (),
                    **options: Any) -> Process:
        """The same, started only. A script that prints a line can be waited for with `until_line`."""
        return self.start_rkt(*shell_words(image, script, *pod_options, app_options=app_options), **options)

    def state(self, pod: str) -> dict[str, str]:
        """What `rkt status` prints of a pod."""
        return dict(line.split("=", 1) for line in self.rkt("status", pod).ok().stdout.splitlines())

    def file(self, name: str) -> Path:
        """A path for a new file in the shared directory."""
        return self.shared / f"{name}-{next(NUMBERS)}"

    def terminal(self, *command: object, **options: Any) -> Any:
        """Starts a program on a terminal of its own there."""
        from tests.lib.terminal import TAKE_TERMINAL, Terminal

        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = self.start(PYTHON, "-IS", "-c", TAKE_TERMINAL, theirs.fileno(), *command,
                                 pass_fds=[theirs.fileno()], **options)
            theirs.close()
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
        return Terminal(descriptors[0], process)

    def traces(self, word: str, passing: bool = True) -> list[str]:
        """What is left of a pod: mounts, cgroups, processes, and files in /run and /tmp, with `word` in their names.

        Without `passing`: but for what systemd-nspawn and systemd-machined take away a moment after the end.
        """
        mounts = Path(f"/proc/{self.leader}/mountinfo").read_text().splitlines()
        found = [f"mount {line}" for line in mounts if word in line]
        found += [f"cgroup {path}" for path, _, _ in os.walk(self.cgroup_root()) if word in path.replace("\\x2d", "-")]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    ours = word in command or word in (entry / "cgroup").read_text()
                except OSError:
                    continue
                if ours:
                    found.append(f"process {entry.name} {command}")
        root = f"/proc/{self.leader}/root"
        for directory in ("/run", "/tmp", "/var/tmp") if passing else ("/tmp", "/var/tmp"):
            for path, directories, files in os.walk(root + directory):
                found += [f"file {path.removeprefix(root)}/{name}" for name in directories + files if word in name]
        return found


def shell_words(image: Path | str, script: str, *pod_options: object,
                app_options: Iterable[object] = ()) -> list[object]:
    """The words of a `rkt run` of one app, a shell script; on the host's network if no other is given."""
    net = [] if any(str(option).startswith("--net") for option in pod_options) else ["--net=host"]
    return ["--insecure-options=image", "run", *net, *pod_options, image, "--exec=/bin/sh", *app_options,
            "--", "-c", script]


def until(true: Callable[[], object], what: str, timeout_s: float = 30) -> None:
    """Waits until something is so, and fails the test at the time limit."""
    limit = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < limit, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def together(processes: Iterable[Process], timeout_s: float = 60) -> list[Result]:
    """Waits for all of them."""
    return [process.wait(timeout_s) for process in processes]
