"""How much an archive may hold, and what is wrong with one that cannot be taken."""
from __future__ import annotations

from stage2.errors import RktError
from stage2.value import Value


class ArchiveError(RktError):
    """An archive is broken, hostile or no image. The text begins with the member's name where there is one."""


class Limits(Value):
    """What an archive may hold. The defaults let every real image pass."""

    size_bytes: int = 128 << 30        # of the uncompressed archive
    ratio: int = 250                   # uncompressed to compressed; a tar of sources or logs comes to 10
    ratio_from_bytes: int = 256 << 20  # the ratio counts above this size: a small image may be all zeros
    entries: int = 2_000_000
    names_bytes: int = 256 << 20       # of all names together, which are held in memory
    name_bytes: int = 4095             # of one name or link target: PATH_MAX without its NUL
    depth: int = 256                   # directories above a member
    header_bytes: int = 1 << 20        # of one extended header: extended attributes, lists of sparse parts
    file_bytes: int = 1 << 44          # of one file, holes included
    manifest_bytes: int = 4 << 20


DEFAULT = Limits()


def shown(name: str) -> str:
    """A name for a message: as it is, or quoted and escaped if it would not print; long ones are shortened."""
    text = name if name.isprintable() and name else ascii(name)
    return text if len(text) <= 200 else f"{text[:120]}…{text[-60:]}"


def number(field: bytes, what: str, name: str) -> int:
    """A number in a tar header: octal, padded with spaces or NULs, or in base 256; nothing stands for 0."""
    digits = field.strip(b" \0")
    if digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError:
            pass
    elif not digits:
        return 0
    elif field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    elif field[0] == 0xFF:
        return int.from_bytes(field, "big", signed=True)
    raise ArchiveError(f"{shown(name)}: its {what} {field!r} is no number")
