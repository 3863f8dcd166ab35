"""Unpacks archives into a directory, through descriptors of directories alone.

    with Unpacker(directory_fd) as unpacker:
        unpacker.unpack(archive)                          # or several archives, one after the other
        unpacker.unpack(other, select=lambda entry: …)    # what is not selected is passed over

An archive can make things inside the directory and nothing else. Every directory on the way to a member is opened
by itself without following links (O_NOFOLLOW), so no member is made behind a symlink, whatever was made before;
everything is made anew (O_EXCL and the like), so nothing is written into what is there already. The targets of
symlinks are taken as they are: they count in the pod, where its own root bounds them.

Owners are set as numbers. As another user than root all belongs to that user, and setuid, setgid and file
capabilities are left away. Extended attributes kept are user.*, security.capability and POSIX ACLs: those of other
kinds (trusted.overlay.*, security.selinux …) tell the machine that has the tree something, not the app. Directories
get their owner, mode, times and attributes when the block ends; a failure leaves what was made so far.
"""
from __future__ import annotations

import os
import stat
from errno import EEXIST, ELOOP, ENODATA, ENOTDIR, ENOTSUP

from stage0.aci.archive import KINDS, Archive, Entry
from stage0.aci.headers import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, HARD_LINK, REGULAR, SYMLINK
from stage0.aci.limits import ArchiveError, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Self

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PRIVATE = 0o700                  # of directories until they are complete
_IMPLIED = 0o755                  # of directories that no member describes
_NODES = {FIFO: stat.S_IFIFO, CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK}
_HELD_BYTES = 64 << 20            # of extended attributes that directories get at the end
_SET_ID = stat.S_ISUID | stat.S_ISGID
_CAPABILITY = "security.capability"
_ACL_ACCESS, _ACL_DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_REASONS = {
    EEXIST: "something else is there already", ENOTDIR: "what is above it is no directory",
    ELOOP: "what is above it is no directory",
}


class Unpacker:
    """Makes the members of archives in an empty directory, which has to be ours alone until the block ends.

    `below` is the part of the archive that lands in the directory, for example "rootfs"; the rest is passed over.
    Without `devices` an archive with device files is refused.
    """

    def __init__(self, directory_fd: int, *, below: str = "", devices: bool = True) -> None:
        self._prefix = below + "/" if below else ""
        self._devices = devices
        self._as_root = os.geteuid() == 0
        self._owner = (os.geteuid(), os.getegid())
        self._mode_mask = 0o7777 if self._as_root else 0o7777 & ~_SET_ID
        umask = os.umask(0)
        os.umask(umask)
        self._late_modes = umask | 0o7000         # the bits of a mode that open(2) does not set
        self._parents = _Walk(directory_fd)       # of the members
        self._targets = _Walk(directory_fd)       # of what hard links point to
        self._made: dict[str, Entry | None] = {"": None}   # directories, with the member that describes them
        self._held_bytes = 0                      # of extended attributes of these
        self._left_out: set[str] = set()          # files of the current archive that were not selected
        self._same: dict[str, str] = {}           # hard links that are not there as such → their file
        self._owed: dict[str, list[str]] = {}     # file that was left out → hard links to it that were selected
        self._makers: dict[bytes, Callable[[str, Entry, Archive], None]] = {
            REGULAR: self._file, DIRECTORY: self._directory, SYMLINK: self._symlink, HARD_LINK: self._link,
            FIFO: self._node, CHARACTER: self._node, BLOCK_DEVICE: self._node,
        }
        # What the directory itself would pass on to what is made in it.
        self._top_mode = stat.S_IMODE(os.fstat(directory_fd).st_mode)
        if self._top_mode & _SET_ID:
            os.fchmod(directory_fd, self._top_mode & ~_SET_ID)
        _remove_xattr(directory_fd, _ACL_DEFAULT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._parents.close()
            self._targets.close()

    def unpack(self, archive: Archive, select: Callable[[Entry], bool] | None = None,
               members: Iterable[Entry] | None = None) -> bool:
        """Make the members, all or those selected. False if `settle` has to be called with the archive once more.

        That is when a hard link was selected, but not the file that it points to. `members` are those of the archive
        if somebody else looks at them first. Raises ArchiveError with the name of the member.
        """
        self._left_out, self._same, self._owed = set(), {}, {}
        makers, prefix = self._makers, self._prefix
        for entry in archive if members is None else members:
            name = self._inside(entry.name) if prefix else entry.name
            if name is None or (select is not None and not select(entry)):
                self._pass_over(entry)
                continue
            try:
                makers[entry.kind](name, entry, archive)
            except OSError as err:
                raise _refusal(entry, err) from err
        return not self._owed

    def settle(self, archive: Archive) -> None:
        """Make the hard links that `unpack` of the same archive could not make."""
        for entry in archive:
            names = self._owed.pop(entry.name, [])
            try:
                for name in names[:1]:
                    self._makers[entry.kind](name, entry, archive)
                for name in names[1:]:
                    self._link_to(names[0], name)
            except OSError as err:
                raise _refusal(entry, err) from err

    def _inside(self, name: str) -> str | None:
        """The name below the directory; None if it is not for there."""
        if name.startswith(self._prefix):
            return name[len(self._prefix):]
        return "" if name == self._prefix[:-1] else None

    def _pass_over(self, entry: Entry) -> None:
        if entry.kind == HARD_LINK:
            self._same[entry.name] = self._same.get(entry.link, entry.link)
        elif entry.kind != DIRECTORY:
            self._left_out.add(entry.name)

    def _parent(self, name: str) -> tuple[int, str]:
        """The descriptor of the directory that a member goes to, made if need be, and the last part of the name."""
        directory, _, base = name.rpartition("/")
        parents = self._parents
        if directory != parents.path:
            if directory not in self._made:
                self._imply(directory)
            parents.enter(directory)
        return parents.fd, base

    def _imply(self, path: str) -> None:
        above, _, base = path.rpartition("/")
        if above not in self._made:
            self._imply(above)
        try:
            os.mkdir(base, _PRIVATE, dir_fd=self._parents.enter(above))
        except FileExistsError:
            raise NotADirectoryError(ENOTDIR, os.strerror(ENOTDIR), path) from None
        self._made[path] = None

    def _directory(self, name: str, entry: Entry, _archive: Archive) -> None:
        if name not in self._made:
            parent_fd, base = self._parent(name)
            os.mkdir(base, _PRIVATE, dir_fd=parent_fd)
        elif self._made[name] is not None:
            raise FileExistsError(EEXIST, os.strerror(EEXIST), name)
        self._made[name] = entry
        self._held_bytes += sum(map(len, entry.xattrs.values()))
        if self._held_bytes > _HELD_BYTES:
            raise ArchiveError(f"{shown(entry.name)}: the extended attributes of the directories take more than "
                               f"{_HELD_BYTES} bytes")

    def _file(self, name: str, entry: Entry, archive: Archive) -> None:
        parent_fd, base = self._parent(name)
        fd = os.open(base, _NEW_FILE, entry.mode & 0o777, dir_fd=parent_fd)
        try:
            if entry.extents is None:
                left = entry.stored_bytes
                while left:
                    left -= _write(fd, archive.piece())
            else:
                _write_sparse(fd, entry, archive)
            self._describe(fd, entry, entry.mode & self._late_modes)
        finally:
            os.close(fd)

    def _describe(self, fd: int, entry: Entry, with_mode: int = True) -> None:
        """Give an open file or directory its owner, mode, attributes and times."""
        if self._as_root and (entry.uid, entry.gid) != self._owner:
            os.fchown(fd, entry.uid, entry.gid)
        if with_mode:
            os.fchmod(fd, entry.mode & self._mode_mask)
        for key, value in entry.xattrs.items():
            if is_kept(key) and (self._as_root or key != _CAPABILITY):
                os.setxattr(fd, key, value)
        os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))

    def _symlink(self, name: str, entry: Entry, _archive: Archive) -> None:
        parent_fd, base = self._parent(name)
        os.symlink(entry.link, base, dir_fd=parent_fd)
        self._describe_closed(parent_fd, base, entry)

    def _node(self, name: str, entry: Entry, _archive: Archive) -> None:
        if entry.kind != FIFO and not self._devices:
            raise ArchiveError(f"{shown(entry.name)}: a {KINDS[entry.kind]}, which is not allowed here")
        parent_fd, base = self._parent(name)
        os.mknod(base, _NODES[entry.kind] | 0o600, os.makedev(*entry.device), dir_fd=parent_fd)
        self._describe_closed(parent_fd, base, entry)
        os.chmod(base, entry.mode & self._mode_mask, dir_fd=parent_fd)
        if _ACL_ACCESS in entry.xattrs:
            os.setxattr(f"/proc/self/fd/{parent_fd}/{base}", _ACL_ACCESS, entry.xattrs[_ACL_ACCESS],
                        follow_symlinks=False)

    def _describe_closed(self, parent_fd: int, base: str, entry: Entry) -> None:
        """Give owner and times to what cannot or should not be opened."""
        if self._as_root and (entry.uid, entry.gid) != self._owner:
            os.chown(base, entry.uid, entry.gid, dir_fd=parent_fd, follow_symlinks=False)
        os.utime(base, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent_fd, follow_symlinks=False)

    def _link(self, name: str, entry: Entry, _archive: Archive) -> None:
        target = self._same.get(entry.link, entry.link)
        if target in self._left_out:
            self._same[entry.name] = target
            self._owed.setdefault(target, []).append(name)
        else:
            self._link_to(target[len(self._prefix):], name)

    def _link_to(self, target: str, name: str) -> None:
        parent_fd, base = self._parent(name)
        directory, _, target_base = target.rpartition("/")
        os.link(target_base, base, src_dir_fd=self._targets.enter(directory), dst_dir_fd=parent_fd,
                follow_symlinks=False)

    def _finish(self) -> None:
        """Complete the directories, what is in one before itself: its owner may have no rights in it."""
        for path in sorted(self._made, reverse=True):
            entry, fd = self._made[path], self._parents.enter(path)
            if entry is not None:
                self._describe(fd, entry)
            elif path:
                os.fchmod(fd, _IMPLIED)
                os.utime(fd, ns=(0, 0))
            elif self._top_mode & _SET_ID:
                os.fchmod(fd, self._top_mode)


def is_kept(key: str) -> bool:
    """Whether an image has extended attributes of this name: user.*, file capabilities and POSIX ACLs."""
    if key.startswith("user."):
        return not key.startswith("user.overlay.")   # what trusted.overlay. is, for a mount with userxattr
    return key in (_CAPABILITY, _ACL_ACCESS, _ACL_DEFAULT)


class _Walk:
    """Goes from directory to directory, each opened by itself below the one before, none through a link."""

    def __init__(self, top_fd: int) -> None:
        self._fds = [top_fd]
        self._parts: list[str] = []
        self.path = ""
        self.fd = top_fd

    def enter(self, path: str) -> int:
        """The descriptor of a directory by its path from the top; good until the next call."""
        if path == self.path:
            return self.fd
        parts = path.split("/") if path else []
        same = 0
        for old, new in zip(self._parts, parts):
            if old != new:
                break
            same += 1
        self._leave(same)
        for part in parts[same:]:
            self._fds.append(os.open(part, _DIRECTORY, dir_fd=self._fds[-1]))
            self._parts.append(part)
        self.path, self.fd = path, self._fds[-1]
        return self.fd

    def _leave(self, depth: int) -> None:
        while len(self._parts) > depth:
            self._parts.pop()
            os.close(self._fds.pop())
        self.path, self.fd = "/".join(self._parts), self._fds[-1]

    def close(self) -> None:
        """Close all but the top."""
        self._leave(0)


def _write(fd: int, data: memoryview) -> int:
    """Write all of the data; returns how much that was."""
    size = len(data)
    written = os.write(fd, data)
    while written < size:
        written += os.write(fd, data[written:])
    return size


def _write_sparse(fd: int, entry: Entry, archive: Archive) -> None:
    piece = memoryview(b"")
    for offset, length in entry.extents or ():
        if length:
            os.lseek(fd, offset, os.SEEK_SET)
        while length:
            piece = piece or archive.piece()
            written = _write(fd, piece[:length])
            piece, length = piece[written:], length - written
    os.ftruncate(fd, entry.size_bytes)


def _remove_xattr(fd: int, key: str) -> None:
    try:
        os.removexattr(fd, key)
    except OSError as err:
        if err.errno not in (ENODATA, ENOTSUP):
            raise


def _refusal(entry: Entry, err: OSError) -> ArchiveError:
    return ArchiveError(f"{shown(entry.name)}: {_REASONS.get(err.errno or 0, 'cannot be unpacked')}")
