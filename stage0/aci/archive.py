"""Reads tar archives as a stream: ustar, PAX, long names and sparse files of GNU tar.

    archive = Archive(chunks)                 # chunks: the uncompressed tar in pieces of any size
    for entry in archive:                     # Entry: clean name, kind, owner, mode, times, xattrs …
        while piece := archive.piece():       # the data of that entry; what is not asked for is passed over
            …

The archive is taken to be hostile. What comes out is checked: names are relative and clean and stay inside,
none comes twice, a hard link points to an earlier member that is no directory, numbers fit the kernel's types,
and nothing is larger than the Limits. What follows the end-of-archive marker is taken and not looked at.
"""
from __future__ import annotations

import struct
import sys
from zlib import adler32

from stage0.aci import extensions
from stage0.aci.headers import (
    BLOCK,
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    HARD_LINK,
    REGULAR,
    SYMLINK,
)
from stage0.aci.limits import DEFAULT, ArchiveError, Limits, number, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stage0.aci.extensions import Extents, Records

KINDS = {
    REGULAR: "file", HARD_LINK: "hard link", SYMLINK: "symlink", CHARACTER: "character device",
    BLOCK_DEVICE: "block device", DIRECTORY: "directory", FIFO: "fifo",
}
# name, mode, uid, gid, size, mtime, checksum, kind, link, magic, user, group, major, minor, prefix
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s64x8s8s155s12x")
_ZEROS = bytes(BLOCK)
_PLAIN_FILES = (REGULAR, b"\0", b"7")     # of POSIX, of V7, contiguous
_SPARSE, _LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _PAX_SOLARIS = b"S", b"L", b"K", b"x", b"g", b"X"
_EXTENSIONS = (_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _PAX_SOLARIS)
_MAX_EXTENSIONS = 16                      # headers in front of one member
_MAX_TIME = 1 << 40                       # seconds; no file system knows later ones
_MAX_ID = 0xFFFFFFFE                      # the next one means "unchanged" to chown(2)
_NO_XATTRS: dict[str, bytes] = {}
_ENCODING = sys.getfilesystemencoding()


class _CutOff(ArchiveError):
    """There are no more chunks."""


class Entry:
    """A member of an archive. Not a Value: making one takes a third of the time."""

    __slots__ = ("device", "extents", "gid", "kind", "link", "mode", "mtime_ns", "name", "size_bytes", "stored_bytes",
                 "uid", "xattrs")

    name: str                             # clean: no leading, trailing or double slash, no "." and ".."
    kind: bytes                           # REGULAR, DIRECTORY … of headers.py
    mode: int                             # the lower twelve bits
    uid: int
    gid: int
    size_bytes: int                       # of the file, holes included
    stored_bytes: int                     # of the data in the archive
    mtime_ns: int
    link: str                             # target: of a symlink as it stands, of a hard link a clean name
    device: tuple[int, int]               # major, minor
    xattrs: dict[str, bytes]
    extents: Extents | None               # of a sparse file: (offset, bytes) of the parts that are stored

    def __repr__(self) -> str:
        return f"<{KINDS[self.kind]} {shown(self.name)}>"


class Archive:
    """The members of a tar, once, in their order. Raises ArchiveError, with the name of the member."""

    def __init__(self, chunks: Iterable[bytes | memoryview], limits: Limits = DEFAULT) -> None:
        self._chunks = iter(chunks)
        self._limits = limits
        self._view = memoryview(b"")
        self._at = self._end = 0          # in the view
        self._left = 0                    # data of the current member not yet asked for
        self._padding = 0                 # behind these
        self._name = ""                   # of the current member, for errors
        self._directories: dict[str, bool] = {}   # every name so far: is it one?
        self._names_bytes = 0
        self._global: Records = {}
        self._ids: dict[bytes, int] = {}  # fields of mode, uid and gid: the same few again and again

    def __iter__(self) -> Iterator[Entry]:
        directories, limits = self._directories, self._limits
        while (entry := self._next()) is not None:
            name = entry.name
            if name in directories:
                raise ArchiveError(f"{shown(name)}: comes twice")
            if entry.kind == HARD_LINK and directories.get(entry.link, True):
                reason = "is a directory" if entry.link in directories else "did not come before"
                raise ArchiveError(f"{shown(name)}: hard link to {shown(entry.link)}, which {reason}")
            directories[name] = entry.kind == DIRECTORY
            self._names_bytes += len(name)
            if len(directories) > limits.entries:
                raise ArchiveError(f"{shown(name)}: the archive has more than {limits.entries} members")
            if self._names_bytes > limits.names_bytes:
                raise ArchiveError(f"{shown(name)}: the names of the archive take more than {limits.names_bytes} bytes")
            yield entry
        for _ in self._chunks:
            pass  # so that who makes them comes to their end too, and finds what is broken there

    @property
    def ahead_bytes(self) -> int:
        """How much of the chunks taken so far was not looked at yet."""
        return self._end - self._at

    def piece(self) -> memoryview:
        """The next data of the current member; empty at their end. Good until the next call on the archive."""
        if self._at == self._end and self._left:
            self._fill()
        at = self._at
        end = min(at + self._left, self._end)
        self._left -= end - at
        self._at = end
        return self._view[at:end]

    def read(self, limit_bytes: int) -> bytes:
        """The rest of the data of the current member."""
        if self._left > limit_bytes:
            raise ArchiveError(f"{shown(self._name)}: {self._left} bytes, more than {limit_bytes}")
        return self._take(self._left)

    def _take(self, size_bytes: int) -> bytes:
        parts = []
        while size_bytes:
            if self._at == self._end:
                self._fill()
            end = min(self._at + size_bytes, self._end)
            parts.append(bytes(self._view[self._at:end]))
            size_bytes -= end - self._at
            self._left -= end - self._at
            self._at = end
        return b"".join(parts)

    def _fill(self) -> None:
        """Go on to the next chunk."""
        for chunk in self._chunks:
            if chunk:
                self._view = memoryview(chunk)
                self._at, self._end = 0, len(chunk)
                return
        where = f"at {shown(self._name)}" if self._name else "before the first member"
        raise _CutOff(f"the archive is cut off {where}")

    def _skip(self) -> None:
        """Pass over what is left of the current member."""
        left = self._left + self._padding
        while left > self._end - self._at:
            left -= self._end - self._at
            self._at = self._end
            self._fill()
        self._at += left
        self._left = self._padding = 0

    def _block(self) -> bytes | memoryview:
        """The next block."""
        at = self._at
        if at + BLOCK <= self._end:
            self._at = at + BLOCK
            return self._view[at:at + BLOCK]
        self._left += BLOCK
        return self._take(BLOCK)

    def _next(self) -> Entry | None:
        """The next member, None at the end-of-archive marker."""
        records: Records = {}
        long_name = long_link = b""
        for _ in range(_MAX_EXTENSIONS):
            if self._left or self._padding:
                self._skip()
            block = self._block()
            fields = _FIELDS.unpack(block)
            kind = fields[7]
            if kind == b"\0" and block == _ZEROS:
                self._expect_end()
                return None
            self._check(block, fields[6])
            if kind not in _EXTENSIONS:
                return self._entry(block, fields, records, long_name, long_link)
            data = self._extension(fields)
            if kind == _LONG_NAME:
                long_name = data.partition(b"\0")[0]
            elif kind == _LONG_LINK:
                long_link = data.partition(b"\0")[0]
            elif kind == _PAX_GLOBAL:
                self._global = extensions.global_records(self._global, data, self._name)
            else:
                records.update(extensions.records(data, self._name))
        raise ArchiveError(f"more than {_MAX_EXTENSIONS} extended headers in a row after {shown(self._name)}")

    def _expect_end(self) -> None:
        """The second block of the end-of-archive marker; old writers leave it away."""
        try:
            block = self._block()
        except _CutOff:
            return
        if block != _ZEROS:
            raise ArchiveError(f"a lone block of zeros after {shown(self._name)}")

    def _check(self, block: bytes | memoryview, field: bytes) -> None:
        """The checksum is the sum of the bytes, its own field taken as spaces; old writers summed signed bytes."""
        stored = number(field, "checksum", self._name)
        # The lower half of Adler-32 is that sum too, a hundred times as fast: plus 1, modulo 65521.
        if (stored + sum(field) - 255 - (adler32(block) & 0xFFFF)) % 65521 == 0:
            return
        summed = bytes(block[:148]) + b" " * 8 + bytes(block[156:])
        if sum(byte - 256 * (byte > 127) for byte in summed) != stored:
            raise ArchiveError(f"the header after {shown(self._name)} is broken: its checksum does not match"
                               if self._name else "this is no tar archive, or its first header is broken")

    def _extension(self, fields: tuple[bytes, ...]) -> bytes:
        size_bytes = number(fields[4], "size", self._name)
        if not 0 <= size_bytes <= self._limits.header_bytes:
            raise ArchiveError(f"an extended header after {shown(self._name)} has {size_bytes} bytes, "
                               f"more than {self._limits.header_bytes}")
        self._left, self._padding = size_bytes, -size_bytes % BLOCK
        return self._take(size_bytes)

    def _entry(self, block: bytes | memoryview, fields: tuple[bytes, ...], found: Records,
               long_name: bytes, long_link: bytes) -> Entry:
        """The member that a header, and the extended ones before it, describe."""
        raw_name, mode, uid, gid, size, mtime, _, kind, raw_link, magic, major, minor, prefix = fields
        raw_name = raw_name.partition(b"\0")[0]
        if prefix[0] and magic[:6] == b"ustar\0":
            raw_name = prefix.partition(b"\0")[0] + b"/" + raw_name
        if self._global or found:
            found = {**self._global, **found}
            raw_name = self._one(long_name, found.get(b"GNU.sparse.name") or found.get(b"path")) or raw_name
            raw_link = self._one(long_link, found.get(b"linkpath")) or raw_link.partition(b"\0")[0]
        else:
            raw_name, raw_link = long_name or raw_name, long_link or raw_link.partition(b"\0")[0]
        entry = Entry()
        self._name = entry.name = name = self._clean(raw_name, "")
        if kind in _PLAIN_FILES:
            kind = DIRECTORY if raw_name[-1:] == b"/" else REGULAR
        elif kind not in KINDS and kind != _SPARSE:
            raise ArchiveError(f"{shown(name)}: members of type {kind!r} are not supported")
        entry.mode, entry.uid, entry.gid = self._id(mode) & 0o7777, self._id(uid), self._id(gid)
        entry.mtime_ns = number(mtime, "mtime", name) * 10**9
        entry.link, entry.xattrs, entry.extents, entry.device = "", _NO_XATTRS, None, (0, 0)
        size_bytes = number(size, "size", name)
        if found:
            size_bytes = self._override(entry, found, size_bytes)
        if not (0 <= size_bytes <= self._limits.size_bytes):
            raise ArchiveError(f"{shown(name)}: its size of {size_bytes} bytes is not from 0 to "
                               f"{self._limits.size_bytes}")
        if not (-_MAX_TIME < entry.mtime_ns // 10**9 < _MAX_TIME):
            raise ArchiveError(f"{shown(name)}: its mtime is out of range")
        if not (0 <= entry.uid <= _MAX_ID and 0 <= entry.gid <= _MAX_ID):
            raise ArchiveError(f"{shown(name)}: its owner {entry.uid}:{entry.gid} is out of range")
        entry.size_bytes = entry.stored_bytes = 0
        entry.kind = kind
        if kind == REGULAR or kind == _SPARSE:
            self._file(entry, block, found, size_bytes)
        elif kind == HARD_LINK:
            entry.link = self._clean(raw_link, "hard link to ")
        elif kind == SYMLINK:
            if not raw_link or b"\0" in raw_link or len(raw_link) > self._limits.name_bytes:
                raise ArchiveError(f"{shown(name)}: the target of the symlink is empty, too long or has a NUL")
            entry.link = raw_link.decode(_ENCODING, "surrogateescape")
        elif kind == DIRECTORY:
            if size_bytes and fields[7] != DIRECTORY:
                raise ArchiveError(f"{shown(name)}: a directory with data")
        elif kind != FIFO:
            entry.device = (number(major, "device number", name), number(minor, "device number", name))
            if not (0 <= entry.device[0] < 1 << 12 and 0 <= entry.device[1] < 1 << 20):
                raise ArchiveError(f"{shown(name)}: its device number {entry.device} is out of range")
        if not name and kind != DIRECTORY:
            raise ArchiveError(f"{KINDS[entry.kind]} without a name")
        return entry

    def _file(self, entry: Entry, block: bytes | memoryview, found: Records, size_bytes: int) -> None:
        """Complete a regular file, whose data follow, perhaps behind a list of its parts."""
        sparse = None
        if entry.kind == _SPARSE:
            sparse = extensions.gnu_extents(bytes(block), entry.name, lambda: bytes(self._block()))
            entry.kind = REGULAR
        self._left, self._padding = size_bytes, -size_bytes % BLOCK
        if found and sparse is None:
            sparse = extensions.pax_extents(found, entry.name, self._block_of_data)
        entry.stored_bytes = entry.size_bytes = self._left
        if sparse is not None:
            entry.extents, entry.size_bytes = sparse
            if sum(length for _, length in entry.extents) != self._left:
                raise ArchiveError(f"{shown(entry.name)}: sparse parts do not come to the size of the data")
        if entry.size_bytes > self._limits.file_bytes:
            raise ArchiveError(f"{shown(entry.name)}: {entry.size_bytes} bytes, more than {self._limits.file_bytes}")

    def _block_of_data(self) -> bytes:
        if self._left < BLOCK:
            raise ArchiveError(f"{shown(self._name)}: a broken list of sparse parts")
        return self._take(BLOCK)

    def _override(self, entry: Entry, found: Records, size_bytes: int) -> int:
        """Take over what PAX records say; returns the size of the data. An empty value counts as not there."""
        name = entry.name
        if value := found.get(b"uid"):
            entry.uid = extensions.whole_number(value, "uid", name)
        if value := found.get(b"gid"):
            entry.gid = extensions.whole_number(value, "gid", name)
        if value := found.get(b"mtime"):
            entry.mtime_ns = extensions.time_ns(value, name)
        entry.xattrs = extensions.xattrs(found, name)
        if value := found.get(b"size"):
            return extensions.whole_number(value, "size", name)
        return size_bytes

    def _one(self, long: bytes, pax: bytes | None) -> bytes:
        """The name by a header of GNU tar or by a PAX record: readers differ in which one wins."""
        if long and pax and long != pax:
            raise ArchiveError(f"a member after {shown(self._name)} has two different long names")
        return long or pax or b""

    def _id(self, field: bytes) -> int:
        value = self._ids.get(field)
        if value is None:
            if len(self._ids) > 4096:
                self._ids.clear()
            value = self._ids[field] = number(field, "mode or owner", self._name)
        return value

    def _clean(self, raw: bytes, what: str) -> str:
        """A name as path cleaning leaves it, "" for the top; ArchiveError if it leads out of the archive."""
        name = raw.decode(_ENCODING, "surrogateescape")
        if name[-1:] == "/":
            name = name[:-1]
        if not name or name[0] in "./" or "/." in name or "//" in name or name[-1] == "/":
            if raw[:1] == b"/":
                raise ArchiveError(f"{self._where(what)}{shown(name or '/')}: the name is absolute")
            if not raw:
                raise ArchiveError(f"{self._where(what)}an empty name after {shown(self._name)}")
            parts: list[str] = []
            for part in name.split("/"):
                if part == ".." and not parts:
                    raise ArchiveError(f"{self._where(what)}{shown(name)}: the name leads out of the archive")
                if part == "..":
                    parts.pop()
                elif part not in ("", "."):
                    parts.append(part)
            name = "/".join(parts)
        if len(raw) > 255 and (len(raw) > self._limits.name_bytes or max(map(len, raw.split(b"/"))) > 255):
            raise ArchiveError(f"{self._where(what)}{shown(name)}: the name is too long")
        if "\0" in name:
            raise ArchiveError(f"{self._where(what)}{shown(name)}: the name has a NUL")
        if name.count("/") > self._limits.depth:
            raise ArchiveError(f"{self._where(what)}{shown(name)}: more than {self._limits.depth} directories deep")
        return name

    def _where(self, what: str) -> str:
        return f"{shown(self._name)}: {what}" if what else ""
