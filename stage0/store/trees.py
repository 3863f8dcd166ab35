"""The tree store: images rendered to directories, once for all pods that stack their own layer on them.

DATA/cas/tree/TREEID holds `rootfs`, `manifest` of the image, `image` (its ID), `hash` of the tree, and
`rendered` (the bytes that the tree takes on disk), without which the rest does not count. A tree is
made in cas/tmp and comes to its place by one rename, after it is on the disk.
"""
from __future__ import annotations

import fcntl
import os

from stage0 import faultpoints
from stage0.store.layout import Layout, Lock
from stage2 import files, syscalls
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:

    pass

PREFIX = "deps-sha512-"


class Tree(Value):
    """A rendered image. `rootfs` is the host path of its root."""

    id: str
    rootfs: str


def tree_id(image_ids: list[str]) -> str:
    """The ID of the tree of these images, the topmost first. That of an image alone tells its ID."""
    if len(image_ids) == 1:
        return f"deps-{image_ids[0]}"
    import hashlib
    return PREFIX + hashlib.sha512(",".join(image_ids).encode()).hexdigest()


class Trees:
    """Rendered images by their tree IDs."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    def get(self, tree: str) -> Tree | None:
        """The tree, if it is rendered."""
        path = self.layout.tree(tree)
        return Tree(tree, f"{path}/rootfs") if os.path.exists(f"{path}/rendered") else None

    def lock(self, tree: str, *, wait: bool = True) -> Lock:
        """The lock of who renders or removes the tree."""
        return self.layout.lock(self.layout.tree_lock(tree), wait=wait)

    def ids(self) -> list[str]:
        """The IDs of all trees, broken ones too."""
        try:
            return [name for name in os.listdir(f"{self.layout.cas}/tree") if name.startswith(PREFIX)]
        except (FileNotFoundError, PermissionError):
            return []

    def image_of(self, tree: str) -> str | None:
        """The ID of the image that the tree is of; None if it is not rendered."""
        return self._note(tree, "image")

    def size_bytes(self, tree: str) -> int:
        """What the tree takes on disk."""
        return int(self._note(tree, "rendered") or "0")

    def sizes(self) -> dict[str, int]:
        """What the trees of images take on disk, by image ID."""
        return {image: self.size_bytes(tree) for tree in self.ids() if (image := self.image_of(tree)) is not None}

    def describe(self, path: str, image_id: str, manifest: bytes) -> None:
        """Write what belongs beside `rootfs` in a tree that is being made."""
        from stage0.aci import treehash
        from stage0.aci.pipeline import Crew
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with Crew() as crew:
                crew.start(lambda: syscalls.syncfs(fd))  # the digest takes as long as the disk: both at once
                summary = treehash.summarize(f"{path}/rootfs")
                crew.wait()
        finally:
            os.close(fd)
        for name, content in (("manifest", manifest), ("image", image_id), ("hash", summary.digest),
                              ("rendered", str(summary.size_bytes))):
            files.replace(f"{path}/{name}", content)

    def difference(self, tree: str) -> str | None:
        """How a rendered tree differs from what was recorded; None if it does not."""
        from stage0.aci import treehash
        recorded = self._note(tree, "hash")
        found = treehash.summarize(f"{self.layout.tree(tree)}/rootfs").digest
        return None if found == recorded else f"expected hash {recorded}, found {found}"

    def place(self, path: str, tree: str) -> None:
        """Move a finished tree, already on the disk, to its place. The caller holds the tree's lock."""
        self.layout.directory("cas/tree")
        target = self.layout.tree(tree)
        if os.path.lexists(target):
            self.discard(tree)
        faultpoints.reach("store-tree-ready")
        os.chmod(path, 0o755)
        os.rename(path, target)
        faultpoints.reach("store-tree-placed")
        files.sync_directory(os.path.dirname(target))

    def remove(self, tree: str) -> None:
        """Delete a tree and its lock."""
        with self.lock(tree) as lock:
            self.discard(tree)
            lock.delete()

    def discard(self, tree: str) -> None:
        """Delete a tree, whole or not. The caller holds its lock.

        It first goes to cas/tmp, where the next command goes on after a crash; nothing is made
        for that, so that it works on a full disk.
        """
        from stage0.removal import remove_tree
        path = self.layout.tree(tree)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            doomed = f"{self.layout.directory('cas/tmp')}/{os.urandom(12).hex()}"
            try:
                os.rename(path, doomed)
            except OSError:  # no room even for a name
                _unlink(f"{path}/rendered")
                doomed = path
            faultpoints.reach("store-tree-doomed")
            remove_tree(doomed)
        finally:
            os.close(fd)

    def _note(self, tree: str, name: str) -> str | None:
        try:
            return files.read(f"{self.layout.tree(tree)}/{name}").decode()
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            return None


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
