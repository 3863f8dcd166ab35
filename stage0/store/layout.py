"""Where everything of the store is in the data directory, who may read it, and its locks (docs/on-disk-format.md)."""
from __future__ import annotations

import errno
import fcntl
import os
import stat

from stage0 import faultpoints
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

GROUP = "rkt"

# Members of the group fetch and list without root. Trees hold files of any owner and mode: for root alone.
_MODES = {
    "": 0o2750, "locks": 0o2750, "cas": 0o2770, "cas/blob": 0o2770, "cas/imageManifest": 0o2770, "cas/names": 0o2770,
    "cas/sources": 0o2770, "cas/db": 0o2770, "cas/tmp": 0o2770, "cas/imagelocks": 0o2770,
    "cas/tree": 0o2700, "cas/treestorelocks": 0o2700,
    "pods": 0o2750, "pods/embryo": 0o2750, "pods/prepare": 0o2750, "pods/prepared": 0o2750, "pods/run": 0o2750,
    "pods/exited-garbage": 0o2750, "pods/garbage": 0o2750, "pods/names": 0o2750,
}


class StoreError(RktError):
    """An image is not in the store, or the store cannot do what was asked of it."""


class NotInStore(StoreError):
    """No image in the store is what is wanted."""


class Lock:
    """A lock on a file (flock), held from its making to `close`; the kernel drops it with the process.

    Waits unless `wait` is false; `held` then tells whether it was had.
    """

    def __init__(self, path: str, *, shared: bool = False, wait: bool = True) -> None:
        kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        self.path = path
        while True:
            self.fd = _open_lock(path)
            try:
                fcntl.flock(self.fd, kind)
            except BlockingIOError:
                self.held = False
                return
            if _is_at(self.fd, path):
                self.held = True
                return
            os.close(self.fd)  # the last holder deleted the file while we waited for it

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def delete(self) -> None:
        """Delete the file of a lock that is held exclusively; who waits for it makes a new one."""
        os.unlink(self.path)

    def close(self) -> None:
        """Give the lock back."""
        os.close(self.fd)


class Staging:
    """A directory in cas/tmp for what is being made; it is ours as long as we hold the lock on it.

    Leaving the block deletes what was not moved away; after a crash `Layout.clean` does.
    """

    def __init__(self, layout: Layout) -> None:
        parent = layout.directory("cas/tmp")
        while True:
            self.path = f"{parent}/{os.urandom(12).hex()}"
            os.mkdir(self.path, 0o700)
            try:
                self.fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # a cleaner came between mkdir and lock: again, as below
            try:
                fcntl.flock(self.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            else:
                if _is_at(self.fd, self.path):
                    break
            os.close(self.fd)
        # What is unpacked here must not inherit the group of cas/tmp.
        os.fchown(self.fd, -1, os.getegid())
        os.fchmod(self.fd, 0o700)
        faultpoints.reach("store-staging-made")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        from stage0.removal import remove_tree
        try:
            remove_tree(self.path)
        finally:
            os.close(self.fd)


class Layout:
    """The names of the store's files and directories below a data directory."""

    def __init__(self, data_dir: str) -> None:
        self.data_dir = data_dir
        self.cas = f"{data_dir}/cas"

    def blob(self, image_id: str) -> str:
        """The image file as it was received."""
        return f"{self.cas}/blob/sha512/{image_id[7:9]}/{image_id}"

    def manifest(self, image_id: str) -> str:
        """The image manifest; an image is in the store if and only if this file is."""
        return f"{self.cas}/imageManifest/sha512/{image_id[7:9]}/{image_id}"

    def name(self, name: str) -> str:
        """The directory of the IDs of the images with a name; it may hold IDs that are gone."""
        entry = name.replace("/", ":")
        if len(entry) > 255:
            import hashlib
            entry = ":" + hashlib.sha512(name.encode()).hexdigest()
        return f"{self.cas}/names/{entry}"

    def image_lock(self, image_id: str) -> str:
        """Held by who adds or removes an image; its mtime is when the image was last used."""
        return f"{self.cas}/imagelocks/{image_id}"

    def tree(self, tree_id: str) -> str:
        """The directory of a rendered image."""
        return f"{self.cas}/tree/{tree_id}"

    def tree_lock(self, tree_id: str) -> str:
        """Held by who renders or removes a tree."""
        return f"{self.cas}/treestorelocks/{tree_id}"

    def directory(self, name: str) -> str:
        """A directory by its name below the data directory, made if it is not there.

        New ones belong to the group `rkt` where there is one, and get the modes of the table.
        """
        path = f"{self.data_dir}/{name}" if name else self.data_dir
        if os.path.isdir(path):
            return path
        parent = os.path.dirname(name)
        if name:
            self.directory(parent)
        elif not os.path.isdir(os.path.dirname(path)):
            os.makedirs(os.path.dirname(path), 0o755)
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            return path
        group = _group_id()
        if group is not None and os.geteuid() == 0:
            os.chown(path, 0, group)
        os.chmod(path, _MODES.get(name, 0o2770))
        return path

    def parent(self, path: str) -> str:
        """The directory of a file of the store, made if it is not there."""
        return self.directory(os.path.dirname(path)[len(self.data_dir) + 1:])

    def lock(self, path: str, *, shared: bool = False, wait: bool = True) -> Lock:
        """One of the locks, its directory made if need be."""
        self.parent(path)
        return Lock(path, shared=shared, wait=wait)

    def clean(self) -> None:
        """Delete what crashed processes left in cas/tmp. What we may not delete stays."""
        try:
            entries = os.listdir(f"{self.cas}/tmp")
        except OSError:
            return
        if entries:
            from stage0.removal import remove_tree
        for entry in entries:
            path = f"{self.cas}/tmp/{entry}"
            try:
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as err:
                if err.errno == errno.ELOOP:
                    _unlink(path)
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not _is_at(fd, path):
                    pass  # another process was faster, and the name may be a third one's by now
                elif stat.S_ISDIR(os.fstat(fd).st_mode):
                    remove_tree(path)
                else:
                    os.unlink(path)
            except OSError:
                pass  # in use, or another user's
            finally:
                os.close(fd)


def _open_lock(path: str) -> int:
    """A descriptor of a lock file: without making it if it is there, since a full disk may forbid that."""
    while True:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            pass
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660)
        except FileExistsError:
            continue
        os.fchmod(fd, 0o660)
        return fd


def _is_at(fd: int, path: str) -> bool:
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(fd))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass


def _group_id() -> int | None:
    import grp
    try:
        return grp.getgrnam(GROUP).gr_gid
    except KeyError:
        return None
