"""Copies a rendered tree, for a pod that cannot stack it by overlay."""
from __future__ import annotations

import errno
import fcntl
import os
import stat

FICLONE = 0x40049409
_CHUNK = 1 << 30
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CANNOT_CLONE = (errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS)


def copy_tree(source: str, target: str) -> None:
    """Make `target` a copy of a directory: owners, modes, times, xattrs, hard links, holes, devices.

    Blocks are shared where the file system can do that. The target must not exist; a
    failure leaves a part of it. Raises OSError.
    """
    os.mkdir(target, 0o700)
    with _Directory(source) as source_fd, _Directory(target) as target_fd:
        _Copy(target_fd).directory(source_fd, target_fd)


class _Directory:
    """A directory, open for the length of a block."""

    def __init__(self, path: str, parent_fd: int | None = None) -> None:
        self.fd = os.open(path, _DIRECTORY, dir_fd=parent_fd)

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_error: object) -> None:
        os.close(self.fd)


class _Copy:
    """One copy under way."""

    def __init__(self, top_fd: int) -> None:
        self.top_fd = top_fd
        self.links: dict[int, str] = {}  # inode of a file with several names: its first name in the copy
        self.can_clone = True

    def directory(self, source_fd: int, target_fd: int, below: str = "") -> None:
        """Copy what is in a directory, then its own metadata: the times come last."""
        with os.scandir(source_fd) as entries:
            found = list(entries)
        for entry in found:
            name = entry.name
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                os.mkdir(name, 0o700, dir_fd=target_fd)
                with _Directory(name, source_fd) as inner_source, _Directory(name, target_fd) as inner_target:
                    self.directory(inner_source, inner_target, f"{below}{name}/")
            elif info.st_nlink > 1 and info.st_ino in self.links:
                os.link(self.links[info.st_ino], name, src_dir_fd=self.top_fd, dst_dir_fd=target_fd,
                        follow_symlinks=False)
            else:
                if info.st_nlink > 1:
                    self.links[info.st_ino] = below + name
                self.other(name, info, source_fd, target_fd)
        _copy_xattrs(f"/proc/self/fd/{source_fd}", f"/proc/self/fd/{target_fd}", follow=True)
        info = os.fstat(source_fd)
        os.chown(target_fd, info.st_uid, info.st_gid)
        os.chmod(target_fd, stat.S_IMODE(info.st_mode))
        os.utime(target_fd, ns=(info.st_atime_ns, info.st_mtime_ns))

    def other(self, name: str, info: os.stat_result, source_fd: int, target_fd: int) -> None:
        """Copy a file, a link or a special file."""
        if stat.S_ISREG(info.st_mode):
            self.file(name, info.st_size, source_fd, target_fd)
        elif stat.S_ISLNK(info.st_mode):
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
        else:
            os.mknod(name, stat.S_IFMT(info.st_mode) | 0o600, info.st_rdev, dir_fd=target_fd)
        # The owner first: a change of it takes set-uid bits and capabilities away.
        os.chown(name, info.st_uid, info.st_gid, dir_fd=target_fd, follow_symlinks=False)
        if not stat.S_ISLNK(info.st_mode):
            os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target_fd)
        _copy_xattrs(f"/proc/self/fd/{source_fd}/{name}", f"/proc/self/fd/{target_fd}/{name}", follow=False)
        os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target_fd, follow_symlinks=False)

    def file(self, name: str, size: int, source_fd: int, target_fd: int) -> None:
        """Copy the content of a file, holes as holes."""
        source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source_fd)
        try:
            target = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target_fd)
            try:
                if not (size and self.clone(source, target)):
                    _copy_data(source, target, size)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def clone(self, source: int, target: int) -> bool:
        """Let the copy share the blocks of the source; False if that cannot be."""
        if self.can_clone:
            try:
                fcntl.ioctl(target, FICLONE, source)
            except OSError as err:
                if err.errno not in _CANNOT_CLONE:
                    raise
                self.can_clone = False
        return self.can_clone


def _copy_data(source: int, target: int, size: int) -> None:
    os.ftruncate(target, size)
    offset = 0
    while offset < size:
        try:
            offset = os.lseek(source, offset, os.SEEK_DATA)
        except OSError as err:
            if err.errno == errno.ENXIO:
                return  # nothing but a hole from here on
            raise
        end = os.lseek(source, offset, os.SEEK_HOLE)
        os.lseek(target, offset, os.SEEK_SET)
        while offset < end:
            sent = os.sendfile(target, source, offset, min(end - offset, _CHUNK))
            if not sent:
                return  # the file shrank under us: a hole stays
            offset += sent


def _copy_xattrs(source: str, target: str, *, follow: bool) -> None:
    for name in os.listxattr(source, follow_symlinks=follow):
        if name != "security.selinux":  # the label of a file in the store is not that of one in a pod
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=follow), follow_symlinks=follow)
