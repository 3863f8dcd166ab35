"""`rkt run --interactive`: the app has the terminal."""
from __future__ import annotations

import signal
from pathlib import Path

from tests.lib.host import Host
from tests.lib.machine import shell_words
from tests.lib.terminal import Terminal


def interactive(host: Host, busybox: Path, script: str) -> Terminal:
    """Runs a script on a terminal."""
    command, uuid_file = host.rkt_command(*shell_words(busybox, script, "--interactive"))
    terminal = host.terminal(*command, uuid_file=uuid_file)
    assert isinstance(terminal, Terminal)
    return terminal


def test_a_shell_with_job_control(host: Host, busybox: Path) -> None:
    terminal = interactive(host, busybox, "exec sh -i")
    terminal.expect("[#$] ")
    terminal.send("tty; sleep 100 & sleep 0.5; jobs; kill %1; fg\n")
    terminal.expect("/dev/")
    terminal.expect("Running")
    terminal.send("sh -c 'echo up$((40 + 2)); exec sleep 100'\n")
    terminal.expect("up42\r\n")
    terminal.send("\x03")   # ctrl-C ends the sleep, not the shell
    terminal.expect("[#$] ")
    terminal.send("exit 8\n")
    assert terminal.wait().returncode == 8


def test_the_size_of_the_window_follows(host: Host, busybox: Path) -> None:
    terminal = interactive(host, busybox, "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done")
    terminal.expect("ready")
    terminal.resize(33, 99)
    terminal.expect("33 99")
    terminal.process.signal(signal.SIGTERM)
    terminal.wait()


def test_the_terminal_is_as_before_afterwards(host: Host, busybox: Path) -> None:
    terminal = interactive(host, busybox, "stty raw -echo; echo done; sleep 0.5")
    before = terminal.attributes()
    terminal.expect("done")
    terminal.wait()
    assert terminal.attributes() == before


def test_a_terminal_without_interactive_is_the_apps_stdin_too(host: Host, busybox: Path) -> None:
    command, uuid_file = host.rkt_command(*shell_words(busybox, "read line; echo got $line"))
    terminal = host.terminal(*command, uuid_file=uuid_file)
    terminal.send("word\n")
    terminal.expect("got word")
    assert terminal.wait().returncode == 0


def test_a_pod_of_two_apps_cannot_be_interactive(host: Host, busybox: Path) -> None:
    pod = host.rkt("--insecure-options=image", "run", "--interactive", busybox, "--name=one", busybox, "--name=two")
    assert pod.returncode == 254
    assert "--interactive" in pod.stderr and pod.stderr.count("\n") == 1
