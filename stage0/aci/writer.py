"""Writes image files: a tar with the rootfs first and the manifest as its last member.

The same tree gives the same bytes. Members come in the order of their names, with numbers for
owners and whole seconds for times; with SOURCE_DATE_EPOCH no time is later than that. The
manifest has the time SOURCE_DATE_EPOCH, else that of the newest member.
"""
from __future__ import annotations

import contextlib
import errno
import os
import stat

from stage0.aci import headers
from stage0.aci.headers import Header
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import BinaryIO, Protocol, Self

    class Sink(Protocol):
        """What an archive is written to."""

        def write(self, data: bytes, /) -> object: ...

    class Closable(Sink, Protocol):
        """A sink that has to be told the end."""

        def close(self) -> None: ...

_CHUNK = 1 << 18
_QUEUED = 8                  # chunks between the reader of files and the compressor
_HOLE = 4096                 # zeros in pieces of this size, at multiples of it, are holes
_KEPT_XATTRS = (b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_KINDS = {
    stat.S_IFREG: headers.REGULAR, stat.S_IFDIR: headers.DIRECTORY, stat.S_IFLNK: headers.SYMLINK,
    stat.S_IFCHR: headers.CHARACTER, stat.S_IFBLK: headers.BLOCK_DEVICE, stat.S_IFIFO: headers.FIFO,
}


class WriteError(RktError):
    """An archive cannot be written."""


def source_date_epoch() -> int | None:
    """The seconds in SOURCE_DATE_EPOCH, None if it is not set or empty; WriteError if that is no number."""
    text = os.environ.get("SOURCE_DATE_EPOCH", "")
    if text and not (text.isascii() and text.isdecimal()):
        raise WriteError(f"SOURCE_DATE_EPOCH: {text} is not a number of seconds since 1970")
    return int(text) if text else None


@contextlib.contextmanager
def creating(path: str, *, overwrite: bool = False, prefix: str = "",
             like: os.stat_result | None = None) -> Iterator[BinaryIO]:
    """A new file under a name: there, whole, mode 0644, when the block succeeds; else nothing changed.

    It grows under a temporary name in the same directory (`prefix`, by default a dot and the name, and some
    letters). `like` gives it the owner and mode of another file. Raises WriteError: the name is taken.
    """
    import tempfile

    target = os.path.realpath(path) if overwrite else path
    if not overwrite and os.path.lexists(target):
        raise WriteError(f"{path} exists (--overwrite replaces it)")
    directory, name = os.path.split(target)
    fd, temporary = tempfile.mkstemp(prefix=prefix or f".{name}.", dir=directory or ".")
    try:
        with open(fd, "wb") as file:
            yield file
            file.flush()
            os.fsync(fd)
            os.fchmod(fd, 0o644)
            if like is not None:
                if os.geteuid() == 0:
                    os.fchown(fd, like.st_uid, like.st_gid)
                os.fchmod(fd, stat.S_IMODE(like.st_mode))
        if not overwrite and os.path.lexists(target):
            raise WriteError(f"{path} exists: it was made meanwhile (--overwrite replaces it)")
        os.rename(temporary, target)
    except BaseException as err:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        if isinstance(err, OSError) and err.filename is None:
            raise WriteError(f"writing {path}") from err
        raise


class ACIWriter:
    """An image under way to a binary file object. Its block ends the archive, or drops it after a failure.

    Neither closes the file object. Compression runs in a thread of its own while files are read.
    `owner_root` gives all members to 0:0; `epoch` is the latest time that a member may have.
    """

    def __init__(self, fileobj: Sink, compression: str = "gzip", *,
                 owner_root: bool = False, epoch: int | None = None) -> None:
        self._out = _Behind(fileobj, compression)
        self._owner_root = owner_root
        self._epoch = epoch
        self._newest = 0
        self._names: dict[tuple[int, int], bytes] = {}  # of files with several names: device, inode → the first

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _value: object, _trace: TracebackType | None) -> None:
        if kind is None:
            self._out.write(bytes(2 * headers.BLOCK))
        self._out.close(drop=kind is not None)

    def add_tree(self, directory_fd: int, name: str = "rootfs") -> None:
        """Add a directory and all in it, under a name. Sockets are left out.

        Raises WriteError when a file shrinks or is exchanged while it is read, or the archive cannot be
        written; OSError with the name of the member when that cannot be read.
        """
        top = os.fsencode(name)
        self._add(Header(top + b"/", headers.DIRECTORY), os.fstat(directory_fd), directory_fd)
        for parent_fd, entry, path in _walk(directory_fd, top):
            try:
                self._entry(parent_fd, entry, path)
            except OSError as err:
                err.filename = os.fsdecode(path)
                raise

    def add_manifest(self, data: bytes) -> None:
        """Add the manifest: the last member of an image."""
        mtime = self._newest if self._epoch is None else self._epoch
        owner = b"root" if self._owner_root else b""
        self.add_member(Header(b"manifest", size_bytes=len(data), mtime=mtime, owner=owner, group=owner), data)

    def add_member(self, header: Header, data: bytes = b"") -> None:
        """Add a member as it is."""
        self._out.write(header.pack() + headers.padded(data))

    def write(self, data: bytes | memoryview) -> None:
        """Add blocks of another archive as they are."""
        self._out.write(data)

    def _entry(self, parent_fd: int, entry: os.DirEntry[str], path: bytes) -> None:
        info = entry.stat(follow_symlinks=False)
        kind = stat.S_IFMT(info.st_mode)
        if kind not in _KINDS:
            return  # a socket: worth nothing without the process behind it
        header = Header(path, _KINDS[kind])
        inode = (info.st_dev, info.st_ino)
        if kind == stat.S_IFDIR:
            header = header.replace(name=path + b"/")
        elif info.st_nlink > 1:
            if (first := self._names.setdefault(inode, path)) != path:
                self._add(header.replace(kind=headers.HARD_LINK, link=first), info)
                return
        if kind == stat.S_IFREG:
            self._file(parent_fd, entry.name, header, inode)
            return
        if kind == stat.S_IFLNK:
            header = header.replace(link=os.fsencode(os.readlink(entry.name, dir_fd=parent_fd)))
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            header = header.replace(device=(os.major(info.st_rdev), os.minor(info.st_rdev)))
        self._add(header, info, f"/proc/self/fd/{parent_fd}/{entry.name}")

    def _file(self, parent_fd: int, name: str, header: Header, inode: tuple[int, int]) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        fd = os.open(name, flags, dir_fd=parent_fd)
        try:
            info = os.fstat(fd)
            if (info.st_dev, info.st_ino) != inode:
                raise _changed(header.name)
            parts = _parts(fd, info.st_size, header.name)
            stored = sum(length for _, length in parts)
            if stored < info.st_size:
                if not parts or sum(parts[-1]) < info.st_size:
                    parts.append((info.st_size, 0))  # as GNU tar does: the list reaches the end of the file
                header = header.replace(extents=tuple(parts), real_size_bytes=info.st_size)
            self._add(header.replace(size_bytes=stored), info, fd)
            for offset, length in parts:
                for data in _read(fd, offset, length, header.name):
                    self._out.write(data)
            self._out.write(headers.padding(stored))
        finally:
            os.close(fd)

    def _add(self, header: Header, info: os.stat_result, xattrs_of: int | str | None = None) -> None:
        """Write the header, completed with owner, mode, time and extended attributes."""
        mtime = int(info.st_mtime_ns // 10**9)
        if self._epoch is not None:
            mtime = min(mtime, self._epoch)
        self._newest = max(self._newest, mtime)
        header = header.replace(mode=stat.S_IMODE(info.st_mode), mtime=mtime)
        if self._owner_root:
            header = header.replace(owner=b"root", group=b"root")
        else:
            header = header.replace(uid=info.st_uid, gid=info.st_gid)
        if xattrs_of is not None:
            header = header.replace(xattrs=_xattrs(xattrs_of))
        self._out.write(header.pack())


def _walk(top_fd: int, top: bytes) -> Iterator[tuple[int, os.DirEntry[str], bytes]]:
    """All that is below a directory, by name: the descriptor of its parent, the entry, its path.

    A directory comes before what is in it. The descriptor is good until the next one is asked for.
    """
    stack = [(top_fd, _sorted_entries(top_fd), top)]
    try:
        while stack:
            parent_fd, entries, above = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                if parent_fd != top_fd:
                    os.close(parent_fd)
                continue
            path = above + b"/" + os.fsencode(entry.name)
            yield parent_fd, entry, path
            if entry.is_dir(follow_symlinks=False):
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                try:
                    fd = os.open(entry.name, flags, dir_fd=parent_fd)
                except OSError as err:
                    err.filename = os.fsdecode(path)
                    raise
                stack.append((fd, iter(()), path))
                stack[-1] = (fd, _sorted_entries(fd), path)
    finally:
        for fd, _, _ in stack:
            if fd != top_fd:
                os.close(fd)


def _sorted_entries(fd: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(fd) as entries:
        return iter(sorted(entries, key=lambda entry: os.fsencode(entry.name)))


def _xattrs(where: int | str) -> tuple[tuple[bytes, bytes], ...]:
    """The extended attributes that an image keeps: user.*, file capabilities, POSIX ACLs."""
    follow = isinstance(where, int)
    try:
        names = [os.fsencode(name) for name in os.listxattr(where, follow_symlinks=follow)]
    except OSError as err:
        if err.errno in (errno.ENOTSUP, errno.EPERM):
            return ()
        raise
    kept = sorted(name for name in names if name.startswith(b"user.") or name in _KEPT_XATTRS)
    return tuple((name, os.getxattr(where, name, follow_symlinks=follow)) for name in kept)


def _parts(fd: int, size_bytes: int, name: bytes) -> list[tuple[int, int]]:
    """The parts (offset, length) of a file that are not holes.

    In a file with holes, zeros that are stored count as holes too: else the result would depend on
    the block size of the file system.
    """
    if not size_bytes or os.lseek(fd, 0, os.SEEK_HOLE) >= size_bytes:
        return [(0, size_bytes)]
    found: list[tuple[int, int]] = []
    zeros = bytes(_HOLE)
    end = 0
    while (start := _next_data(fd, end, size_bytes)) < size_bytes:
        offset = max(end, start - start % _HOLE)
        end = min(-(-os.lseek(fd, start, os.SEEK_HOLE) // _HOLE) * _HOLE, size_bytes)
        for data in _read(fd, offset, end - offset, name):
            for at in range(0, len(data), _HOLE):
                piece = data[at:at + _HOLE]
                if piece == zeros[:len(piece)]:
                    continue
                if found and sum(found[-1]) == offset + at:
                    found[-1] = (found[-1][0], found[-1][1] + len(piece))
                else:
                    found.append((offset + at, len(piece)))
            offset += len(data)
    return found


def _next_data(fd: int, offset: int, size_bytes: int) -> int:
    """Where the next data are at or behind a place; the end of the file if there is only a hole."""
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as err:
        if err.errno != errno.ENXIO:
            raise
        return size_bytes


def _read(fd: int, offset: int, length: int, name: bytes) -> Iterator[bytes]:
    """A part of a file, in chunks that are whole multiples of a hole's size but for the last."""
    while length:
        data = os.pread(fd, min(_CHUNK, length), offset)
        if not data or (len(data) < length and len(data) % _HOLE):
            raise _changed(name)
        yield data
        offset, length = offset + len(data), length - len(data)


def _changed(name: bytes) -> WriteError:
    return WriteError(f"{os.fsdecode(name)} changed while it was read")


class _Behind:
    """A compressor in a thread of its own: what is written is gathered and handed over in chunks."""

    def __init__(self, fileobj: Sink, compression: str) -> None:
        from queue import Queue
        from threading import Thread

        from stage0.aci.compression import compressor

        self._sink: Closable = compressor(compression, fileobj)
        self._queue: Queue[bytes | None] = Queue(_QUEUED)
        self._gathered = bytearray()
        self._error: BaseException | None = None
        self._dropped = False
        self._thread = Thread(target=self._work, name="compressor", daemon=True)
        self._thread.start()

    def write(self, data: bytes | memoryview) -> None:
        """Take data; an earlier failure of the thread is raised here."""
        self._gathered += data
        if len(self._gathered) >= _CHUNK:
            self._hand_over()

    def close(self, *, drop: bool) -> None:
        """Wait until all is compressed and written, or until the thread has let go of the file object."""
        self._dropped = drop
        try:
            if not drop:
                self._hand_over()
        finally:
            self._queue.put(None)
            self._thread.join()
        if not drop:
            self._check()

    def _check(self) -> None:
        if self._error is not None:
            raise WriteError("writing the archive") from self._error

    def _hand_over(self) -> None:
        self._check()
        self._queue.put(bytes(self._gathered))
        self._gathered.clear()

    def _work(self) -> None:
        while (data := self._queue.get()) is not None:
            if self._error is None and not self._dropped:
                self._attempt(self._sink.write, data)
        if self._error is None and not self._dropped:
            self._attempt(self._sink.close)

    def _attempt(self, call: Callable[..., object], *arguments: bytes) -> None:
        try:
            call(*arguments)
        except Exception as err:  # raised again where the archive is written
            self._error = err
