"""Named points where a test may kill the process, to see what a crash leaves.

A test sets RKT_TEST_KILL_AT=POINT, or POINT:N for the N-th time the point is reached, and puts an
empty file `.fault-injection` into the data directory; the process then gets SIGKILL there. Without
the variable a point costs one call of an empty function, and without the file it does nothing.
"""
from __future__ import annotations

import os

MARKER = ".fault-injection"

_wanted, _, _times = os.environ.get("RKT_TEST_KILL_AT", "").partition(":")
_left = int(_times) if _times.isdigit() else 1
_armed = False


def arm(data_dir: str) -> None:
    """Honour the variable from here on if the data directory is one for tests."""
    global _armed
    _armed = bool(_wanted) and os.path.exists(os.path.join(data_dir, MARKER))


def _reach(point: str) -> None:
    global _left
    if _armed and point == _wanted:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), 9)


def _pass(_point: str) -> None:
    return


reach = _reach if _wanted else _pass
