"""What stands beside the plain headers of a tar: PAX records, and the lists of the parts of sparse files."""
from __future__ import annotations

import struct

from stage0.aci.headers import BLOCK
from stage0.aci.limits import ArchiveError, number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Records = dict[bytes, bytes]
    Extents = tuple[tuple[int, int], ...]

_MAX_PARTS = 1 << 19                # of a sparse file
_MAX_GLOBAL = 64                    # records for all members: each member pays for them
_PART = struct.Struct("12s12s")
_NOT_FOR_ALL = (b"path", b"linkpath", b"size", b"GNU.sparse.")
_PARTS = b"GNU.sparse.parts"        # ours: the repeated records of format 0.0, gathered to the form of 0.1
_SCHILY, _LIBARCHIVE = b"SCHILY.xattr.", b"LIBARCHIVE.xattr."
_ACLS = {b"SCHILY.acl.access": "system.posix_acl_access", b"SCHILY.acl.default": "system.posix_acl_default"}


def records(data: bytes, name: str) -> Records:
    """The records of a PAX header: `LENGTH KEY=VALUE` and a newline, where the last of a key counts."""
    found: Records = {}
    parts: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        space = data.find(b" ", at, at + 20)
        digits = data[at:space]
        stop = at + int(digits) if digits.isdigit() else 0
        key, equals, value = data[space + 1:stop - 1].partition(b"=")
        if not (at < space < stop <= end and equals and key and data[stop - 1] == 10):
            raise ArchiveError(f"a PAX header after {shown(name)} is broken at byte {at}")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            parts.append(value)
        found[key] = value
        at = stop
    if parts:
        found[_PARTS] = b",".join(parts)
    return found


def global_records(before: Records, data: bytes, name: str) -> Records:
    """What holds for all members from here on, by the headers before and this one.

    Records that only make sense for one member are refused.
    """
    found = records(data, name)
    for key in found:
        if key.startswith(_NOT_FOR_ALL):
            raise ArchiveError(f"a global PAX header after {shown(name)} sets {key.decode(errors='replace')} "
                               f"of all members")
    found = {**before, **found}
    if len(found) > _MAX_GLOBAL:
        raise ArchiveError(f"global PAX headers up to that after {shown(name)} hold more than {_MAX_GLOBAL} records")
    return found


def whole_number(value: bytes, what: str, name: str) -> int:
    """A decimal number of a PAX record."""
    if not value.isdigit() or len(value) > 20:
        raise ArchiveError(f"{shown(name)}: its {what} {value[:40]!r} is no number")
    return int(value)


def time_ns(value: bytes, name: str) -> int:
    """A time of a PAX record, in seconds with a fraction → nanoseconds."""
    whole, _, fraction = value.lstrip(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (fraction and not fraction.isdigit()):
        raise ArchiveError(f"{shown(name)}: its mtime {value[:40]!r} is no time")
    since = int(whole) * 10**9 + int(fraction[:9].ljust(9, b"0"))
    return -since if value.startswith(b"-") else since


def xattrs(found: Records, name: str) -> dict[str, bytes]:
    """The extended attributes in the records of a member; ACLs in their text form become attributes too."""
    attributes: dict[str, bytes] = {}
    for key, value in found.items():
        if key.startswith(_SCHILY):
            text = key[len(_SCHILY):].replace(b"%3D", b"=").replace(b"%25", b"%")   # as GNU tar and our writer do
            attributes[text.decode("utf-8", "surrogateescape")] = value
        elif key.startswith(_LIBARCHIVE):
            from stage0.aci.quoting import libarchive_xattr  # late: only bsdtar writes these

            attributes.setdefault(*libarchive_xattr(key[len(_LIBARCHIVE):], value, name))
        elif key in _ACLS:
            from stage0.aci.acl import from_text  # late: rare

            attributes.setdefault(_ACLS[key], from_text(value, name))
    return attributes


def pax_extents(found: Records, name: str, block: Callable[[], bytes]) -> tuple[Extents, int] | None:
    """The stored parts of a sparse file of PAX format 0.0, 0.1 or 1.0 and its size; None if it is none.

    In format 1.0 the list stands in front of the data; `block` reads the blocks there.
    """
    major = found.get(b"GNU.sparse.major")
    if major is not None:
        if (major, found.get(b"GNU.sparse.minor")) != (b"1", b"0"):
            raise ArchiveError(f"{shown(name)}: unknown format of a sparse file")
        size_bytes = whole_number(found.get(b"GNU.sparse.realsize", b""), "real size", name)
        return _extents(_numbers_in_front(block, name), size_bytes, name), size_bytes
    size = found.get(b"GNU.sparse.size")
    if size is None:
        return None
    size_bytes = whole_number(size, "real size", name)
    texts = (found.get(b"GNU.sparse.map") or found.get(_PARTS, b"")).split(b",")
    if len(texts) > 2 * _MAX_PARTS:
        raise ArchiveError(f"{shown(name)}: more than {_MAX_PARTS} sparse parts")
    numbers = [whole_number(text, "list of sparse parts", name) for text in texts if text]
    return _extents(numbers, size_bytes, name), size_bytes


def _numbers_in_front(block: Callable[[], bytes], name: str) -> list[int]:
    """The list of format 1.0: the count of parts, then offset and length of each, a line a number."""
    numbers: list[int] = []
    rest = b""
    while not numbers or len(numbers) <= 2 * numbers[0]:
        *lines, rest = (rest + block()).split(b"\n")
        numbers += [whole_number(line, "list of sparse parts", name) for line in lines]
        if len(rest) > BLOCK or (numbers and numbers[0] > _MAX_PARTS):
            raise ArchiveError(f"{shown(name)}: a broken list of sparse parts, or more than {_MAX_PARTS}")
    return numbers[1:]


def gnu_extents(header: bytes, name: str, block: Callable[[], bytes]) -> tuple[Extents, int]:
    """The same for the older format of GNU tar: four parts in the header, 21 in each block that follows it."""
    numbers: list[int] = []
    size_bytes = number(header[483:495], "real size", name)
    parts, more = header[386:482], header[482]
    while True:
        for offset, length in _PART.iter_unpack(parts):
            if offset[0] == 0 or length[0] == 0:
                break
            numbers += (number(offset, "sparse part", name), number(length, "sparse part", name))
        if not more:
            return _extents(numbers, size_bytes, name), size_bytes
        if len(numbers) > 2 * _MAX_PARTS:
            raise ArchiveError(f"{shown(name)}: more than {_MAX_PARTS} sparse parts")
        following = block()
        parts, more = following[:504], following[504]


def _extents(numbers: list[int], size_bytes: int, name: str) -> Extents:
    """Pairs, checked: in order, apart, inside the file."""
    if len(numbers) % 2:
        raise ArchiveError(f"{shown(name)}: a broken list of sparse parts")
    found = tuple(zip(numbers[::2], numbers[1::2]))
    end = 0
    for offset, length in found:
        if offset < end or length < 0 or offset + length > size_bytes:
            raise ArchiveError(f"{shown(name)}: sparse parts overlap or lie outside the file")
        end = offset + length
    return found
