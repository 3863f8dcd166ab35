"""The images of the store as plain files: blobs by image ID, their manifests, and where to find them by name.

The files are the truth. An image is in the store when its manifest and its blob are; the entry
under its name is made before and deleted after them, so it is only a hint, checked against the
manifest. Look-ups of a start cost a few system calls and no database.
"""
from __future__ import annotations

import os
import stat

from stage0 import faultpoints
from stage0.store.layout import Layout, StoreError
from stage2 import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.store.layout import Staging

ID_LENGTH = 7 + 128
_HEX = frozenset("0123456789abcdef")


def is_image_id(word: str) -> bool:
    """Whether a word is a whole image ID."""
    return len(word) == ID_LENGTH and word.startswith("sha512-") and _HEX.issuperset(word[7:])


class Blobs:
    """Images by their IDs."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def has(self, image_id: str) -> bool:
        """Whether the image is in the store."""
        return os.path.exists(self.layout.manifest(image_id)) and os.path.exists(self.layout.blob(image_id))

    def ids(self) -> list[str]:
        """The IDs of all images."""
        top = f"{self.layout.cas}/imageManifest/sha512"
        return [image_id for shard in _entries(top) for image_id in _entries(f"{top}/{shard}") if is_image_id(image_id)]

    def by_prefix(self, prefix: str) -> str:
        """The one image whose ID begins so: `sha512-` and at least two hex digits, in any case.

        Raises StoreError if there is none, or more than one.
        """
        wanted = prefix.lower()
        digits = wanted[7:]
        if not wanted.startswith("sha512-") or not _HEX.issuperset(digits) or len(wanted) > ID_LENGTH:
            raise StoreError(f'"{prefix}" is not an image ID: sha512- and up to 128 hex digits')
        if len(digits) < 2:
            raise StoreError(f'image ID "{prefix}" is too short: sha512- and at least 2 hex digits are needed')
        shard = f"{self.layout.cas}/imageManifest/sha512/{digits[:2]}"
        found = [image_id for image_id in _entries(shard)
                 if image_id.startswith(wanted) and is_image_id(image_id) and self.has(image_id)]
        if not found:
            raise StoreError(f'no image IDs found for "{prefix}" in the local store')
        if len(found) > 1:
            raise StoreError(f'ambiguous image ID "{prefix}": {len(found)} images begin so (give more digits)')
        return found[0]

    def by_name(self, name: str) -> list[str]:
        """The IDs under a name, the one imported last first; each has to be checked against its manifest."""
        found = [image_id for image_id in _entries(self.layout.name(name)) if is_image_id(image_id)]
        if len(found) > 1:
            found = sorted(filter(self.has, found), key=self.imported_ns, reverse=True)
        return found

    def manifest_bytes(self, image_id: str) -> bytes:
        """The image manifest as it stands in the archive. Raises StoreError if the image is not in the store."""
        try:
            return files.read(self.layout.manifest(image_id))
        except FileNotFoundError:
            raise StoreError(f"image {image_id[:39]} is not in the local store") from None

    def open(self, image_id: str) -> int:
        """A descriptor of the image file, as it was received."""
        try:
            return os.open(self.layout.blob(image_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StoreError(f"image {image_id[:39]} is not in the local store") from None

    def imported_ns(self, image_id: str) -> int:
        """When the image came into the store."""
        return os.stat(self.layout.blob(image_id)).st_mtime_ns

    def used_ns(self, image_id: str) -> int:
        """When the image was last used."""
        try:
            return os.stat(self.layout.image_lock(image_id)).st_mtime_ns
        except FileNotFoundError:
            return self.imported_ns(image_id)

    def size_bytes(self, image_id: str) -> int:
        """The size of the image file, as it was received."""
        return os.stat(self.layout.blob(image_id)).st_size

    def touch(self, image_id: str) -> None:
        """Note that the image was used now. A user who may not write, or a full disk, is no error."""
        try:
            os.utime(self.layout.image_lock(image_id))
        except OSError:
            pass

    def add(self, image_id: str, name: str, staging: Staging) -> None:
        """Move `blob` and `manifest` from a staging directory, already on the disk, to their places.

        The caller holds the image's lock. A crash leaves the image in the store or not, and
        never one without the other.
        """
        self.note_name(image_id, name)
        faultpoints.reach("store-name-noted")
        for source, target in (("blob", self.layout.blob(image_id)), ("manifest", self.layout.manifest(image_id))):
            directory = self.layout.parent(target)
            os.chown(f"{staging.path}/{source}", -1, os.stat(directory).st_gid)
            os.rename(f"{staging.path}/{source}", target)
            faultpoints.reach(f"store-{source}-placed")
        files.sync_directory(directory)

    def note_name(self, image_id: str, name: str) -> None:
        """Make the entry of an image under its name."""
        path = f"{self.layout.name(name)}/{image_id}"
        self.layout.parent(path)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o660))

    def remove(self, image_id: str, name: str | None) -> None:
        """Take an image out of the store; nothing is written, so that a full disk does not matter.

        The caller holds the image's lock.
        """
        for path in (self.layout.manifest(image_id), self.layout.blob(image_id)):
            _unlink(path)
            faultpoints.reach("store-image-unlinked")
        if name is not None:
            _unlink(f"{self.layout.name(name)}/{image_id}")
            try:
                os.rmdir(self.layout.name(name))
            except OSError:
                pass  # other images have the name, too

    def leftovers(self) -> set[tuple[str, str | None]]:
        """IDs with a blob or an entry under a name, but no manifest: of a crash, or just being added or removed."""
        ids = set(self.ids())
        found: set[tuple[str, str | None]] = set()
        for shard in _entries(top := f"{self.layout.cas}/blob/sha512"):
            found.update((image_id, None) for image_id in _entries(f"{top}/{shard}") if image_id not in ids)
        for name in _entries(top := f"{self.layout.cas}/names"):
            found.update((image_id, name) for image_id in _entries(f"{top}/{name}") if image_id not in ids)
        return found


class Sources:
    """Which image a file was when it was imported, so that an unchanged file is not read again.

    A link `DEVICE-INODE` leads to `IMAGEID:SIZE:MTIME:CTIME`.
    """

    SETTLED_NS = 20_000_000   # the kernel stamps files with a clock of 10 ms at worst

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def find(self, info: os.stat_result) -> str | None:
        """The image ID of a file that did not change since its import."""
        try:
            image_id, _, stamp = os.readlink(self._path(info)).partition(":")
        except OSError:
            return None
        return image_id if stamp == _stamp(info) and is_image_id(image_id) else None

    def settle(self, info: os.stat_result) -> bool:
        """Wait until a change of the file from now on would show in its times.

        False if its times lie in the future, so that nothing can be told from them.
        """
        import time
        age_ns = time.time_ns() - max(info.st_mtime_ns, info.st_ctime_ns)
        if 0 <= age_ns < self.SETTLED_NS:
            time.sleep((self.SETTLED_NS - age_ns) / 1e9)
        return age_ns >= 0

    def note(self, info: os.stat_result, image_id: str) -> None:
        """Remember the image that a file is. No room or no right for that is no error."""
        path = self._path(info)
        fresh = f"{self.layout.directory('cas/tmp')}/source-{os.getpid()}"
        try:
            self.layout.parent(path)
            os.symlink(f"{image_id}:{_stamp(info)}", fresh)
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
        for entry in _entries(top):
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


def _entries(path: str) -> list[str]:
    """The names in a directory, but hidden ones; none if it is not there."""
    try:
        return [name for name in os.listdir(path) if name[:1] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

