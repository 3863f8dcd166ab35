"""rkt export: writes an app of an ended pod to an image file."""
from __future__ import annotations

import os

from stage0 import pods as states
from stage0.cli.enter import choose_app
from stage0.pods import Pod, PodError, Pods
from stage1 import poddir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, uuid: str, output: str, app: str | None, overwrite: bool) -> int:
    """Write the app's tree as it is now, with all that the app changed, and its image manifest."""
    from stage0.aci import writer

    ctx.require_root()
    if not output.endswith(".aci"):
        raise PodError(f"{output}: the name of an image file ends in .aci")
    output = os.path.abspath(output)
    with Pods(ctx.data_dir).find(uuid) as pod:
        if pod.state not in (states.EXITED, states.EXITED_GARBAGE) or not pod.hold():
            raise PodError(f'pod "{pod.uuid}" is {pod.state}, only what ended can be exported')
        name = choose_app(pod, app)
        manifest = image_manifest(pod.read(poddir.app_manifest(name)))
        tree_fd = _open_tree(ctx.data_dir, pod, name)
        try:
            with writer.creating(output, overwrite=overwrite) as file, writer.ACIWriter(file, "gzip") as image:
                image.add_tree(tree_fd)
                image.add_manifest(manifest)
        finally:
            os.close(tree_fd)
    return 0


def image_manifest(data: bytes) -> bytes:
    """The manifest for the export: the tree is complete, so it needs no other images and no list of paths."""
    from stage1.appc import image
    from stage2 import jsontext

    manifest = image.loads(data).replace(dependencies=(), path_whitelist=())
    return jsontext.dumps(manifest.to_json()).encode()


def _open_tree(data_dir: str, pod: Pod, app: str) -> int:
    """A descriptor of the app's root; what is mounted for it goes with this process."""
    rootfs = f"{pod.path}/{poddir.app_rootfs(app)}"
    if os.path.lexists(f"{pod.path}/{poddir.OVERLAY_PREPARED}"):
        tree_id = pod.read(poddir.app_tree_id(app)).decode()
        stack((f"{pod.path}/{poddir.overlay(tree_id, app, 'upper')}", poddir.tree_rootfs(data_dir, tree_id)), rootfs)
    return os.open(rootfs, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def stack(layers: tuple[str, ...], target: str) -> None:
    """Mount directories over each other, the uppermost first, read-only and for this process alone."""
    from stage2 import syscalls

    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    opened = [os.open(layer, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for layer in layers]
    try:
        # By descriptor: in a path of a layer, commas and colons would need quotes that depend on the kernel.
        lower = ":".join(f"/proc/self/fd/{fd}" for fd in opened)
        syscalls.mount("overlay", target, "overlay", syscalls.MS_RDONLY, f"lowerdir={lower}")
    finally:
        for fd in opened:
            os.close(fd)
