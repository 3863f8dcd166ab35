"""The images of the store as plain files: blobs by image ID, their manifests, and where to find them by name.

The files are the truth. An image is in the store when its manifest and its blob are; the entry
under its name is made before and deleted after them, so it is only a hint, checked against the
manifest. Look-ups of a start cost a few system calls and no database.
"""
from __future__ import annotations

import os

from stage0 import faultpoints
from stage0.store.layout import Layout, NotInStore, StoreError
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
        return [image_id for shard in entries(top) for image_id in entries(f"{top}/{shard}") if is_image_id(image_id)]

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
        found = [image_id for image_id in entries(shard)
                 if image_id.startswith(wanted) and is_image_id(image_id) and self.has(image_id)]
        if not found:
            raise NotInStore(f'no image IDs found for "{prefix}" in the local store')
        if len(found) > 1:
            raise StoreError(f'ambiguous image ID "{prefix}": {len(found)} images begin so (give more digits)')
        return found[0]

    def by_name(self, name: str) -> list[str]:
        """The IDs under a name, the one imported last first; each has to be checked against its manifest."""
        found = [image_id for image_id in entries(self.layout.name(name)) if is_image_id(image_id)]
        if len(found) > 1:
            found = sorted(filter(self.has, found), key=self.imported_ns, reverse=True)
        return found

    def manifest_bytes(self, image_id: str) -> bytes:
        """The image manifest as it stands in the archive. Raises StoreError if the image is not in the store."""
        try:
            return files.read(self.layout.manifest(image_id))
        except FileNotFoundError:
            raise NotInStore(f"image {image_id[:39]} is not in the local store") from None

    def open(self, image_id: str) -> int:
        """A descriptor of the image file, as it was received."""
        try:
            return os.open(self.layout.blob(image_id), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NotInStore(f"image {image_id[:39]} is not in the local store") from None

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
        self._place(f"{staging.path}/blob", self.layout.blob(image_id))
        faultpoints.reach("store-blob-placed")
        self._place(f"{staging.path}/manifest", self.layout.manifest(image_id))
        faultpoints.reach("store-manifest-placed")
        files.sync_directory(os.path.dirname(self.layout.manifest(image_id)))

    def _place(self, source: str, target: str) -> None:
        directory = self.layout.parent(target)
        os.chown(source, -1, os.stat(directory).st_gid)
        os.rename(source, target)

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
        """What is no whole image, as (ID, name of its entry): of a crash, or just being added or removed."""
        manifests = set(self.ids())
        top, names = f"{self.layout.cas}/blob/sha512", f"{self.layout.cas}/names"
        blobs = {image_id for shard in entries(top) for image_id in entries(f"{top}/{shard}")}
        found: set[tuple[str, str | None]] = {(image_id, None) for image_id in manifests ^ blobs}
        for name in entries(names):
            found.update((image_id, name) for image_id in entries(f"{names}/{name}") if image_id not in manifests)
        return found


def entries(path: str) -> list[str]:
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

