"""From the command line of run and prepare to a pod in prepare/, filled and owned by us."""
from __future__ import annotations

import os

from stage0 import faultpoints, prepare
from stage0.cli import images
from stage0.pods import Pod
from stage0.prepare import Image, PodOptions, PrepareError
from stage1.appc import pod as podschema
from stage2 import files
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.cli.context import Context
    from stage0.cli.images import ImageArgs
    from stage0.store.store import Store
    from stage1.appc.pod import PodManifest


class PodLine(Value):
    """What a command line asks for: images and options, or a pod manifest."""

    images: tuple[ImageArgs, ...]
    options: PodOptions
    manifest: PodManifest | None
    policy: str                      # never, new or update
    name: str | None
    no_overlay: bool
    uuid_file: str | None            # where the UUID goes as soon as the pod exists

    @property
    def apps(self) -> int:
        """The number of apps."""
        return len(self.images) if self.manifest is None else len(self.manifest.apps)


def read(command: str, values: dict[str, Any]) -> PodLine:
    """The values of a command, checked, with the files that they name. Raises RktError."""
    manifest = None
    if values["pod_manifest"] is not None:
        images.check_pod_manifest_alone(values)
        try:
            manifest = podschema.loads(files.read(values["pod_manifest"]))
        except (OSError, RktError) as err:
            raise PrepareError(f"pod manifest {values['pod_manifest']}") from err
    line = images.split(values["words"], command=command, volume=values["volume"], mount=values["mount"])
    if manifest is None and not line.images:
        raise PrepareError("no image given (an image, or --pod-manifest=FILE, is needed)")
    return PodLine(
        images=line.images,
        options=PodOptions(
            volumes=line.volumes,
            mounts=line.mounts,
            inherited=prepare.inheritable(os.environ) if values["inherit_env"] else (),
            environment=images.pod_environment(values["set_env"], values["set_env_file"]),
            owner=(str(os.getuid()), str(os.getgid())),
        ),
        manifest=manifest,
        policy=images.pull_policy(values["pull_policy"], values["store_only"], values["no_store"]),
        name=values["name"],
        no_overlay=values["no_overlay"],
        uuid_file=values["uuid_file_save"],
    )


def make(ctx: Context, line: PodLine, pod: Pod, target: str, *, durable: bool = False, quiet: bool = False) -> None:
    """Make a pod that was begun what a line asks for, and move it to the directory `target`.

    With `durable` all of it is on the disk before the pod gets there; with `quiet` no
    warnings come. After a failure the pod is the caller's to drop (starting.py).
    """
    from stage0 import overlay
    from stage0.store.store import Store

    warn = _silence if quiet else ctx.note
    os.umask(0o022)
    store = Store(ctx.data_dir)
    manifest, found, warnings = _decide(ctx, store, line)
    reason = None if line.no_overlay else overlay.unusable(ctx.data_dir)
    for warning in warnings + ((f'disabling overlay support: "{reason}"',) if reason else ()):
        warn(warning)
    ctx.step("images")
    faultpoints.reach("images-ready")
    pod.pods.admit(pod, line.name)
    if line.uuid_file is not None:
        _save_uuid(line.uuid_file, pod.uuid)
        faultpoints.reach("uuid-saved")
    ctx.step("pod directory")
    _fill(ctx, store, pod, manifest, found, stacked=not (line.no_overlay or reason))
    if durable:
        from stage2 import syscalls

        syscalls.syncfs(pod.fd)
        faultpoints.reach("fill-synced")
    pod.move(target)
    faultpoints.reach("pod-filled")
    ctx.step("pod filled")


def _decide(ctx: Context, store: Store, line: PodLine) -> tuple[PodManifest, dict[str, Image], tuple[str, ...]]:
    """The pod manifest, the image of each app by the app's name, and warnings."""
    from stage0.fetch import fetch

    if line.manifest is not None:
        manifest = line.manifest
        stored = [_stored(store, app.image.id) for app in manifest.apps]
        manifest = prepare.with_images(manifest, stored)
    else:
        stored = []
        for arguments in line.images:
            image_id = fetch(store, arguments, line.policy, ctx)
            stored.append(Image(image_id, store.manifest(image_id)))
        manifest = prepare.pod_manifest(line.options, zip(line.images, stored, strict=True))
    machine = os.uname().machine
    for image in stored:
        prepare.check_platform(image.manifest, machine)
    found = {app.name: image for app, image in zip(manifest.apps, stored, strict=True)}
    manifest, warnings = prepare.complete(manifest, {name: image.manifest for name, image in found.items()})
    prepare.check_volumes(manifest)
    return manifest, found, warnings


def _stored(store: Store, image_id: str) -> Image:
    full = store.resolve(image_id)
    return Image(full, store.manifest(full))


def _fill(ctx: Context, store: Store, pod: Pod, manifest: PodManifest, found: dict[str, Image], *,
          stacked: bool) -> None:
    from stage0 import filling

    with store.prepare_lock():
        trees = {}
        for app, image in found.items():
            tree = store.tree(image.image_id)
            trees[app] = filling.AppTree(image.image_id, store.manifest_bytes(image.image_id), tree.id, tree.rootfs)
        ctx.step("trees")
        faultpoints.reach("trees-ready")
        filling.fill(pod, manifest, trees, overlay=stacked)


def _silence(_text: str) -> None:
    return


def _save_uuid(path: str, uuid: str) -> None:
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "w", encoding="utf-8") as device:  # /dev/stdout, a FIFO: not to be replaced
                device.write(uuid)
        else:
            files.replace(os.path.realpath(path), uuid, 0o644)
    except OSError as err:
        raise RktError(f"writing --uuid-file-save {path}") from err
