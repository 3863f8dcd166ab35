"""Images written out of the store, to a file or to a directory: whole, or not at all."""
from __future__ import annotations

import os

from stage0.removal import remove_tree
from stage0.store import importing
from stage0.store.layout import StoreError
from stage2 import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.aci.render import Layer
    from stage0.store.store import Store


def write_archive(store: Store, image_id: str, path: str, *, overwrite: bool) -> None:
    """Write the uncompressed archive of an image to a file; its digest is the image ID, and is checked."""
    import hashlib

    from stage0.aci import compression, writer

    digest = hashlib.sha512()
    fd = store.blobs.open(image_id)
    with open(fd, "rb", buffering=0) as source, writer.creating(path, overwrite=overwrite) as target:
        name = compression.detect(os.pread(fd, compression.HEAD_BYTES, 0))
        plain = compression.decompressor(name, source)
        room = memoryview(bytearray(1 << 20))
        while size := plain.readinto(room):
            digest.update(room[:size])
            target.write(room[:size])
        if f"sha512-{digest.hexdigest()}" != image_id:
            raise StoreError(f"image {image_id[:39]} is damaged in the store (rkt image rm removes it)")


def write_directory(store: Store, image_id: str, layers: list[Layer], path: str, *, rootfs_only: bool,
                    overwrite: bool) -> None:
    """Unpack layers to a directory: `manifest` of the image and `rootfs`, or what is in the rootfs.

    It grows beside its place under a hidden name. Raises StoreError if it is there and not to be replaced, or is /.
    """
    target = os.path.realpath(path)
    if target == "/":
        raise StoreError(f"{path}: refusing to write an image over the root directory")
    if os.path.lexists(path) and not overwrite:
        raise StoreError(f"{path} exists (--overwrite replaces it)")
    growing = f"{os.path.dirname(target)}/.{os.path.basename(target)[:200]}.{os.urandom(6).hex()}"
    os.mkdir(growing, 0o755)
    try:
        importing.unpack(store, layers, growing, below="rootfs" if rootfs_only else "")
        if not rootfs_only:
            files.replace(f"{growing}/manifest", store.manifest_bytes(image_id))
        _remove(target)
        os.rename(growing, target)
    except BaseException:
        remove_tree(growing)
        raise


def _remove(path: str) -> None:
    if os.path.isdir(path):
        remove_tree(path)
    elif os.path.lexists(path):
        os.unlink(path)
