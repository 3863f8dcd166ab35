"""What leaves the store: images and trees that are not wanted any more, trees that are broken, leftovers of crashes."""
from __future__ import annotations

import contextlib
import time

from stage0.store import importing, uses
from stage0.store.layout import StoreError
from stage0.store.sources import Sources
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set

    from stage0.store.layout import Lock
    from stage0.store.store import Store


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


def verify(store: Store, image_id: str) -> Check:
    """Compare the tree of an image with the hash recorded when it was rendered; render it anew if it differs.

    Raises StoreError if it differs and running pods are stacked on it.
    """
    tree = store.tree_id(image_id)
    with store.prepare_lock(), store.trees.lock(tree):
        if store.trees.get(tree) is None:
            return Check(is_rendered=False)
        reason = store.trees.difference(tree)
        if reason is not None:
            running = uses.running_on(store.layout.data_dir, tree)
            if running:
                raise StoreError(f"tree of image {image_id[:39]}: {reason}, and pods run on it "
                                 f"(rkt stop {' '.join(running)}, then verify again)")
            importing.render(store, store.layers(image_id), tree)
    return Check(True, reason)


def remove(store: Store, image_id: str) -> None:
    """Take an image out of the store, and its trees unless a pod needs them; writes nothing, for a full disk."""
    with _alone(store):
        used = uses.of_pods(store.layout.data_dir).trees
        _remove_image(store, image_id)
        for tree in store.trees.ids():
            if tree not in used and store.trees.image_of(tree) == image_id:
                store.trees.remove(tree)
    clean(store)


def collect(store: Store, grace_s: float) -> Collected:
    """Take out the trees that no pod needs, and the images that neither a pod needs nor an image that stays.

    An image also stays if it was used within the last `grace_s` seconds.
    """
    clean(store)
    with _alone(store):
        used = uses.of_pods(store.layout.data_dir)
        unused_trees = sorted(set(store.trees.ids()) - used.trees)
        for tree in unused_trees:
            store.trees.remove(tree)
        ids = set(store.blobs.ids())
        recent = {image_id for image_id in ids - used.images if _age_s(store, image_id) < grace_s}
        kept = _with_dependencies(store, used.images & ids | recent)
        for image_id in sorted(ids - kept):
            _remove_image(store, image_id)
    return Collected(tuple(unused_trees), tuple(sorted(ids - kept)), len(used.images & ids),
                     len(recent), len(kept - used.images - recent))


def clean(store: Store) -> None:
    """Delete what crashed processes left; what another process works on is locked and stays."""
    store.layout.clean()
    for image_id, name in store.blobs.leftovers():
        with store.layout.lock(store.layout.image_lock(image_id), wait=False) as lock:
            if lock.held and not store.blobs.has(image_id):
                store.blobs.remove(image_id, name)
                lock.delete()


def _alone(store: Store) -> Lock | contextlib.nullcontext[None]:
    """The prepare lock, exclusively: no pod is about to take what it has not written down yet."""
    try:
        return store.prepare_lock(shared=False)
    except OSError:
        return contextlib.nullcontext()  # it cannot even be made: nobody ever prepared a pod here


def _remove_image(store: Store, image_id: str) -> None:
    with store.layout.lock(store.layout.image_lock(image_id)) as lock:
        try:
            name = store.manifest(image_id).name
        except RktError:
            name = None  # a damaged manifest must not keep the image; `clean` finds the entry of its name
        store.blobs.remove(image_id, name)
        Sources(store.layout).forget(image_id)
        store.forget(image_id)
        lock.delete()


def _age_s(store: Store, image_id: str) -> float:
    return max(0.0, (time.time_ns() - store.blobs.used_ns(image_id)) / 1e9)


def _with_dependencies(store: Store, image_ids: Set[str]) -> set[str]:
    """These images and all that they depend on, as far as that is in the store."""
    found: set[str] = set()
    left = list(image_ids)
    while left:
        image_id = left.pop()
        if image_id not in found:
            found.add(image_id)
            try:
                left += [store.dependency(wanted) for wanted in store.manifest(image_id).dependencies]
            except RktError:
                pass  # it cannot be rendered anyway
    return found
