"""Which files were imported as which images, so that an unchanged file is not read again."""
from __future__ import annotations

import os
import stat

from stage0.store.blobs import entries, is_image_id
from stage0.store.layout import Layout, StoreError


class Sources:
    """Links in cas/sources, DEVICE-INODE -> IMAGEID:SIZE:MTIME:CTIME."""

    SETTLED_NS = 20_000_000   # the kernel stamps files with a clock of 10 ms at worst

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def find(self, info: os.stat_result) -> str | None:
        """The image ID of a file that did not change since its import by this user or root."""
        path = self._path(info)
        try:
            owner = os.lstat(path).st_uid  # the directory belongs to a group, whose members must not fool root
            image_id, _, stamp = os.readlink(path).partition(":")
        except OSError:
            return None
        return image_id if stamp == _stamp(info) and is_image_id(image_id) and owner in (0, os.geteuid()) else None

    def settle(self, info: os.stat_result) -> bool:
        """Wait until a change of the file from now on would show in its times.

        False if its times lie in the future, so that nothing can be told from them.
        """
        import time
        age_ns = time.time_ns() - max(info.st_mtime_ns, info.st_ctime_ns)
        if 0 <= age_ns < self.SETTLED_NS:
            time.sleep((self.SETTLED_NS - age_ns) / 1e9)
        return age_ns >= 0

    def note(self, before: os.stat_result, after: os.stat_result, image_id: str) -> None:
        """Remember the image that a file is, unless it changed while it was read. No room for that is no error."""
        if _stamp(before) != _stamp(after):
            return
        path = self._path(before)
        fresh = f"{self.layout.directory('cas/tmp')}/source-{os.getpid()}"
        try:
            self.layout.parent(path)
            os.symlink(f"{image_id}:{_stamp(before)}", fresh)
            os.rename(fresh, path)
        except OSError:
            try:
                os.unlink(fresh)
            except OSError:
                pass

    def lock_path(self, info: os.stat_result) -> str:
        """The lock held by who imports the file."""
        return f"{self.layout.cas}/tmp/lock-{info.st_dev}-{info.st_ino}"

    def forget(self, image_id: str) -> None:
        """Drop what leads to an image."""
        top = f"{self.layout.cas}/sources"
        for entry in entries(top):
            try:
                if os.readlink(f"{top}/{entry}").startswith(image_id):
                    os.unlink(f"{top}/{entry}")
            except OSError:
                pass

    def _path(self, info: os.stat_result) -> str:
        return f"{self.layout.cas}/sources/{info.st_dev}-{info.st_ino}"


def open_image_file(path: str) -> int:
    """A descriptor of an image file to be imported. Raises StoreError if it is no regular file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise StoreError(f"{path}: not a regular file")
    return fd


def _stamp(info: os.stat_result) -> str:
    return f"{info.st_size}:{info.st_mtime_ns}:{info.st_ctime_ns}"
