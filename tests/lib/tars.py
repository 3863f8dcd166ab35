"""Tar archives made by hand, block by block: those that no sane tool makes too."""
from __future__ import annotations

from collections.abc import Iterable, Mapping

BLOCK = 512
END = bytes(2 * BLOCK)
FILE, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
MANIFEST = b'{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/test"}'


def octal(number: int, width: int) -> bytes:
    """A number as most headers have it."""
    return b"%0*o\0" % (width - 1, number)


def base256(number: int, width: int) -> bytes:
    """A number as GNU tar writes those that do not fit, negative ones too."""
    if number < 0:
        return number.to_bytes(width, "big", signed=True)
    return b"\x80" + number.to_bytes(width - 1, "big")


def padded(data: bytes) -> bytes:
    """Filled up to whole blocks."""
    return data + bytes(-len(data) % BLOCK)


def header(name: str | bytes, kind: bytes = FILE, size: int | bytes = 0, *, link: str | bytes = b"",
           mode: int | bytes = 0o644, uid: int | bytes = 0, gid: int | bytes = 0, mtime: int | bytes = 0,
           device: tuple[int, int] = (0, 0), magic: bytes = b"ustar\x0000", prefix: bytes = b"",
           tail: bytes | None = None, checksum: int | None = None) -> bytes:
    """One header; numbers in octal, or bytes as they are. `tail` is what stands from byte 345 on."""
    def field(value: int | bytes, width: int) -> bytes:
        return value.ljust(width, b"\0") if isinstance(value, bytes) else octal(value, width)

    def text(value: str | bytes) -> bytes:
        return value.encode(errors="surrogateescape") if isinstance(value, str) else value

    block = b"".join((
        text(name).ljust(100, b"\0"), field(mode, 8), field(uid, 8), field(gid, 8), field(size, 12), field(mtime, 12),
        b" " * 8, kind, text(link).ljust(100, b"\0"), magic.ljust(8, b"\0"), bytes(64),
        octal(device[0], 8), octal(device[1], 8), prefix.ljust(155, b"\0") if tail is None else tail,
    )).ljust(BLOCK, b"\0")
    assert len(block) == BLOCK, "a name that does not fit"
    return block[:148] + b"%06o\0 " % (sum(block) if checksum is None else checksum) + block[156:]


def member(name: str | bytes, kind: bytes = FILE, data: bytes = b"", **fields: object) -> bytes:
    """A header and its data."""
    fields.setdefault("size", len(data))
    return header(name, kind, **fields) + padded(data)  # type: ignore[arg-type]


def directory(name: str | bytes, **fields: object) -> bytes:
    """A directory, by default 0755."""
    fields.setdefault("mode", 0o755)
    return member(name, DIRECTORY, **fields)  # type: ignore[arg-type]


def symlink(name: str | bytes, target: str | bytes) -> bytes:
    """A symlink."""
    return member(name, SYMLINK, link=target, mode=0o777)


def hard_link(name: str | bytes, target: str | bytes) -> bytes:
    """A hard link."""
    return member(name, LINK, link=target)


def record(key: bytes, value: bytes) -> bytes:
    """A PAX record."""
    length = len(key) + len(value) + 3
    while len(b"%d" % length) + len(key) + len(value) + 3 != length:
        length = len(b"%d" % length) + len(key) + len(value) + 3
    return b"%d %s=%s\n" % (length, key, value)


def pax(records: Mapping[str, str | bytes] | Iterable[tuple[str, str | bytes]] | bytes, kind: bytes = b"x") -> bytes:
    """A PAX header for the next member, or (kind g) for all that follow; bytes as they are."""
    if not isinstance(records, bytes):
        pairs = records.items() if isinstance(records, Mapping) else records
        records = b"".join(record(key.encode(), value if isinstance(value, bytes) else value.encode(
            errors="surrogateescape")) for key, value in pairs)
    return member("PaxHeader", kind, records)


def long_name(text: str, kind: bytes = b"L") -> bytes:
    """GNU tar's header in front of a member with a long name, or (kind K) a long link target."""
    return member("././@LongLink", kind, text.encode() + b"\0", magic=b"ustar  \0")


def tar(*members: bytes) -> bytes:
    """An archive."""
    return b"".join(members) + END


def image(*members: bytes) -> bytes:
    """An image with these members in front of its manifest."""
    return tar(directory("rootfs"), *members, member("manifest", data=MANIFEST))
