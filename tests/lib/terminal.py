"""A program on a terminal: what it shows, what is typed, the size of the window."""
from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import termios
import time
from typing import Any

from tests.lib.machine import Process, Result

# Run where the program is to run, as a pty belongs to the devpts there: makes it the program's controlling
# terminal and hands the other end back through the socket whose number is the first argument.
TAKE_TERMINAL = """
import os, sys, fcntl, termios, socket
master, slave = os.openpty()
with socket.socket(fileno=int(sys.argv[1])) as to_caller:
    socket.send_fds(to_caller, [b"t"], [master])
os.close(master)
os.setsid()
fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
for number in 0, 1, 2:
    os.dup2(slave, number)
if slave > 2:
    os.close(slave)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class Terminal:
    """The caller's end of a terminal."""

    def __init__(self, master: int, process: Process) -> None:
        self.master = master
        self.process = process
        self.seen = ""

    def send(self, text: str) -> None:
        """Types."""
        os.write(self.master, text.encode())

    def expect(self, pattern: str, timeout_s: float = 20) -> re.Match[str]:
        """Waits until the pattern shows in what has not been matched yet, and drops all up to its end."""
        limit = time.monotonic() + timeout_s
        while not (match := re.search(pattern, self.seen)):
            left = limit - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{pattern!r} does not show: {self.seen!r}")
        self.seen = self.seen[match.end():]
        return match

    def _read(self, timeout_s: float) -> bool:
        """Takes what is shown; false once the last program closed the terminal."""
        if not select.select([self.master], [], [], timeout_s)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:   # EIO: nobody has the other end open
            return False
        self.seen += data.decode(errors="replace")
        return bool(data)

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def attributes(self) -> list[Any]:
        """The settings of the terminal (termios)."""
        return termios.tcgetattr(self.master)

    def wait(self, timeout_s: float = 30) -> Result:
        """Reads to the end of the program."""
        limit = time.monotonic() + timeout_s
        while time.monotonic() < limit and self._read(limit - time.monotonic()):
            if self.process.popen.poll() is not None:
                break
        return self.process.wait(max(0.1, limit - time.monotonic()))

    def close(self) -> None:
        """Hangs up."""
        os.close(self.master)
