"""Tables, times, sizes and JSON, alike for all commands."""
from __future__ import annotations

import time

from stage2 import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_TAB = 8
_S, _M, _H, _D, _W, _MONTH, _Y = 1, 60, 3600, 86400, 604800, 2592000, 31104000
_AGES = (  # below these seconds: the words, and what a count in them is divided by
    (_S, "now", 0), (2 * _S, "1 second {}", 0), (_M, "%d seconds {}", _S), (2 * _M, "1 minute {}", 0),
    (_H, "%d minutes {}", _M), (2 * _H, "1 hour {}", 0), (_D, "%d hours {}", _H), (2 * _D, "1 day {}", 0),
    (_W, "%d days {}", _D), (2 * _W, "1 week {}", 0), (_MONTH, "%d weeks {}", _W), (2 * _MONTH, "1 month {}", 0),
    (_Y, "%d months {}", _MONTH), (_Y * 3 // 2, "1 year {}", 0), (2 * _Y, "2 years {}", 0),
    (37 * _Y, "%d years {}", _Y),
)


def table(rows: Iterable[Sequence[str]]) -> str:
    """Rows as lines whose columns begin at tab stops; "" if there are none.

    Columns are at least one character apart and filled with tabs alone, so that both
    people and `cut -f` (after `tr -s '\\t'`) can read them.
    """
    lines = [tuple(row) for row in rows]
    widths = [(max(map(len, column)) + _TAB) // _TAB * _TAB for column in zip(*lines, strict=True)][:-1]
    return "".join(
        "".join(cell + "\t" * -((len(cell) - width) // _TAB) for cell, width in zip(line, widths)) + line[-1] + "\n"
        for line in lines)


def when(time_ns: int, now_ns: int | None = None) -> str:
    """A time as people say it: `2 minutes ago`."""
    seconds = ((time.time_ns() if now_ns is None else now_ns) - time_ns) / 1e9
    way = "ago" if seconds >= 0 else "from now"
    for below, words, unit in _AGES:
        if abs(seconds) < below:
            return (words % (abs(seconds) // unit) if unit else words).format(way)
    return f"a long while {way}"


def absolute(time_ns: int) -> str:
    """A time in full: `2018-04-16 10:00:00.123 +0200 CEST`; zeros at the end of the fraction are left off."""
    second, rest = divmod(time_ns, 10**9)
    local = time.localtime(second)
    fraction = f".{rest // 10**6:03}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%d %H:%M:%S", local) + fraction + time.strftime(" %z %Z", local)


def rfc3339(time_ns: int) -> str:
    """A time for programs: `2018-04-16T08:00:00.123456789Z`."""
    second, rest = divmod(time_ns, 10**9)
    fraction = f".{rest:09}".rstrip("0").rstrip(".")
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second)) + fraction + "Z"


def size(size_bytes: int) -> str:
    """A size in IEC units: `12 B`, `1.5 KiB`, `82 MiB`."""
    if size_bytes < 10:
        return f"{size_bytes} B"
    value, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    value = int(value * 10 + 0.5) / 10
    return f"{value:.1f} {units[0]}" if value < 10 else f"{value:.0f} {units[0]}"


def json(value: Any, form: str | None = "json") -> str:
    """The JSON text for --format: `json` is one line, anything else is indented by tabs."""
    return jsontext.dumps(value, None if form == "json" else "\t")
