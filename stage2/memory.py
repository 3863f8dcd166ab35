"""Less memory for a process that only waits from here on."""
from __future__ import annotations

from stage2 import syscalls


def give_back_code() -> None:
    """Give back the pages of the interpreter's code: clean ones, which come back from the page cache when needed."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
        for line in maps.read().splitlines():
            addresses, access, _rest = line.split(" ", 2)
            if access == "r-xp" and "/" in line:  # what is only readable was relocated, and is no longer the file's
                start, end = (int(address, 16) for address in addresses.split("-"))
                syscalls.madvise(start, end - start, syscalls.MADV_DONTNEED)
