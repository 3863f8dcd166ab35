"""The headers of tar members: ustar, with PAX records for what does not fit into it."""
from __future__ import annotations

from stage2.value import Value

BLOCK = 512
REGULAR, HARD_LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_EXTENDED = b"x"
_EXTENDED_NAME = b"././@PaxHeader"
_XATTR = b"SCHILY.xattr."


class Header(Value):
    """What a tar says of one member. Names are bytes, as in the file system."""

    name: bytes
    kind: bytes = REGULAR
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    owner: bytes = b""                          # names of the owner and group; numbers alone if empty
    group: bytes = b""
    size_bytes: int = 0                         # of the data that follow; those of a sparse file are in `extents`
    mtime: int = 0                              # seconds
    link: bytes = b""
    device: tuple[int, int] = (0, 0)
    xattrs: tuple[tuple[bytes, bytes], ...] = ()
    extents: tuple[tuple[int, int], ...] = ()   # (offset, bytes) of the parts of a sparse file that are not holes
    real_size_bytes: int = 0                    # of a sparse file, holes included

    def pack(self) -> bytes:
        """The blocks that stand before the data; those of a sparse file end with the list of its parts."""
        if self.extents:
            return self._sparse()
        return self._blocks({}, self.name, self.size_bytes)

    def _sparse(self) -> bytes:
        """PAX format 1.0 of GNU tar: the list of parts stands in front of the data and counts as data."""
        numbers = [len(self.extents), *(number for extent in self.extents for number in extent)]
        parts = padded(b"".join(b"%d\n" % number for number in numbers))
        directory, _, base = self.name.rpartition(b"/")
        records = {
            b"GNU.sparse.major": b"1", b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": self.name, b"GNU.sparse.realsize": b"%d" % self.real_size_bytes,
        }
        shown = (directory + b"/" if directory else b"") + b"GNUSparseFile.0/" + base
        return self._blocks(records, shown, len(parts) + self.size_bytes) + parts

    def _blocks(self, records: dict[bytes, bytes], name: bytes, size_bytes: int) -> bytes:
        name_field = _text(records, b"path", name, 100)
        link_field = _text(records, b"linkpath", self.link, 100)
        numbers = (
            _octal({}, b"mode", self.mode, 8), _octal(records, b"uid", self.uid, 8),
            _octal(records, b"gid", self.gid, 8), _octal(records, b"size", size_bytes, 12),
            _octal(records, b"mtime", self.mtime, 12),
        )
        for key, value in self.xattrs:
            # As GNU tar writes them: the name of a record ends at the first "=".
            records[_XATTR + key.replace(b"%", b"%25").replace(b"=", b"%3D")] = value
        major, minor = (_octal({}, b"", number, 8) for number in self.device)
        block = b"".join((
            name_field, *numbers, b" " * 8, self.kind, link_field, b"ustar\x0000",
            self.owner.ljust(32, b"\0"), self.group.ljust(32, b"\0"), major, minor,
        )).ljust(BLOCK, b"\0")
        block = block[:148] + b"%06o\0 " % sum(block) + block[156:]
        return _extended(records) + block if records else block


def _extended(records: dict[bytes, bytes]) -> bytes:
    if any(not _is_utf8(records.get(key, b"")) for key in (b"path", b"linkpath", b"GNU.sparse.name")):
        records[b"hdrcharset"] = b"BINARY"
    data = b"".join(_record(key, records[key]) for key in sorted(records))
    return Header(_EXTENDED_NAME, _EXTENDED, size_bytes=len(data)).pack() + padded(data)


def _record(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE`, where the length counts its own digits too."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(str(len(rest)))
    length = len(rest) + len(str(length))
    return b"%d%s" % (length, rest)


def _text(records: dict[bytes, bytes], key: bytes, text: bytes, width: int) -> bytes:
    if len(text) > width:
        records[key] = text
    return text[:width].ljust(width, b"\0")


def _octal(records: dict[bytes, bytes], key: bytes, number: int, width: int) -> bytes:
    if not 0 <= number < 8 ** (width - 1):
        records[key] = b"%d" % number
        number = 0
    return b"%0*o\0" % (width - 1, number)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def padded(data: bytes) -> bytes:
    """The data, filled up with zeros to whole blocks."""
    return data + padding(len(data))


def padding(size_bytes: int) -> bytes:
    """The zeros between data of this size and the next header."""
    return bytes(-size_bytes % BLOCK)
