"""Output of several apps on one stream: whole lines, unmixed, each with its app's name."""
from __future__ import annotations

import io
import os

_LONGEST_LINE = 1 << 16
_ATOMIC = 4096  # PIPE_BUF: after POLLOUT a write of this size does not block


class Stream:
    """A stream of the pod, written without ever blocking PID 1."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.waiting = bytearray()

    def flush_some(self) -> None:
        """Write what one write takes. A reader that is gone takes everything."""
        try:
            del self.waiting[:os.write(self.fd, self.waiting[:_ATOMIC])]
        except OSError:
            self.waiting.clear()


class Source:
    """One pipe from an app."""

    def __init__(self, fd: int, stream: Stream, prefix: bytes) -> None:
        self.fd, self.stream, self.prefix = fd, stream, prefix
        self._line = bytearray()

    def read_some(self) -> bool:
        """Take what is there and hand whole lines on; False at the end of the pipe."""
        data = os.read(self.fd, _LONGEST_LINE)
        self._line += data
        end = self._line.rfind(b"\n") + 1
        if not data and self._line:
            self._line += b"\n"
            end = len(self._line)
        elif not end and len(self._line) >= _LONGEST_LINE:
            end = len(self._line)
        whole = bytes(self._line[:end])
        for line in io.BytesIO(whole) if self.prefix else (whole,):  # bytes.splitlines splits at \r too
            self.stream.waiting += self.prefix + line
        del self._line[:end]
        return bool(data)
