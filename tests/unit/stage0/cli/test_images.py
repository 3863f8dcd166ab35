"""images: the words of run, prepare and fetch from the first image on."""
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage0.cli import argv, images, options
from stage0.cli.images import ImageArgs, ImagesError, split

RUN = options.command("run")


def refusal(*words: str, volume: tuple[str, ...] = (), mount: tuple[str, ...] = ()) -> str:
    with pytest.raises(ImagesError) as caught:
        split(words, volume=volume, mount=mount)
    return str(caught.value)


def usage_error(*words: str) -> str:
    with pytest.raises(argv.UsageError) as caught:
        argv.parse(words)
    return str(caught.value)


def test_images_with_options_and_arguments() -> None:
    line = split(["a.aci", "--name=one", "--exec", "/bin/x", "--", "--name=two", "", "-v", "---", "b", "--user=0",
                  "--readonly-rootfs", "c", "--", "last"])
    assert line.images == (
        ImageArgs("a.aci", name="one", exec="/bin/x", args=("--name=two", "", "-v")),
        ImageArgs("b", user="0", readonly_rootfs=True),
        ImageArgs("c", args=("last",)))


def test_every_option_of_an_image() -> None:
    line = split(["a", "--name=n", "--exec=/e", "--working-dir=/w", "--user=u", "--group=/g",
                  "--supplementary-gids=1,22", "--environment=A=1", "--environment", "B=x=y", "--readonly-rootfs=true",
                  "--annotation=x/y=z", "--user-annotation=K=", "--user-label=L=m", "--mount=volume=v,target=/t"],
                 volume=["v,kind=empty"])
    image = line.images[0]
    assert image == ImageArgs(
        "a", name="n", exec="/e", working_dir="/w", user="u", group="/g", supplementary_gids=(1, 22),
        environment=(("A", "1"), ("B", "x=y")), readonly_rootfs=True, annotations=(("x/y", "z"),),
        user_annotations=(("K", ""),), user_labels=(("L", "m"),), mounts=(images.parse_mount("volume=v,target=/t"),))
    assert {option.name for option in RUN.image_options} == {
        "name", "exec", "working-dir", "user", "group", "supplementary-gids", "environment", "readonly-rootfs",
        "annotation", "user-annotation", "user-label", "mount"}


def test_pod_level_and_global_options_between_images_are_no_images() -> None:
    words = ["a", "--debug", "--set-env", "A=1", "b", "--insecure-options", "image", "--net", "c"]
    assert [image.image for image in split(words).images] == ["a", "b", "c"]
    parsed = argv.parse(["run", *words])
    assert parsed.values["set_env"] == ("A=1",)
    assert parsed.values["net"] == "default"
    assert parsed.common["insecure_options"] == {"image"}


def test_a_name_before_any_image_is_the_pod_s() -> None:
    parsed = argv.parse(["run", "--name=pod", "a", "--name=app"])
    assert parsed.values["name"] == "pod"
    assert split(parsed.values["words"]).images[0].name == "app"


def test_a_mount_before_any_image_is_for_all() -> None:
    parsed = argv.parse(["run", "--mount=volume=v,target=/all", "a", "--mount", "volume=v,target=/own", "b",
                         "--volume=v,kind=empty"])
    assert parsed.values["mount"] == ("volume=v,target=/all",)
    line = split(parsed.values["words"], volume=parsed.values["volume"], mount=parsed.values["mount"])
    assert [mount.path for mount in line.mounts] == ["/all"]
    assert [[mount.path for mount in image.mounts] for image in line.images] == [["/own"], []]


@pytest.mark.parametrize("command", ["run", "prepare"])
@pytest.mark.parametrize("words", [
    ("--no-store", "--no-overlay", "a", "b"), ("a", "--no-store", "b", "--no-overlay"), ("a", "b", "--no-store=1",
                                                                                         "--no-overlay=t")])
def test_options_of_the_pod_mean_the_same_everywhere(command: str, words: tuple[str, ...]) -> None:
    found = argv.parse([command, *words]).values
    assert (found["no_store"], found["no_overlay"]) == (True, True)


def test_quiet_works_behind_an_image() -> None:
    assert argv.parse(["prepare", "a", "--quiet"]).values["quiet"] is True


def test_empty_words_are_skipped_but_not_among_arguments() -> None:
    assert split(["", "a", "", "--", "", "---", "", "b"]).images == (ImageArgs("a", args=("",)), ImageArgs("b"))
    assert argv.parse(["run", "", "--mount=volume=v,target=/t", "a"]).values["mount"] == ("volume=v,target=/t",)


@pytest.mark.parametrize(("words", "text"), [
    (("run", "a", "---"), "stray --- (word 3, behind a): it ends the list of arguments that -- opens"),
    (("run", "a", "--", "x", "---", "---"),
     "stray --- (word 6, behind ---): it ends the list of arguments that -- opens"),
    (("--debug", "run", "---", "a"), "stray --- (word 3, behind run): it ends the list of arguments that -- opens"),
    (("run", "--", "a"), "-- before any image (word 2, behind run): it opens the argument list of an image"),
    (("run", "a", "--", "x", "---", "--", "y"), "second argument list for a (word 6, behind ---)"),
    (("run", "--exec=/x", "a"), "--exec before any image (word 2, behind run): it applies to the image before it"),
    (("run", "--environment", "A=1", "a"),
     "--environment before any image (word 2, behind run): it applies to the image before it"),
    (("fetch", "a", "--", "x"), "-- (word 3, behind a): fetch takes no arguments for apps"),
    (("fetch", "a", "--name=x"), "unknown option --name"),
    (("run", "a", "--user"), "--user needs a value (USER)"),
    (("run", "a", "--readonly-rootfs=si"), "--readonly-rootfs: si is neither true nor false")])
def test_words_that_cannot_stand_where_they_stand(words: tuple[str, ...], text: str) -> None:
    assert usage_error(*words) == text


@pytest.mark.parametrize(("words", "text"), [
    (("a", "--exec=/x", "--exec=/y"), "--exec is given twice for image a"),
    (("a", "--name=x", "b", "--name=y", "--name=z"), "--name is given twice for image b"),
    (("a", "--exec="), "image a: --exec is empty"),
    (("a", "--user="), "image a: --user is empty"),
    (("a", "--working-dir=tmp"), "image a: --working-dir: tmp is not an absolute path"),
    (("a", "--environment=A"), "image a: --environment: A is not NAME=VALUE"),
    (("a", "--environment==1"), "image a: --environment: =1 is not NAME=VALUE"),
    (("a", "--user-label=A=1", "--user-label=A=2"), "image a: --user-label: A is given twice"),
    (("a", "--supplementary-gids=1,x"), "image a: --supplementary-gids: x is not a number"),
    (("a", "--supplementary-gids=-1"), "image a: --supplementary-gids: -1 is not a number"),
    (("a", "--supplementary-gids="), "image a: --supplementary-gids: nothing is not a number"),
    (("a", "--mount=volume=v,target=/t"), "--mount: /t: there is no volume v (--volume=v,kind=… declares it)"),
    (("a", "--mount=volume=v,target=t"),
     "image a: --mount: volume=v,target=t: target t is not an absolute path"),
    (("a", "--mount=volume=v"), "image a: --mount: volume=v: target=… is missing"),
    (("a", "--mount=volume=v,path=/t"), "image a: --mount: volume=v,path=/t: path is neither volume nor target")])
def test_options_of_images_that_make_no_sense(words: tuple[str, ...], text: str) -> None:
    assert refusal(*words) == text


def test_names_that_are_none() -> None:
    assert refusal("a", "--name=Web").startswith("image a: --name: ")
    assert refusal("a", "--annotation=A B=1").startswith("image a: --annotation: ")
    assert refusal("a", volume=("Data,kind=empty",)).startswith("--volume: ")


def test_a_mount_for_all_needs_its_volume() -> None:
    assert refusal("a", mount=("volume=v,target=/t",), volume=("w,kind=empty",)) == (
        "--mount: /t: there is no volume v (--volume=v,kind=… declares it)")


def test_volumes() -> None:
    host = images.parse_volume("data,kind=host,source=/srv/a%2Cb%20c,readOnly=true,recursive=0")
    assert (host.name, host.kind, host.source, host.read_only, host.recursive) == (
        "data", "host", "/srv/a,b c", True, False)
    empty = images.parse_volume("tmp,kind=empty,mode=1777,uid=10,gid=20")
    assert (empty.name, empty.kind, empty.mode, empty.uid, empty.gid) == ("tmp", "empty", "1777", 10, 20)
    assert images.parse_volume("v,source=/x,kind=host").source == "/x"
    assert images.parse_volume("v,kind=host,source=/100%/%zz").source == "/100%/%zz"


@pytest.mark.parametrize(("text", "reason"), [
    ("v", "kind=host or kind=empty is missing"),
    ("v,kind=tmpfs", "kind=tmpfs is neither host nor empty"),
    ("v,kind=host", "source=PATH, an absolute path, is needed"),
    ("v,kind=host,source=x", "source=PATH, an absolute path, is needed"),
    ("v,kind=empty,source=/x", "a volume of kind empty has no source, only mode, uid, gid"),
    ("v,kind=host,source=/x,uid=1", "a volume of kind host has no uid, only source, readOnly, recursive"),
    ("v,kind=host,source=/x,source=/y", "source is given twice"),
    ("v,kind=empty,", "an empty part is not KEY=VALUE"),
    ("v,kind=empty,mode", "mode is not KEY=VALUE")])
def test_volumes_that_make_no_sense(text: str, reason: str) -> None:
    assert refusal("a", volume=(text,)) == f"--volume: {text}: {reason}"


@pytest.mark.parametrize(("text", "line"), [
    ("v,kind=host,source=/x,readOnly=si", "--volume: readOnly: si is neither true nor false"),
    ("v,kind=empty,mode=888", "--volume: mode: 888 is not a number in octal"),
    ("v,kind=empty,uid=x", "--volume: uid: x is not a number")])
def test_values_of_volumes_that_make_no_sense(text: str, line: str) -> None:
    assert refusal("a", volume=(text,)) == line


def test_two_volumes_of_one_name() -> None:
    assert refusal("a", volume=("v,kind=empty", "v,kind=empty")) == "--volume: two volumes have the name v"


def test_an_environment_file() -> None:
    text = "# comment\n; another\n\n  A=1\nB=x=y # kept\nEMPTY=\n"
    assert images.environment_file(text, "f") == (("A", "1"), ("B", "x=y # kept"), ("EMPTY", ""))


@pytest.mark.parametrize(("text", "line"), [
    ("A=1\nnonsense\n", "--set-env-file: f: line 2: nonsense is not NAME=VALUE"),
    ("A=1\n\nA=2", "--set-env-file: f: line 3: A is given twice"),
    ("=1", "--set-env-file: f: line 1: =1 is not NAME=VALUE")])
def test_environment_files_that_make_no_sense(text: str, line: str) -> None:
    with pytest.raises(ImagesError) as caught:
        images.environment_file(text, "f")
    assert str(caught.value) == line


def test_set_env_wins_over_the_file(tmp_path: object) -> None:
    path = f"{tmp_path}/env"
    with open(path, "w", encoding="ascii") as file:
        file.write("A=file\nB=file\n")
    assert images.pod_environment(("A=option",), path) == (("A", "option"), ("B", "file"))
    with pytest.raises(ImagesError, match="--set-env: A is given twice"):
        images.pod_environment(("A=1", "A=2"), None)
    with pytest.raises(ImagesError, match=f"reading --set-env-file {path}x"):
        images.pod_environment((), path + "x")


def test_pull_policies() -> None:
    assert images.pull_policy("new", False, False) == "new"
    assert images.pull_policy("new", True, False) == "never"
    assert images.pull_policy("never", False, True) == "update"
    with pytest.raises(ImagesError, match="--store-only and --no-store exclude each other"):
        images.pull_policy("new", True, True)


@pytest.mark.parametrize(("words", "what"), [
    (("a",), "images"), (("--volume=v,kind=empty",), "--volume"), (("--mount=volume=v,target=/t",), "--mount"),
    (("--inherit-env",), "--inherit-env"), (("--set-env=A=1",), "--set-env"), (("--set-env-file=f",), "--set-env-file"),
    (("--pull-policy=never",), "--pull-policy=never"), (("--no-store",), "--pull-policy=update")])
def test_a_pod_manifest_stands_alone(words: tuple[str, ...], what: str) -> None:
    values = argv.parse(["run", "--pod-manifest=f", *words]).values
    with pytest.raises(ImagesError) as caught:
        images.check_pod_manifest_alone(values)
    assert str(caught.value) == f"--pod-manifest and {what} exclude each other"


def test_a_pod_manifest_with_options_of_the_run_is_fine() -> None:
    words = ["run", "--pod-manifest=f", "--net=host", "--hostname=h", "--uuid-file-save=u"]
    images.check_pod_manifest_alone(argv.parse(words).values)


# --- the grammar: what is put together comes apart as it was ------------------------------------

plain = st.text("abcz./:,=@#é ", min_size=1).filter(lambda text: not text.startswith("-"))
anything = st.text(min_size=0, max_size=8).filter(lambda text: text != "---")
absolute = plain.map(lambda text: "/" + text)
variables = st.dictionaries(st.text("ABC_", min_size=1), st.text("xyz= ,", max_size=5), max_size=3)


@st.composite
def image_args(draw: st.DrawFn) -> ImageArgs:
    return ImageArgs(
        image=draw(plain),
        exec=draw(st.none() | absolute),
        args=tuple(draw(st.lists(anything, max_size=3))),
        working_dir=draw(st.none() | absolute),
        user=draw(st.none() | plain),
        group=draw(st.none() | plain),
        supplementary_gids=tuple(draw(st.lists(st.integers(0, 2**32 - 2), max_size=3))),
        environment=tuple(draw(variables).items()),
        readonly_rootfs=draw(st.booleans()),
        user_labels=tuple(draw(variables).items()))


def spelt(draw: st.DrawFn, name: str, value: str) -> list[str]:
    return draw(st.sampled_from([[f"--{name}={value}"], [f"--{name}", value]]))


@st.composite
def lines(draw: st.DrawFn) -> tuple[tuple[ImageArgs, ...], list[str], int]:
    """Images, a line that says so, and how often --set-env=X=n is strewn into it."""
    found = draw(st.lists(image_args(), min_size=1, max_size=4))
    words: list[str] = []
    strewn = 0
    for number, image in enumerate(found):
        words.append(image.image)
        own: list[list[str]] = []
        for name, value in (("exec", image.exec), ("working-dir", image.working_dir), ("user", image.user),
                            ("group", image.group)):
            if value is not None:
                own.append(spelt(draw, name, value))
        if image.supplementary_gids:
            own.append(spelt(draw, "supplementary-gids", ",".join(map(str, image.supplementary_gids))))
        if image.readonly_rootfs:
            own.append(draw(st.sampled_from([["--readonly-rootfs"], ["--readonly-rootfs=1"]])))
        for name, pairs in (("environment", image.environment), ("user-label", image.user_labels)):
            own += [spelt(draw, name, f"{key}={value}") for key, value in pairs]
        if draw(st.booleans()):
            own.insert(draw(st.integers(0, len(own))), spelt(draw, "set-env", f"X={strewn}"))
            strewn += 1
        if draw(st.booleans()):
            own.insert(draw(st.integers(0, len(own))), draw(st.sampled_from([[""], ["--debug"], ["--net"]])))
        at = len(own) if number + 1 == len(found) else draw(st.integers(0, len(own)))
        words += [word for option in own[:at] for word in option]
        if image.args:
            words += ["--", *image.args]
            if at < len(own) or number + 1 < len(found) or draw(st.booleans()):
                words.append("---")
        words += [word for option in own[at:] for word in option]
    return tuple(found), words, strewn


@given(lines())
def test_a_line_comes_apart_as_it_was_put_together(made: tuple[tuple[ImageArgs, ...], list[str], int]) -> None:
    found, words, strewn = made
    parsed = argv.parse(["run", *words])
    assert parsed.values["words"] == tuple(words)
    assert parsed.values["set_env"] == tuple(f"X={number}" for number in range(strewn))
    assert split(parsed.values["words"]).images == found


@given(st.lists(st.sampled_from(["a", "b", "--", "---", "", "--exec=/x", "--user", "--debug", "--net", "--mount", "-x"])
                | st.text(max_size=4), max_size=8))
def test_any_line_is_parsed_or_refused_and_nothing_else(words: list[str]) -> None:
    try:
        parsed = argv.parse(["run", *words])
        if parsed.command is RUN:
            split(parsed.values["words"], mount=parsed.values["mount"])
    except (argv.UsageError, ImagesError) as err:
        assert str(err)
