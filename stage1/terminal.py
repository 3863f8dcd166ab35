"""A terminal between the caller's and that of a program in a pod."""
from __future__ import annotations

import fcntl
import os
import termios
import tty

from stage1 import background

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BLOCK = 1 << 16


class Terminal:
    """The caller's terminal: raw while the block runs, as it was before afterwards."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._saved: list[Any] = []

    def __enter__(self) -> Terminal:
        self._saved = termios.tcgetattr(self.fd)
        tty.setraw(self.fd, termios.TCSADRAIN)
        return self

    def __exit__(self, *_failure: object) -> None:
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self._saved)


def restore_after(fd: int, cgroup: str) -> None:
    """See to it that the terminal gets its present settings back when this process ends, however it ends.

    systemd-nspawn restores it itself; nobody would after a `kill -9`. A process in `cgroup` waits for that.
    """
    saved = termios.tcgetattr(fd)
    background.after_the_pod(cgroup, lambda: termios.tcsetattr(fd, termios.TCSANOW, saved), keep_fd=fd)


def copy_size(source: int, target: int) -> None:
    """Give a terminal the size of another."""
    size = fcntl.ioctl(source, termios.TIOCGWINSZ, bytes(8))
    fcntl.ioctl(target, termios.TIOCSWINSZ, size)


def relay(caller_in: int, caller_out: int, master: int, child: int) -> None:
    """Carry bytes and size changes between the caller and a pty until `child` has ended.

    What the program wrote last still comes out. `child` is a pidfd.
    """
    import _signal
    import select
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    before = _signal.signal(_signal.SIGWINCH, lambda _number, _frame: None)
    _signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    poll = select.poll()
    for fd in (caller_in, master, child, wake_read):
        poll.register(fd, select.POLLIN)
    try:
        ended = False
        while True:
            ready = dict(poll.poll(0 if ended else None))
            if wake_read in ready:
                os.read(wake_read, 64)
                copy_size(caller_in, master)
            if caller_in in ready and not _carry(caller_in, master):
                poll.unregister(caller_in)
            if master in ready and not _carry(master, caller_out):
                return
            if ended and master not in ready:
                return
            ended = ended or child in ready
    finally:
        _signal.set_wakeup_fd(-1)
        _signal.signal(_signal.SIGWINCH, before)
        os.close(wake_read)
        os.close(wake_write)


def _carry(source: int, target: int) -> bool:
    """Copy what is there; False at the end of the source."""
    try:
        data = os.read(source, _BLOCK)
    except OSError:  # EIO: nobody has the other side of the pty open any more
        return False
    view = memoryview(data)
    while view:
        view = view[os.write(target, view):]
    return bool(data)
