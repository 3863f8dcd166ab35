"""The entry point `run`: its arguments, and the app that counts."""
from __future__ import annotations

import pytest

from stage1 import run
from stage1.appc.image import App, ImageManifest
from stage1.plan import Options
from stage1.run import RunError

UUID = "12345678-1234-4234-8234-123456789abc"


def test_a_uuid_is_enough() -> None:
    assert run.parse([UUID]) == (Options(UUID), None, ())


def test_all_arguments() -> None:
    assert run.parse([
        "--debug", "--net=host", "--interactive", "--hostname=a=b", "--local-config=/etc/rkt",
        "--disable-capabilities-restriction", "--disable-paths", "--disable-seccomp", "--slice=batch.slice",
        "--property=MemoryMax=1G", "--property=TasksMax=5", "--stop-timeout=2.5", "--no-prefix", UUID,
    ]) == (Options(UUID, debug=True, net="host", interactive=True, hostname="a=b", prefix=False, stop_timeout_s=2.5,
                   restrict_capabilities=False, restrict_paths=False, restrict_seccomp=False),
           "batch.slice", ("MemoryMax=1G", "TasksMax=5"))


@pytest.mark.parametrize("word, field, value", [
    ("--debug", "debug", True), ("--interactive", "interactive", True), ("--no-prefix", "prefix", False),
    ("--disable-capabilities-restriction", "restrict_capabilities", False),
    ("--disable-paths", "restrict_paths", False), ("--disable-seccomp", "restrict_seccomp", False),
    ("--net=none", "net", "none"), ("--hostname=", "hostname", ""), ("--stop-timeout=0", "stop_timeout_s", 0.0),
    ("--stop-timeout=1e3", "stop_timeout_s", 1000.0),
])
def test_one_argument(word: str, field: str, value: object) -> None:
    options, slice_name, properties = run.parse([UUID, word])
    assert options == Options(UUID).replace(**{field: value})
    assert (slice_name, properties) == (None, ())


@pytest.mark.parametrize("argv, message", [
    ([], "run: the UUID of the pod is missing"),
    (["--debug"], "run: the UUID of the pod is missing"),
    (["--none", UUID], "run: --none: unknown option"),
    (["--net", UUID], "run: --net: unknown option"),
    (["--debug=yes", UUID], "run: --debug=yes: unknown option"),
    (["-d", UUID], "run: -d: unknown option"),
    (["--stop-timeout=", UUID], "run: --stop-timeout=: not a number of seconds"),
    (["--stop-timeout=10s", UUID], "run: --stop-timeout=10s: not a number of seconds"),
    (["--stop-timeout=-1", UUID], "run: --stop-timeout=-1: not a number of seconds"),
    (["--stop-timeout=nan", UUID], "run: --stop-timeout=nan: not a number of seconds"),
    (["--stop-timeout=inf", UUID], "run: --stop-timeout=inf: not a number of seconds"),
])
def test_arguments_that_are_refused(argv: list[str], message: str) -> None:
    with pytest.raises(RunError) as caught:
        run.parse(argv)
    assert str(caught.value) == message


def image(app: App | None) -> ImageManifest:
    return ImageManifest("example.com/web", "0.8.11", app=app)


def test_the_app_of_the_pod_replaces_that_of_the_image_as_a_whole() -> None:
    own, of_image = App(("/own",), "0", "0"), App(("/image",), "www", "www", working_directory="/srv")
    assert run.effective(own, image(of_image), "web") is own
    assert run.effective(None, image(of_image), "web") is of_image
    assert run.effective(own, image(None), "web") is own


def test_an_image_without_an_app_needs_one_of_the_pod() -> None:
    with pytest.raises(RunError) as caught:
        run.effective(None, image(None), "web")
    assert str(caught.value) == "app web: neither the pod manifest nor its image has an app section"


def test_steps_are_told_with_debug_alone(capfd) -> None:
    steps = run.Steps(False)
    steps.done("mounts")
    assert capfd.readouterr().err == ""
    steps = run.Steps(True)
    steps.done("mounts")
    line = capfd.readouterr().err
    assert line.startswith("stage1: mounts: ") and line.endswith(" ms\n")
    assert 0 <= float(line.split()[2]) < 1000


def test_annotations_of_the_pod_cover_those_of_the_image() -> None:
    from stage1.appc.pod import PodManifest, RuntimeApp, RuntimeImage
    from stage1.appc.types import Annotation
    web = RuntimeApp("web", RuntimeImage("sha512-00"), annotations=(Annotation("b", "pod"), Annotation("c", "pod")))
    other = RuntimeApp("other", RuntimeImage("sha512-00"), annotations=(Annotation("d", "other"),))
    made = image(None).replace(annotations=(Annotation("a", "image"), Annotation("b", "image")))
    assert run._annotations(made, PodManifest("0.8.11", (other, web)), "web") == {"a": "image", "b": "pod", "c": "pod"}


def test_only_volumes_that_are_mounted_need_a_source(tmp_path, monkeypatch) -> None:
    from stage1.appc.pod import PodManifest, RuntimeApp, RuntimeImage
    from stage1.appc.types import Mount, Volume
    from stage1.plan import Source
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "sharedVolumes/empty").mkdir(parents=True)
    volumes = (Volume("file", "host", str(tmp_path / "file")), Volume("empty", "empty"),
               Volume("unused", "host", "/nowhere"))
    web = RuntimeApp("web", RuntimeImage("sha512-00"), mounts=(Mount("file", "/file"), Mount("empty", "/empty")))
    manifest = PodManifest("0.8.11", (web,), volumes)
    assert run._sources(manifest) == {
        "file": Source("file", str(tmp_path / "file"), True),
        "empty": Source("empty", str(tmp_path / "sharedVolumes/empty"), False)}
    (tmp_path / "file").unlink()
    with pytest.raises(RunError) as caught:
        run._sources(manifest)
    assert str(caught.value) == f"volume file: its source {tmp_path}/file does not exist"
