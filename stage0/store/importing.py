"""Images that come into the store, and trees made of what is in it."""
from __future__ import annotations

import os

from stage0 import faultpoints
from stage0.store import trees
from stage0.store.layout import Staging, StoreError
from stage0.store.sources import Sources
from stage0.store.trees import Tree
from stage1.appc import image
from stage2 import files, syscalls
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.aci.render import Layer
    from stage0.store.store import Store

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def import_image(store: Store, fd: int, path: str, *, unpack: bool) -> str:
    """The ID of the image in a file, which is read unless another process has just done that; see Store.import_file."""
    store.clean()
    sources = Sources(store.layout)
    info = os.fstat(fd)
    with store.layout.lock(sources.lock_path(info)) as lock:
        image_id = sources.find(info)
        if image_id is None or not store.blobs.has(image_id):
            has_settled = sources.settle(info)
            try:
                image_id = _take_in(store, fd, unpack)
            except (RktError, OSError) as err:
                raise StoreError(f"import of {path}") from err
            if has_settled:
                sources.note(info, os.fstat(fd), image_id)
        lock.delete()
    return image_id


def _take_in(store: Store, fd: int, unpack: bool) -> str:
    """Read an image file once: into a blob, and into a tree if it needs nothing else."""
    from stage0.aci import reader

    with Staging(store.layout) as staging:
        tree = f"{staging.path}/tree"
        os.mkdir(tree, 0o700)
        with _Opened(os.open(f"{staging.path}/blob", _NEW_FILE, 0o640)) as blob_fd, \
                _Opened(os.open(tree, _DIRECTORY)) as tree_fd:
            os.fchmod(blob_fd, 0o640)
            found = reader.read(fd, blob_fd=blob_fd, unpack_into=tree_fd if unpack else None)
        manifest = image.loads(found.manifest_bytes)
        has_tree = unpack and not manifest.dependencies and not manifest.path_whitelist
        if has_tree:
            store.trees.describe(tree, found.image_id, found.manifest_bytes)
        files.replace(f"{staging.path}/manifest", found.manifest_bytes, 0o640)
        faultpoints.reach("store-unpacked")
        syscalls.syncfs(staging.fd)  # all at once, before the names that make it count
        with store.layout.lock(store.layout.image_lock(found.image_id)):
            if has_tree:
                tree_id = trees.tree_id([found.image_id])
                with store.trees.lock(tree_id):
                    if store.trees.get(tree_id) is None:
                        store.trees.place(tree, tree_id)
            if not store.blobs.has(found.image_id):
                store.blobs.add(found.image_id, manifest.name, staging)
    return found.image_id


def render(store: Store, layers: list[Layer], tree_id: str) -> Tree:
    """Make a tree. The caller holds its lock."""
    image_id = layers[0].image_id
    with Staging(store.layout) as staging:
        tree = f"{staging.path}/tree"
        os.mkdir(tree, 0o700)
        unpack(store, layers, tree)
        store.trees.describe(tree, image_id, store.manifest_bytes(image_id))
        syscalls.syncfs(staging.fd)
        store.trees.place(tree, tree_id)
    for layer in layers:
        store.touch(layer.image_id)
    return Tree(tree_id, f"{store.layout.tree(tree_id)}/rootfs")


def unpack(store: Store, layers: list[Layer], directory: str, *, below: str = "") -> None:
    """Make the tree of these images in an empty directory: `rootfs`, or what is in it if that is `below`.

    Each image is checked against its ID meanwhile. Raises StoreError; a failure leaves a part of the tree.
    """
    from stage0.aci import reader, render
    from stage0.aci.unpack import Unpacker

    choice = None if render.is_plain(layers) else render.Choice()
    with _Opened(os.open(directory, _DIRECTORY)) as directory_fd, \
            Unpacker(directory_fd, below=below) as unpacker:
        for layer in layers:
            with _Opened(store.blobs.open(layer.image_id)) as fd:
                try:
                    found = reader.read(fd, unpack_into=unpacker, select=choice and choice.of(layer))
                except (RktError, OSError) as err:
                    raise StoreError(f"unpacking image {layer.image_id[:39]}") from err
            if found.image_id != layer.image_id:
                raise StoreError(f"image {layer.image_id[:39]} is damaged in the store: its archive has the ID "
                                 f"{found.image_id[:39]} (rkt image rm removes it, to be fetched again)")


class _Opened:
    """A descriptor for the length of a block."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __enter__(self) -> int:
        return self.fd

    def __exit__(self, *_error: object) -> None:
        os.close(self.fd)
