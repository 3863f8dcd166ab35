"""Prepares a pod: options and image manifests → pod manifest (pure), then the pod directory."""
from __future__ import annotations

import os

from stage0.version import APPC_VERSION
from stage1 import plan
from stage1.appc import pod, types
from stage1.appc.image import App, ImageManifest
from stage1.appc.node import ManifestError, is_word
from stage1.appc.pod import PodManifest, RuntimeApp, RuntimeImage
from stage1.appc.types import Annotation, EnvironmentVariable, Mount, Volume
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from stage0.cli.images import ImageArgs

Environment = tuple[tuple[str, str], ...]

# uname machine: the values of the `arch` label that run on it.
_ARCHITECTURES = {
    "x86_64": ("amd64", "i386"),
    "i686": ("i386",),
    "i386": ("i386",),
    "aarch64": ("aarch64", "armv7l", "armv6l"),
    "aarch64_be": ("aarch64_be",),
    "armv6l": ("armv6l",),
    "armv7l": ("armv7l", "armv6l"),
    "armv7b": ("armv7b",),
    "ppc64le": ("ppc64le",),
}



class PrepareError(RktError):
    """Options, image manifests or a pod manifest from which no pod can be made."""


class Image(Value):
    """An image that lies in the store."""

    image_id: str
    manifest: ImageManifest


class PodOptions(Value):
    """What the options of run and prepare say of the whole pod."""

    volumes: tuple[Volume, ...] = ()
    mounts: tuple[Mount, ...] = ()
    inherited: Environment = ()      # of --inherit-env: weaker than what an image sets
    environment: Environment = ()    # of --set-env-file, then --set-env: stronger than anything else
    owner: tuple[str, str] = ("0", "0")  # user and group of an app whose image names none


def pod_manifest(options: PodOptions, apps: Iterable[tuple[ImageArgs, Image]]) -> PodManifest:
    """The manifest of a pod of these images, every mount point of them with a volume.

    Raises PrepareError.
    """
    made = PodManifest(
        ac_version=APPC_VERSION,
        apps=tuple(_runtime_app(options, arguments, image) for arguments, image in apps),
        volumes=options.volumes,
    )
    _check_unique("app", [app.name for app in made.apps], "--name=NAME behind an image gives its app another name")
    _check_unique("volume", [volume.name for volume in made.volumes])
    try:
        return pod.from_json(made.to_json())  # what the options brought in is as good as what the images have
    except ManifestError as err:
        raise PrepareError("options of the pod") from err


def _runtime_app(options: PodOptions, arguments: ImageArgs, image: Image) -> RuntimeApp:
    manifest = image.manifest
    name = arguments.name or app_name(manifest.name)
    app = manifest.app
    if app is None:
        if not arguments.exec:
            raise PrepareError(f"image {manifest.name}: has no app, so nothing to run (--exec=PATH names a program)")
        app = App(exec=(), user=options.owner[0], group=options.owner[1])
    command = (arguments.exec,) if arguments.exec else app.exec
    changed = app.replace(
        exec=(*command, *arguments.args),
        user=arguments.user or app.user,
        group=arguments.group or app.group,
        working_directory=arguments.working_dir or app.working_directory,
        environment=environment(options, app.environment, arguments.environment),
        **{key: value for key, value in (
            ("supplementary_gids", arguments.supplementary_gids),
            ("user_annotations", arguments.user_annotations),
            ("user_labels", arguments.user_labels),
        ) if value},
    )
    if not changed.exec:
        raise PrepareError(f"image {manifest.name}: its app names no program (--exec=PATH names one)")
    known = {annotation.name for annotation in manifest.annotations}
    return RuntimeApp(
        name=name,
        image=RuntimeImage(id=image.image_id, name=manifest.name, labels=manifest.labels),
        app=changed,
        read_only_rootfs=bool(arguments.readonly_rootfs),
        mounts=_merge_mounts(name, arguments.mounts, options.mounts),
        annotations=(*manifest.annotations,
                     *(Annotation(key, value) for key, value in arguments.annotations if key not in known)),
    )


def app_name(image_name: str) -> str:
    """The name of an app whose image has this name: its last part, made a valid name."""
    return types.sanitize_ac_name(image_name.rpartition("/")[2])


def environment(options: PodOptions, image: Iterable[EnvironmentVariable], own: Environment,
                ) -> tuple[EnvironmentVariable, ...]:
    """The environment of an app, weakest first: inherited, image, --environment, --set-env-file, --set-env."""
    merged = {variable.name: variable.value for variable in image}
    merged = dict(options.inherited) | merged | dict(own) | dict(options.environment)
    return tuple(EnvironmentVariable(name, value) for name, value in merged.items())


def inheritable(caller: Mapping[str, str]) -> Environment:
    """The caller's variables, for --inherit-env, but those that no manifest can hold."""
    return tuple((name, value) for name, value in caller.items()
                 if types.VARIABLE.fault(name) is None and is_word(value))


def _merge_mounts(app: str, own: tuple[Mount, ...], pod_wide: tuple[Mount, ...]) -> tuple[Mount, ...]:
    """The mounts of an app; its own win over pod-wide ones on the same path."""
    for mounts in (own, pod_wide):
        paths = [os.path.normpath(mount.path) for mount in mounts]
        for path in paths:
            if paths.count(path) > 1:
                raise PrepareError(f"app {app}: two mounts on {path}")
    taken = {os.path.normpath(mount.path) for mount in own}
    return (*own, *(mount for mount in pod_wide if os.path.normpath(mount.path) not in taken))


def _check_unique(kind: str, names: list[str], way_out: str = "") -> None:
    for name in names:
        if names.count(name) > 1:
            raise PrepareError(f"two {kind}s have the name {name}" + (f" ({way_out})" if way_out else ""))


def complete(manifest: PodManifest, images: dict[str, ImageManifest]) -> tuple[PodManifest, tuple[str, ...]]:
    """The pod manifest with a mount for every mount point of its apps, and warnings.

    `images` are the image manifests by the names of the apps. A mount point without a
    mount on its path takes the volume of its name, or else an empty volume of its own,
    APP-NAME. A volume private to a mount becomes one of the pod's. Raises PrepareError for
    a mount without a volume.
    """
    volumes = {volume.name: volume for volume in manifest.volumes}
    apps, added, warnings = [], [], []
    for runtime in manifest.apps:
        app = runtime.app or images[runtime.name].app
        if app is None:
            raise PrepareError(f"app {runtime.name}: neither the pod manifest nor its image says what to run")
        mounts = list(runtime.mounts)
        for number, mount in enumerate(runtime.mounts):
            if mount.app_volume is None and mount.volume not in volumes:
                raise PrepareError(f"app {runtime.name}: mount on {mount.path}: there is no volume {mount.volume} "
                                   f"(--volume={mount.volume},kind=… declares it)")
            if mount.app_volume is not None:
                own = mount.app_volume
                if volumes.setdefault(own.name, own) != own:
                    own = own.replace(name=f"{runtime.name}-{own.name}")
                    volumes[own.name] = own
                if own not in manifest.volumes and own not in added:
                    added.append(own)
                mounts[number] = Mount(volume=own.name, path=mount.path)
        taken = {plan.pod_path(mount.path) for mount in mounts}
        for point in app.mount_points:
            if plan.pod_path(point.path) in taken:
                continue
            name = point.name
            if name not in volumes:
                name = f"{runtime.name}-{point.name}"
                volumes[name] = volume = Volume(name=name, kind="empty")
                added.append(volume)
                warnings.append(f"app {runtime.name}: no volume for mount point {point.name} ({point.path}), "
                                "it gets an empty one")
            mounts.append(Mount(volume=name, path=point.path))
        apps.append(runtime.replace(mounts=tuple(mounts)))
    return (manifest.replace(apps=tuple(apps), volumes=(*manifest.volumes, *added)), tuple(warnings))


def with_images(manifest: PodManifest, images: Sequence[Image]) -> PodManifest:
    """A pod manifest with the whole ID of each app's image, and its name and labels where it leaves them out."""
    apps = []
    for app, image in zip(manifest.apps, images, strict=True):
        named = app.image.name is not None
        apps.append(app.replace(image=RuntimeImage(
            id=image.image_id,
            name=app.image.name if named else image.manifest.name,
            labels=app.image.labels if named else image.manifest.labels,
        )))
    return manifest.replace(apps=tuple(apps))


def check_platform(image: ImageManifest, machine: str) -> None:
    """Raise PrepareError if an image is not for this kind of machine, given as uname names it."""
    os_label, arch = image.label("os"), image.label("arch")
    if os_label is None or arch is None:
        missing = " and ".join(name for name, value in (("os", os_label), ("arch", arch)) if value is None)
        raise PrepareError(f"image {image.name}: has no label {missing}, so it cannot be told where it runs")
    if os_label != "linux" or arch not in _ARCHITECTURES.get(machine, ()):
        here = _ARCHITECTURES.get(machine, (machine,))[0]
        raise PrepareError(f"image {image.name}: is for {os_label}/{arch}, this is linux/{here}")


def check_volumes(manifest: PodManifest) -> None:
    """Raise PrepareError if a directory or file of the host that a volume shows is not there."""
    own = [mount.app_volume for app in manifest.apps for mount in app.mounts if mount.app_volume is not None]
    for volume in (*manifest.volumes, *own):
        if volume.kind == "host" and not os.path.exists(volume.source or ""):
            raise PrepareError(f"volume {volume.name}: {volume.source} does not exist (create it first)")
