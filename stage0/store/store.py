"""The store: images by ID and by name, and the trees rendered from them."""
from __future__ import annotations

import os

from stage0 import faultpoints
from stage0.store import trees
from stage0.store.blobs import Blobs, is_image_id
from stage0.store.layout import Layout, Lock, NotInStore, StoreError
from stage0.store.trees import Tree, Trees
from stage1.appc import image
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.aci.render import Layer
    from stage0.store.index import Row
    from stage1.appc.image import Dependency, ImageManifest


class ImageInfo(Value):
    """An image as lists show it; times are nanoseconds since 1970."""

    id: str
    name: str
    labels: dict[str, str]
    imported_ns: int
    used_ns: int
    size_bytes: int       # of the image file and, for who may look at trees, the rendered tree

    @property
    def title(self) -> str:
        """`NAME:VERSION`, or the name of an image without a version."""
        version = self.labels.get("version")
        return f"{self.name}:{version}" if version else self.name


class Store:
    """The store in a data directory. Making one touches nothing; directories are made when something goes in."""

    def __init__(self, data_dir: str) -> None:
        self.layout = Layout(data_dir)
        self.blobs = Blobs(self.layout)
        self.trees = Trees(self.layout)
        self._manifests: dict[str, ImageManifest] = {}
        faultpoints.arm(data_dir)

    # --- looking up ---------------------------------------------------------------------------------

    def resolve(self, word: str) -> str:
        """The ID of the image that a word means: the beginning of an ID, or a name with labels.

        Of several images of a name it is the one for this machine that was imported last.
        Raises StoreError: there is none, more IDs begin so, or the word is no name.
        """
        if is_image_id(word) and self.blobs.has(word):
            return word
        if word[:7].lower() == "sha512-":
            return self.blobs.by_prefix(word)
        from stage0.store import names
        wanted = names.parse(word)
        found = self.find(wanted.name, wanted.labels)
        if found is None:
            raise NotInStore(f"cannot find aci satisfying {wanted} in the local store")
        return found

    def find(self, name: str, labels: dict[str, str]) -> str | None:
        """The image of a name that has all of these labels; of several, as in `resolve`."""
        found = self._best(self.blobs.by_name(name), name, labels)
        if found is None:
            found = self._best([info.id for info in reversed(self.images()) if info.name == name], name, labels)
            if found is not None:
                self.blobs.note_name(found, name)  # somebody deleted cas/names
        return found

    def manifest_bytes(self, image_id: str) -> bytes:
        """The manifest of an image as its archive has it. Raises StoreError if the image is not there."""
        return self.blobs.manifest_bytes(image_id)

    def manifest(self, image_id: str) -> ImageManifest:
        """The manifest of an image. Raises StoreError if the image is not there."""
        found = self._manifests.get(image_id)
        if found is None:
            found = self._manifests[image_id] = image.loads(self.manifest_bytes(image_id))
        return found

    def images(self) -> list[ImageInfo]:
        """All images, the one imported first first."""
        ids = self.blobs.ids()
        if not ids:
            return []
        from stage0.store import index
        try:
            self.layout.directory("cas/db")
        except OSError:
            pass  # then the index is made in memory
        rows = index.rows(f"{self.layout.cas}/db/index.sqlite", ids, self._row)
        tree_sizes = self.trees.sizes()
        found = []
        for row in rows:
            try:
                found.append(ImageInfo(row.id, row.name, row.labels, self.blobs.imported_ns(row.id),
                                       self.blobs.used_ns(row.id),
                                       self.blobs.size_bytes(row.id) + tree_sizes.get(row.id, 0)))
            except FileNotFoundError:
                pass  # removed a moment ago
        return sorted(found, key=lambda info: info.imported_ns)

    def touch(self, image_id: str) -> None:
        """Note that an image is used now; no error if that cannot be written."""
        self.blobs.touch(image_id)

    # --- bringing in --------------------------------------------------------------------------------

    def import_file(self, path: str, *, unpack: bool | None = None) -> str:
        """The ID of the image in a file; the file is read unless that has been done since it changed.

        With `unpack`, by default for root, its tree is made in the same pass. Waits for another
        process that imports the same file. A failure leaves the store as it was.
        """
        from stage0.store.sources import Sources, open_image_file
        fd = open_image_file(path)
        try:
            found = Sources(self.layout).find(os.fstat(fd))
            if found is None or not self.blobs.has(found):
                from stage0.store import importing
                found = importing.import_image(self, fd, path, unpack=os.geteuid() == 0 if unpack is None else unpack)
        finally:
            os.close(fd)
        self.touch(found)
        return found

    # --- trees --------------------------------------------------------------------------------------

    def tree(self, image_id: str) -> Tree:
        """The tree of an image with its dependencies below it, rendered if need be.

        Waits for another process that renders it. The caller holds the prepare lock until the
        tree's ID is written into a pod, else `image gc` may take the tree away again. Raises
        StoreError: a dependency is missing, an image is damaged.
        """
        self.layout.clean()
        tree = self.tree_id(image_id)
        found = self.trees.get(tree)
        if found is None:
            from stage0.store import importing
            with self.trees.lock(tree):
                found = self.trees.get(tree) or importing.render(self, self.layers(image_id), tree)
        self.touch(image_id)
        return found

    def layers(self, image_id: str) -> list[Layer]:
        """The images that make the tree of an image, the topmost first."""
        from stage0.aci import render
        return render.flatten(image_id, self.manifest, self.dependency)

    def tree_id(self, image_id: str) -> str:
        """The ID of the tree of an image, rendered or not. Raises StoreError: a dependency is missing."""
        is_alone = not self.manifest(image_id).dependencies
        return trees.tree_id([image_id] if is_alone else [layer.image_id for layer in self.layers(image_id)])

    def dependency(self, wanted: Dependency) -> str:
        """The ID of the image that a dependency means. Raises StoreError if it is not there."""
        labels = {label.name: label.value for label in wanted.labels}
        if wanted.image_id is not None:
            try:
                return self.blobs.by_prefix(wanted.image_id)
            except StoreError as err:
                raise StoreError(f"dependency {wanted.image_name}") from err
        found = self.find(wanted.image_name, labels)
        if found is None:
            from stage0.store.names import ImageName
            raise NotInStore(f"dependency {ImageName(wanted.image_name, labels)} is not in the local store")
        return found

    def prepare_lock(self, *, shared: bool = True) -> Lock:
        """The lock held, shared, from the look-up of a tree until the pod that needs it has written that down."""
        return self.layout.lock(f"{self.layout.data_dir}/locks/prepareLock", shared=shared)

    # --- taking out ---------------------------------------------------------------------------------

    def remove(self, image_id: str) -> None:
        """Take an image out of the store, and its trees unless a pod needs them. Works on a full disk."""
        from stage0.store import collecting
        collecting.remove(self, image_id)

    def clean(self) -> None:
        """Delete what crashed processes left."""
        from stage0.store import collecting
        collecting.clean(self)

    def forget(self, image_id: str) -> None:
        """Forget what was read of an image that is gone."""
        self._manifests.pop(image_id, None)

    def _row(self, image_id: str) -> Row | None:
        """What the index keeps of an image; None if its manifest cannot be read."""
        from stage0.store.index import Row
        try:
            manifest = self.manifest(image_id)
        except RktError:
            return None
        return Row(image_id, manifest.name, {label.name: label.value for label in manifest.labels})

    def _best(self, image_ids: list[str], name: str, labels: dict[str, str]) -> str | None:
        from stage0.store import names
        fitting = []
        for image_id in image_ids:
            try:
                manifest = self.manifest(image_id)
            except RktError:
                continue
            if manifest.name == name and names.has_labels(manifest, labels) and self.blobs.has(image_id):
                fitting.append(image_id)
        if len(fitting) > 1:
            fitting.sort(key=lambda image_id: not names.is_for_host(self.manifest(image_id)))
        return fitting[0] if fitting else None
