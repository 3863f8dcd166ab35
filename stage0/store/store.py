"""The store: images by ID and by name, and the trees rendered from them."""
from __future__ import annotations

import os

from stage0 import faultpoints
from stage0.store import trees
from stage0.store.blobs import Blobs, Sources, is_image_id, open_image_file
from stage0.store.layout import Layout, Lock, Staging, StoreError
from stage0.store.trees import Tree, Trees
from stage1.appc import image
from stage2 import files, syscalls
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    import contextlib

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


class Check(Value):
    """What `verify` found. `reason` tells why the tree was rendered anew; None if it was as recorded."""

    is_rendered: bool
    reason: str | None = None


class Collected(Value):
    """What `collect` took out, by IDs, and how many images stay for which reason."""

    trees: tuple[str, ...]
    images: tuple[str, ...]
    used_by_pods: int
    used_lately: int
    needed_by_images: int


class Store:
    """The store in a data directory. Making one touches nothing; directories are made when something goes in."""

    def __init__(self, data_dir: str) -> None:
        self.layout = Layout(data_dir)
        self.blobs = Blobs(self.layout)
        self.sources = Sources(self.layout)
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
            raise StoreError(f"cannot find aci satisfying {wanted} in the local store")
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
        rows = index.rows(f"{self.layout.directory('cas/db')}/index.sqlite", ids, self._row)
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
        fd = open_image_file(path)
        try:
            info = os.fstat(fd)
            known = self._known(info)
            if known is None:
                self.clean()
                with self.layout.lock(self.sources.lock_path(info)) as lock:
                    known = self._known(info) or self._import(fd, path, info, unpack)
                    lock.delete()
            self.touch(known)
            return known
        finally:
            os.close(fd)

    def _known(self, info: os.stat_result) -> str | None:
        image_id = self.sources.find(info)
        return image_id if image_id is not None and self.blobs.has(image_id) else None

    def _import(self, fd: int, path: str, info: os.stat_result, unpack: bool | None) -> str:
        has_settled = self.sources.settle(info)
        try:
            image_id = self._take_in(fd, os.geteuid() == 0 if unpack is None else unpack)
        except (RktError, OSError) as err:
            raise StoreError(f"import of {path}") from err
        if has_settled and os.fstat(fd) == info:
            self.sources.note(info, image_id)
        return image_id

    def _take_in(self, fd: int, unpack: bool) -> str:
        """Read an image file once: into a blob, and into a tree if it needs nothing else."""
        from stage0.aci import reader
        with Staging(self.layout) as staging:
            blob_fd = os.open(f"{staging.path}/blob", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            tree_fd = None
            try:
                if unpack:
                    os.mkdir(f"{staging.path}/tree", 0o700)
                    tree_fd = os.open(f"{staging.path}/tree", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                os.fchmod(blob_fd, 0o640)
                found = reader.read(fd, blob_fd=blob_fd, unpack_into=tree_fd)
                manifest = image.loads(found.manifest_bytes)
                has_tree = unpack and not manifest.dependencies and not manifest.path_whitelist
                if has_tree:
                    self.trees.describe(f"{staging.path}/tree", found.image_id, found.manifest_bytes)
                files.replace(f"{staging.path}/manifest", found.manifest_bytes, 0o640)
                faultpoints.reach("store-unpacked")
                syscalls.syncfs(staging.fd)  # before the names that make it count, all at once
            finally:
                os.close(blob_fd)
                if tree_fd is not None:
                    os.close(tree_fd)
            with self.layout.lock(self.layout.image_lock(found.image_id)):
                if has_tree:
                    self._place(f"{staging.path}/tree", trees.tree_id([found.image_id]))
                if not self.blobs.has(found.image_id):
                    self.blobs.add(found.image_id, manifest.name, staging)
        return found.image_id

    def _place(self, path: str, tree: str) -> None:
        with self.trees.lock(tree):
            if self.trees.get(tree) is None:
                self.trees.place(path, tree)

    # --- trees --------------------------------------------------------------------------------------

    def tree(self, image_id: str) -> Tree:
        """The tree of an image with its dependencies below it, rendered if need be.

        Waits for another process that renders it. The caller holds the prepare lock until the
        tree's ID is written into a pod, else `image gc` may take the tree away again. Raises
        StoreError: a dependency is missing, an image is damaged.
        """
        tree = self._tree_id(image_id)
        found = self.trees.get(tree)
        if found is None:
            self.clean()
            with self.trees.lock(tree):
                found = self.trees.get(tree) or self._render(self.layers(image_id), tree)
        self.touch(image_id)
        return found

    def layers(self, image_id: str) -> list[Layer]:
        """The images that make the tree of an image, the topmost first."""
        from stage0.aci import render
        return render.flatten(image_id, self.manifest, self._dependency)

    def unpack(self, layers: list[Layer], directory: str, *, below: str = "") -> None:
        """Make the tree of these images in an empty directory: `rootfs`, or what is in it if that is `below`.

        Each image is checked against its ID meanwhile. Raises StoreError; a failure leaves a part of the tree.
        """
        from stage0.aci import reader, render
        from stage0.aci.unpack import Unpacker
        choice = None if render.is_plain(layers) else render.Choice()
        directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with Unpacker(directory_fd, below=below) as unpacker:
                for layer in layers:
                    fd = self.blobs.open(layer.image_id)
                    try:
                        found = reader.read(fd, unpack_into=unpacker, select=choice and choice.of(layer))
                    except (RktError, OSError) as err:
                        raise StoreError(f"unpacking image {layer.image_id[:39]}") from err
                    finally:
                        os.close(fd)
                    if found.image_id != layer.image_id:
                        raise StoreError(f"image {layer.image_id[:39]} is damaged in the store: its archive has the ID "
                                         f"{found.image_id[:39]} (rkt image rm removes it, to be fetched again)")
        finally:
            os.close(directory_fd)

    def _render(self, layers: list[Layer], tree: str) -> Tree:
        """Make a tree. The caller holds its lock."""
        image_id = layers[0].image_id
        with Staging(self.layout) as staging:
            os.mkdir(f"{staging.path}/tree", 0o700)
            self.unpack(layers, f"{staging.path}/tree")
            self.trees.describe(f"{staging.path}/tree", image_id, self.manifest_bytes(image_id))
            faultpoints.reach("store-rendered")
            syscalls.syncfs(staging.fd)
            self.trees.place(f"{staging.path}/tree", tree)
        for layer in layers:
            self.touch(layer.image_id)
        return Tree(tree, f"{self.layout.tree(tree)}/rootfs")

    def _tree_id(self, image_id: str) -> str:
        is_alone = not self.manifest(image_id).dependencies
        return trees.tree_id([image_id] if is_alone else [layer.image_id for layer in self.layers(image_id)])

    def _dependency(self, wanted: Dependency) -> str:
        labels = {label.name: label.value for label in wanted.labels}
        if wanted.image_id is not None:
            try:
                return self.blobs.by_prefix(wanted.image_id)
            except StoreError as err:
                raise StoreError(f"dependency {wanted.image_name}") from err
        found = self.find(wanted.image_name, labels)
        if found is None:
            from stage0.store.names import ImageName
            raise StoreError(f"dependency {ImageName(wanted.image_name, labels)} is not in the local store")
        return found

    def verify(self, image_id: str) -> Check:
        """Compare the tree of an image with the hash recorded when it was rendered; render it anew if it differs.

        Raises StoreError if it differs and running pods are stacked on it.
        """
        tree = self._tree_id(image_id)
        with self.prepare_lock(), self.trees.lock(tree):
            if self.trees.get(tree) is None:
                return Check(is_rendered=False)
            reason = self.trees.difference(tree)
            if reason is not None:
                from stage0.store import uses
                running = uses.running_on(self.layout.data_dir, tree)
                if running:
                    raise StoreError(f"tree of image {image_id[:39]}: {reason}, and pods run on it "
                                     f"(rkt stop {' '.join(running)}, then verify again)")
                self._render(self.layers(image_id), tree)
        return Check(True, reason)

    # --- taking out ---------------------------------------------------------------------------------

    def remove(self, image_id: str) -> None:
        """Take an image out of the store, and its trees unless a pod needs them. Works on a full disk."""
        from stage0.store import uses
        with self._collecting():
            used = uses.of_pods(self.layout.data_dir).trees
            self._remove_image(image_id)
            for tree in self.trees.ids():
                if tree not in used and self.trees.image_of(tree) == image_id:
                    self.trees.remove(tree)
        self.clean()

    def collect(self, grace_s: float) -> Collected:
        """Take out the trees that no pod needs, and the images that none needs, nor an image that stays.

        An image also stays if it was used within the last `grace_s` seconds.
        """
        from stage0.store import uses
        with self._collecting():
            used = uses.of_pods(self.layout.data_dir)
            doomed_trees = [tree for tree in self.trees.ids() if tree not in used.trees]
            for tree in doomed_trees:
                self.trees.remove(tree)
            ids = set(self.blobs.ids())
            recent = {image_id for image_id in ids - used.images if self._age_s(image_id) < grace_s}
            needed = self._with_dependencies(used.images & ids | recent)
            doomed = ids - needed
            for image_id in doomed:
                self._remove_image(image_id)
        self.clean()
        return Collected(tuple(sorted(doomed_trees)), tuple(sorted(doomed)), len(used.images & ids),
                         len(recent), len(needed - used.images - recent))

    def clean(self) -> None:
        """Delete what crashed processes left."""
        self.layout.clean()
        for image_id, name in self.blobs.leftovers():
            with self.layout.lock(self.layout.image_lock(image_id), wait=False) as lock:
                if lock.held and not self.blobs.has(image_id):
                    self.blobs.remove(image_id, name)
                    lock.delete()

    # --- locks --------------------------------------------------------------------------------------

    def prepare_lock(self) -> Lock:
        """Held, shared, from the look-up of a tree until the pod that needs it has written that down."""
        return self.layout.lock(f"{self.layout.data_dir}/locks/prepareLock", shared=True)

    def _collecting(self) -> Lock | contextlib.nullcontext[None]:
        """The prepare lock, exclusively: no pod is about to take what it has not written down yet."""
        try:
            return self.layout.lock(f"{self.layout.data_dir}/locks/prepareLock")
        except OSError:
            import contextlib
            return contextlib.nullcontext()  # it cannot even be made: nobody ever prepared a pod here

    def _remove_image(self, image_id: str) -> None:
        with self.layout.lock(self.layout.image_lock(image_id)) as lock:
            try:
                name = self.manifest(image_id).name
            except RktError:
                name = None  # a damaged manifest must not keep the image; `clean` finds the entry
            self.blobs.remove(image_id, name)
            self.sources.forget(image_id)
            self._manifests.pop(image_id, None)
            lock.delete()

    def _age_s(self, image_id: str) -> float:
        import time
        return max(0.0, (time.time_ns() - self.blobs.used_ns(image_id)) / 1e9)

    def _with_dependencies(self, image_ids: frozenset[str]) -> set[str]:
        """These images and all that they depend on, as far as that is in the store."""
        found: set[str] = set()
        left = list(image_ids)
        while left:
            image_id = left.pop()
            if image_id not in found:
                found.add(image_id)
                try:
                    left += [self._dependency(wanted) for wanted in self.manifest(image_id).dependencies]
                except RktError:
                    pass  # this image cannot be rendered anyway
        return found

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
