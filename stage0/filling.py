"""Writes a prepared pod down: everything that the start of it will read."""
from __future__ import annotations

import os
import stat

from stage0 import faultpoints
from stage1 import poddir
from stage2 import files, jsontext
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.pods import Pod
    from stage1.appc.pod import PodManifest
    from stage1.appc.types import Volume


class AppTree(Value):
    """Where the root of an app comes from."""

    image_id: str
    manifest: bytes
    tree_id: str
    rootfs: str


def fill(pod: Pod, manifest: PodManifest, trees: dict[str, AppTree], *, overlay: bool) -> None:
    """Write manifests, the apps' roots and the empty volumes into a pod directory.

    With `overlay` an app's root is stacked on its tree when the pod starts, else the tree
    is copied now. `trees` are by the names of the apps. A failure leaves a part of it.
    """
    top = pod.path
    for name in ("stage1", poddir.SHARED_VOLUMES, *(["overlay"] if overlay else [])):
        os.mkdir(f"{top}/{name}")
        os.chmod(f"{top}/{name}", 0o755)  # without set-gid: what apps make below must not get the group of pods/
    _put(f"{top}/{poddir.MANIFEST}", jsontext.dumps(manifest.to_json()), 0o640)
    faultpoints.reach("fill-manifest")
    _put(f"{top}/{poddir.CREATED}", "")
    for runtime in manifest.apps:
        tree = trees[runtime.name]
        os.makedirs(f"{top}/appsinfo/{runtime.name}")
        _put(f"{top}/{poddir.app_manifest(runtime.name)}", tree.manifest)
        _put(f"{top}/{poddir.app_image_id(runtime.name)}", tree.image_id)
        _put(f"{top}/{poddir.app_tree_id(runtime.name)}", tree.tree_id)
        faultpoints.reach("fill-app")
        rootfs = f"{top}/{poddir.app_rootfs(runtime.name)}"
        if overlay:
            os.makedirs(rootfs)
            upper = f"{top}/{poddir.overlay(tree.tree_id, runtime.name, 'upper')}"
            os.makedirs(upper)
            os.makedirs(f"{top}/{poddir.overlay(tree.tree_id, runtime.name, 'work')}")
            _take_mode(upper, os.lstat(tree.rootfs))
            _link_mtab(tree.rootfs, upper)
        else:
            from stage0.copying import copy_tree
            os.makedirs(os.path.dirname(rootfs))
            copy_tree(tree.rootfs, rootfs)
            _link_mtab(rootfs, rootfs)
        faultpoints.reach("fill-rootfs")
    if overlay:
        _put(f"{top}/{poddir.OVERLAY_PREPARED}", "")
    for volume in manifest.volumes:
        if volume.kind == "empty":
            _make_volume(f"{top}/{poddir.SHARED_VOLUMES}/{volume.name}", volume)
    faultpoints.reach("fill-done")


def _put(path: str, content: str | bytes, mode: int = 0o644) -> None:
    """Write a new file. Nobody reads it before the pod is renamed, so it need not appear whole."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        if content:
            files.write_all(fd, content.encode() if isinstance(content, str) else content)
    finally:
        os.close(fd)


def _take_mode(path: str, info: os.stat_result) -> None:
    """Give a new directory the owner and mode of another: the root of an overlay shows those of its upper layer."""
    os.chown(path, info.st_uid, info.st_gid)
    os.chmod(path, stat.S_IMODE(info.st_mode))


def _link_mtab(tree: str, upper: str) -> None:
    """Let mtab lead to the mounts as the app sees them, if its root has an /etc without one."""
    try:
        info = os.lstat(f"{tree}/etc")
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(info.st_mode) or os.path.lexists(f"{tree}/etc/mtab"):
        return
    if upper != tree:
        os.mkdir(f"{upper}/etc")
        _take_mode(f"{upper}/etc", info)
    os.symlink("../proc/self/mounts", f"{upper}/etc/mtab")
    os.utime(f"{upper}/etc", ns=(info.st_atime_ns, info.st_mtime_ns))


def _make_volume(path: str, volume: Volume) -> None:
    os.mkdir(path)
    os.chown(path, volume.uid or 0, volume.gid or 0)
    os.chmod(path, int(volume.mode or "0755", 8))
