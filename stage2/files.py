"""Files that are written whole or not at all."""
from __future__ import annotations

import os


def replace(path: str | os.PathLike[str], data: bytes | str, mode: int = 0o644, *, sync: bool = False) -> None:
    """Give a file new content: another process sees the old file or the new one.

    The directory must exist. With `sync` the content and the name survive a power
    loss once this returns; without it, a power loss leaves the old or the new file.
    A failure leaves the old file and nothing beside it.
    """
    target = os.fspath(path)
    directory, name = os.path.split(target)
    temporary = os.path.join(directory, f".{name}.{os.getpid()}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        try:
            write_all(fd, data.encode() if isinstance(data, str) else data)
            os.fchmod(fd, mode)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise
    if sync:
        sync_directory(directory or ".")


def write_all(fd: int, data: bytes) -> None:
    """Write all of the data, however many calls that takes."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


def sync_directory(path: str | os.PathLike[str]) -> None:
    """Make the names in a directory survive a power loss."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read(path: str | os.PathLike[str], limit_bytes: int = 1 << 24) -> bytes:
    """The content of a file, at most `limit_bytes` of it; OSError EFBIG beyond."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_fd(fd, path, limit_bytes)
    finally:
        os.close(fd)


def read_fd(fd: int, path: str | os.PathLike[str], limit_bytes: int = 1 << 24) -> bytes:
    """The same of a file that is open; the path is for the error."""
    parts, total = [], 0
    while part := os.read(fd, 1 << 16):
        parts.append(part)
        total += len(part)
        if total > limit_bytes:
            raise OSError(27, os.strerror(27), os.fspath(path))
    return b"".join(parts)


def append(path: str | os.PathLike[str], data: str) -> None:
    """Write to a file that is there already, in one write: for files of the kernel."""
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.write(fd, data.encode())
    finally:
        os.close(fd)
