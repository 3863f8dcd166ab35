"""The digest of a tree: all that its files hold and what is known of them.

It covers the directory and for each name below it: kind, mode, owner, time, device number, content or target,
those extended attributes that images have, and which names are one file. It does not depend on inode numbers, on the
order in which the file system lists names, or on whether zeros are stored or holes.
"""
from __future__ import annotations

import os
import stat

from stage0.aci.pipeline import Channel, Crew
from stage0.aci.unpack import is_kept
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WINDOW_BYTES = 1 << 20       # content counts in windows of this size; those of zeros alone are left out
_ZEROS = bytes(_WINDOW_BYTES)
_GATHERED_BYTES = 1 << 19     # what goes to the hashing thread at once
_AHEAD = 4
_END = b"\xff" * 8            # in place of the offset of a window


class Summary(Value):
    """What a tree comes to."""

    digest: str               # sha256- and 64 hex digits
    size_bytes: int           # that it takes on the disk


def summarize(path: str) -> Summary:
    """Digest and size of the tree in a directory; reads all of it. Hashing overlaps reading."""
    import hashlib

    digest = hashlib.sha256()
    with Crew() as crew:
        parts: Channel[list[bytes]] = crew.channel(_AHEAD)

        def hash_parts() -> None:
            for gathered in parts:
                digest.update(b"".join(gathered))

        crew.start(hash_parts)
        tree = _Tree(parts)
        fd = os.open(path, _DIRECTORY)
        try:
            tree.directory(fd, b"")
        finally:
            os.close(fd)
        tree.end()
        crew.wait()
    return Summary(f"sha256-{digest.hexdigest()}", tree.size_bytes)


class _Tree:
    """Puts a tree into one unambiguous row of bytes."""

    def __init__(self, parts: Channel[list[bytes]]) -> None:
        self.size_bytes = 0
        self._out = parts
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._names: dict[tuple[int, int], bytes] = {}   # of files with several names: device, inode → the first

    def end(self) -> None:
        """All is said."""
        self._out.put(self._gathered)
        self._out.end()

    def directory(self, fd: int, path: bytes) -> None:
        """A directory and all that is in it."""
        self._header(path, os.fstat(fd), fd)
        with os.scandir(fd) as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries)
        for name in names:
            self._entry(fd, name, path + b"/" + name)

    def _entry(self, parent_fd: int, name: bytes, path: bytes) -> None:
        info = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        kind = stat.S_IFMT(info.st_mode)
        if info.st_nlink > 1 and kind != stat.S_IFDIR:
            first = self._names.setdefault((info.st_dev, info.st_ino), path)
            if first is not path:
                self._put(_text(b"same", path, first))
                return
        if kind == stat.S_IFLNK:
            self._header(path, info, None, os.readlink(name, dir_fd=parent_fd))
        elif kind == stat.S_IFDIR or kind == stat.S_IFREG:
            fd = os.open(name, _DIRECTORY if kind == stat.S_IFDIR else _FILE, dir_fd=parent_fd)
            try:
                if kind == stat.S_IFDIR:
                    self.directory(fd, path)
                else:
                    self._header(path, info, fd)
                    self._content(fd, info.st_size)
            finally:
                os.close(fd)
        else:
            self._header(path, info, b"/proc/self/fd/%d/%s" % (parent_fd, name))

    def _header(self, path: bytes, info: os.stat_result, where: int | bytes | None, link: bytes = b"") -> None:
        self.size_bytes += info.st_blocks * 512
        attributes = b"" if where is None else b"".join(_xattrs(where))
        size = info.st_size if stat.S_ISREG(info.st_mode) else 0
        self._put(_text(path, link, attributes, b"%o %d %d %d %d %d" % (
            info.st_mode, info.st_uid, info.st_gid, size, info.st_mtime_ns, info.st_rdev)))

    def _content(self, fd: int, size: int) -> None:
        offset = 0
        while offset < size:
            data = os.pread(fd, min(_WINDOW_BYTES, size - offset), offset)
            if data[:1] == b"\0" and data == _ZEROS[:len(data)]:
                offset = _next_data(fd, offset + len(data), size)
                continue
            self._put(offset.to_bytes(8, "big"), data)
            offset += _WINDOW_BYTES
        self._put(_END)

    def _put(self, *parts: bytes) -> None:
        self._gathered += parts
        self._gathered_bytes += len(parts[-1])   # the others are small
        if self._gathered_bytes >= _GATHERED_BYTES:
            self._out.put(self._gathered)
            self._gathered, self._gathered_bytes = [], 0


def _text(*parts: bytes) -> bytes:
    """The parts, each with its length in front."""
    return b"".join(b"%d:%s" % (len(part), part) for part in parts) + b"\n"


def _xattrs(where: int | bytes) -> Iterator[bytes]:
    follow = isinstance(where, int)
    for key in sorted(filter(is_kept, os.listxattr(where, follow_symlinks=follow))):
        yield _text(os.fsencode(key), os.getxattr(where, key, follow_symlinks=follow))


def _next_data(fd: int, offset: int, size: int) -> int:
    """The first window at or behind the offset, which is that of a window, that may hold something else than zeros."""
    try:
        found = os.lseek(fd, offset, os.SEEK_DATA) if offset < size else size
    except OSError:  # ENXIO: a hole up to the end
        return size
    return found - found % _WINDOW_BYTES if found < size else size
