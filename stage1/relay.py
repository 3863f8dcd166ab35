"""Passes signals for the supervisor on to the app: `python3 -I -S stage1/relay.py PID [--interactive]`.

systemd-nspawn passes on SIGTERM and SIGINT; SIGHUP, SIGUSR1 and SIGUSR2 end it, and it
keeps SIGWINCH to itself. Nobody else is told of a signal that is sent to a process but
its tracer, so that is what this one is: it takes these signals away from the
supervisor and gives them to PID 1 of the pod, which has them for its app. When it dies,
the supervisor runs on without it. It goes when the supervisor goes.

A program of its own, for its memory: a fork of `rkt run` would keep all of that.
"""
from __future__ import annotations

import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from stage2 import memory, syscalls  # late: its parent is on the path only now

HUP, USR1, USR2, STOP, TSTP, TTIN, TTOU, WINCH = 1, 10, 12, 19, 20, 21, 22, 28
PASSED_ON = (HUP, USR1, USR2, WINCH)
_EVENT_STOP = 128
_WALL = 0x40000000
_START_S = 30.0


def main(argv: list[str]) -> int:
    """Trace the supervisor until it ends. A kernel that does not allow that leaves the pod without a relay."""
    supervisor = int(argv[1])
    try:
        syscalls.ptrace(syscalls.PTRACE_SEIZE, supervisor)
        if _await_leader(supervisor) is not None:
            syscalls.ptrace(syscalls.PTRACE_INTERRUPT, supervisor)  # the first stop unblocks them
        memory.give_back_code()
        while (stop := _next_stop(supervisor)) is not None:
            _answer(supervisor, *stop)
    except (ProcessLookupError, ChildProcessError, PermissionError):
        pass
    return 0


def _next_stop(supervisor: int) -> tuple[int, int] | None:
    """Wait until the supervisor stops: with which signal, by which event of ptrace. None at its end."""
    _pid, status = os.waitpid(supervisor, _WALL)
    return (os.WSTOPSIG(status), status >> 16) if os.WIFSTOPPED(status) else None


def _answer(supervisor: int, signal: int, event: int) -> None:
    """Let the supervisor go on after a stop."""
    if event == _EVENT_STOP:
        if signal in (STOP, TSTP, TTIN, TTOU):
            syscalls.ptrace(syscalls.PTRACE_LISTEN, supervisor)  # it is stopped, and stays so until SIGCONT
            return
        _unblock(supervisor)
        signal = 0
    elif signal in PASSED_ON and (leader := _leader(supervisor)) is not None:
        try:
            os.kill(leader, signal)
        except ProcessLookupError:
            pass  # the pod is about to end
        signal = 0
    syscalls.ptrace(syscalls.PTRACE_CONT, supervisor, 0, signal)


def _unblock(supervisor: int) -> None:
    """Let the signals reach the tracer: stage1 blocked them until now, and systemd-nspawn blocks SIGWINCH.

    In an interactive pod it resizes the app's terminal on SIGWINCH, which tells the app.
    """
    taken = [signal for signal in PASSED_ON if signal != WINCH or "--interactive" not in sys.argv]
    mask = syscalls.ptrace_sigmask(supervisor)
    for signal in taken:
        mask &= ~(1 << signal - 1)
    syscalls.ptrace_set_sigmask(supervisor, mask)


def _await_leader(supervisor: int) -> int | None:
    """PID 1 of the pod, once it is there; answers the stops that come before."""
    limit = time.monotonic() + _START_S
    while (leader := _leader(supervisor)) is None and time.monotonic() < limit:
        pid, status = os.waitpid(supervisor, _WALL | os.WNOHANG)
        if pid and not os.WIFSTOPPED(status):
            return None
        if pid:
            _answer(supervisor, os.WSTOPSIG(status), status >> 16)
        time.sleep(0.005)
    return leader


def _leader(supervisor: int) -> int | None:
    """PID 1 of the pod as the host numbers it. stage1.supervisor has it too, with more to load."""
    try:
        with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as file:
            children = file.read().split()
        for child in children:
            with open(f"/proc/{child}/status", encoding="utf-8", errors="replace") as file:
                numbers = next(line.split()[1:] for line in file if line.startswith("NSpid:"))
            if len(numbers) > 1 and numbers[-1] == "1":
                return int(child)
    except FileNotFoundError:
        pass
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv))
