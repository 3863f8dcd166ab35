"""Options and image manifests → pod manifest."""
from __future__ import annotations

import pytest

from stage0 import prepare
from stage0.cli import images
from stage0.prepare import Image, PodOptions, PrepareError
from stage1.appc.image import App, ImageManifest
from stage1.appc.pod import PodManifest, RuntimeApp, RuntimeImage
from stage1.appc.types import Annotation, EnvironmentVariable, Label, Mount, MountPoint, Volume
from stage2.errors import RktError, line

ID = "sha512-" + "ab" * 64
LABELS = (Label("version", "1.0"), Label("os", "linux"), Label("arch", "amd64"))


def image(name: str = "example.com/web", app: App | None = None, **more: object) -> Image:
    app = App(("/bin/web", "-v"), "0", "0") if app is None else app
    return Image(ID, ImageManifest(name, "0.8.11", LABELS, app, **more))  # type: ignore[arg-type]


def made(words: list[str], *found: Image, volume: tuple[str, ...] = (), mount: tuple[str, ...] = (),
         **options: object) -> PodManifest:
    split = images.split(words, volume=volume, mount=mount)
    return prepare.pod_manifest(PodOptions(split.volumes, split.mounts, **options),  # type: ignore[arg-type]
                                zip(split.images, found or (image(),), strict=True))


def app(words: list[str], found: Image | None = None, **options: object) -> App:
    [runtime] = made(["web.aci", *words], found or image(), **options).apps
    assert runtime.app is not None
    return runtime.app


def environment(*variables: EnvironmentVariable) -> dict[str, str]:
    return {variable.name: variable.value for variable in variables}


def test_an_image_as_it_is() -> None:
    manifest = made(["web.aci"])
    assert manifest == PodManifest("0.8.11", (RuntimeApp(
        "web", RuntimeImage(ID, "example.com/web", LABELS), App(("/bin/web", "-v"), "0", "0")),))


@pytest.mark.parametrize(("words", "command"), [
    ([], ("/bin/web", "-v")),
    (["--", "-x", "--exec=/y"], ("/bin/web", "-v", "-x", "--exec=/y")),
    (["--exec=/bin/sh"], ("/bin/sh",)),
    (["--exec=/bin/sh", "--", "-c", "true"], ("/bin/sh", "-c", "true")),
])
def test_the_command(words: list[str], command: tuple[str, ...]) -> None:
    assert app(words).exec == command


def test_options_of_an_image_replace_what_it_says() -> None:
    found = app(["--working-dir=/srv", "--user=web", "--group=7", "--supplementary-gids=1,2", "--user-annotation=a=b",
                 "--user-label=c=d"], image(app=App(("/x",), "0", "0", (9,), user_labels=(("old", "label"),))))
    assert (found.working_directory, found.user, found.group, found.supplementary_gids) == ("/srv", "web", "7", (1, 2))
    assert (found.user_annotations, found.user_labels) == ((("a", "b"),), (("c", "d"),))


def test_environment_from_weak_to_strong() -> None:
    names = ("INHERITED", "IMAGE", "OPTION", "FILE", "SET")
    own = tuple(EnvironmentVariable(name, "image") for name in names[1:])
    found = app(["--environment=OPTION=option", "--environment=FILE=option"],
                image(app=App(("/x",), "0", "0", environment=own)), inherited=tuple((name, "caller") for name in names),
                environment=(("FILE", "file"), ("SET", "set")))
    assert environment(*found.environment) == {
        "INHERITED": "caller", "IMAGE": "image", "OPTION": "option", "FILE": "file", "SET": "set"}


def test_what_of_the_caller_s_environment_can_be_inherited() -> None:
    caller = {"HOME": "/root", "BASH_FUNC_x%%": "() {", "BAD": "\udcff", "": "x", "EMPTY": ""}
    assert prepare.inheritable(caller) == (("HOME", "/root"), ("EMPTY", ""))


def test_annotations_are_added_to_those_of_the_image() -> None:
    found = image(annotations=(Annotation("a", "image"),))
    [runtime] = made(["web.aci", "--annotation=a=option", "--annotation=b=option"], found).apps
    assert runtime.annotations == (Annotation("a", "image"), Annotation("b", "option"))


def test_a_read_only_root() -> None:
    assert made(["web.aci", "--readonly-rootfs"]).apps[0].read_only_rootfs
    assert not made(["web.aci", "--readonly-rootfs=false"]).apps[0].read_only_rootfs


def test_an_image_without_an_app_runs_what_exec_names_as_the_caller() -> None:
    bare = Image(ID, ImageManifest("example.com/bare", "0.8.11", LABELS))
    found = app(["--exec=/bin/sh"], bare, owner=("12", "34"))
    assert (found.exec, found.user, found.group) == (("/bin/sh",), "12", "34")


BARE = Image(ID, ImageManifest("example.com/bare", "0.8.11", LABELS))


@pytest.mark.parametrize(("words", "found", "message"), [
    (["a"], (BARE,), "image example.com/bare: has no app, so nothing to run (--exec=PATH names a program)"),
    (["a"], (image(app=App((), "0", "0")),), "image example.com/web: its app names no program (--exec=PATH names one)"),
    (["a", "b"], (image(), image()),
     "two apps have the name web (--name=NAME behind an image gives its app another name)"),
    (["a", "--mount=volume=v,target=/x", "--mount=volume=v,target=/x/"], (image(),), "app web: two mounts on /x"),
    (["a", "--environment=1=x"], (image(),), "options of the pod: app"),
    (["a", "--", "\udcff"], (image(),), "options of the pod: app"),
])
def test_what_makes_no_pod(words: list[str], found: tuple[Image, ...], message: str) -> None:
    with pytest.raises(RktError) as caught:
        made(words, *found, volume=("v,kind=empty",))
    assert line(caught.value).startswith(message)


def test_mounts_of_an_app_win_over_those_of_the_pod_on_the_same_path() -> None:
    manifest = made(["a", "--mount=volume=own,target=/data/../data", "b", "--name=other"], image(), image(),
                    volume=("own,kind=empty", "all,kind=empty"),
                    mount=("volume=all,target=/data", "volume=all,target=/more"))
    assert [[(mount.volume, mount.path) for mount in runtime.mounts] for runtime in manifest.apps] == [
        [("own", "/data/../data"), ("all", "/more")], [("all", "/data"), ("all", "/more")]]


def completed(manifest: PodManifest, *points: MountPoint) -> tuple[PodManifest, tuple[str, ...]]:
    [runtime] = manifest.apps
    assert runtime.app is not None
    changed = manifest.replace(apps=(runtime.replace(app=runtime.app.replace(mount_points=points)),))
    return prepare.complete(changed, {})


def test_a_mount_point_takes_the_volume_of_its_name() -> None:
    manifest, warnings = completed(made(["a"], volume=("data,kind=host,source=/srv",)), MountPoint("data", "/data"))
    assert manifest.apps[0].mounts == (Mount("data", "/data"),)
    assert (manifest.volumes, warnings) == ((Volume("data", "host", "/srv"),), ())


def test_a_mount_point_whose_path_is_taken_is_left() -> None:
    manifest, warnings = completed(made(["a"], volume=("other,kind=empty",), mount=("volume=other,target=/data/",)),
                                   MountPoint("data", "/data"))
    assert manifest.apps[0].mounts == (Mount("other", "/data/"),)
    assert (len(manifest.volumes), warnings) == (1, ())


def test_a_mount_point_without_a_volume_gets_an_empty_one() -> None:
    manifest, warnings = completed(made(["a"]), MountPoint("data", "/data"))
    assert manifest.apps[0].mounts == (Mount("web-data", "/data"),)
    assert [(volume.name, volume.kind) for volume in manifest.volumes] == [("web-data", "empty")]
    assert warnings == ("app web: no volume for mount point data (/data), it gets an empty one",)


def test_a_mount_without_a_volume() -> None:
    manifest = PodManifest("0.8.11", (RuntimeApp("web", RuntimeImage(ID), mounts=(Mount("data", "/data"),)),))
    with pytest.raises(PrepareError) as caught:
        prepare.complete(manifest, {"web": image().manifest})
    assert str(caught.value) == \
        "app web: mount on /data: there is no volume data (--volume=data,kind=… declares it)"


def test_a_volume_that_is_of_one_mount_alone() -> None:
    volume = Volume("data", "host", "/no/such")
    manifest = PodManifest("0.8.11", tuple(
        RuntimeApp(name, RuntimeImage(ID), mounts=(Mount("data", "/data", own),))
        for name, own in (("web", volume), ("log", volume.replace(source="/other")))))
    complete, _ = prepare.complete(manifest, {"web": image().manifest, "log": image().manifest})
    assert [app.mounts for app in complete.apps] == [(Mount("data", "/data"),), (Mount("log-data", "/data"),)]
    assert complete.volumes == (volume, Volume("log-data", "host", "/other"))
    with pytest.raises(PrepareError) as caught:
        prepare.check_volumes(manifest)
    assert str(caught.value) == "volume data: /no/such does not exist (create it first)"


def test_a_pod_manifest_gets_whole_ids_and_names() -> None:
    manifest = PodManifest("0.8.11", (RuntimeApp("web", RuntimeImage("sha512-abab")),
                                      RuntimeApp("own", RuntimeImage("sha512-abab", "example.com/other"))))
    apps = prepare.with_images(manifest, [image(), image()]).apps
    assert [runtime.image for runtime in apps] == [
        RuntimeImage(ID, "example.com/web", LABELS), RuntimeImage(ID, "example.com/other")]


@pytest.mark.parametrize(("labels", "machine", "message"), [
    ({"os": "linux", "arch": "amd64"}, "x86_64", None),
    ({"os": "linux", "arch": "i386"}, "x86_64", None),
    ({"os": "linux", "arch": "aarch64"}, "aarch64", None),
    ({"os": "linux", "arch": "aarch64"}, "x86_64", "is for linux/aarch64, this is linux/amd64"),
    ({"os": "freebsd", "arch": "amd64"}, "x86_64", "is for freebsd/amd64, this is linux/amd64"),
    ({"os": "linux", "arch": "amd64"}, "riscv64", "is for linux/amd64, this is linux/riscv64"),
    ({"os": "linux"}, "x86_64", "has no label arch, so it cannot be told where it runs"),
    ({}, "x86_64", "has no label os and arch, so it cannot be told where it runs"),
])
def test_platforms(labels: dict[str, str], machine: str, message: str | None) -> None:
    manifest = ImageManifest("example.com/x", "0.8.11", tuple(Label(*pair) for pair in labels.items()))
    if message is None:
        prepare.check_platform(manifest, machine)
        return
    with pytest.raises(PrepareError) as caught:
        prepare.check_platform(manifest, machine)
    assert str(caught.value) == f"image example.com/x: {message}"
