"""Which members of which images make a tree (image-format: dependencies, rendering, pathWhitelist)."""
from __future__ import annotations

from typing import Any

import pytest

from stage0.aci import headers
from stage0.aci.archive import Entry
from stage0.aci.render import MAX_DEPTH, MAX_LAYERS, Choice, Layer, RenderError, flatten, is_plain
from stage1.appc import image
from stage1.appc.image import Dependency, ImageManifest


def manifest(name: str, dependencies: tuple[str, ...] = (), whitelist: tuple[str, ...] = ()) -> ImageManifest:
    return image.from_json({
        "acKind": "ImageManifest", "acVersion": "0.8.11", "name": name, "pathWhitelist": list(whitelist),
        "dependencies": [{"imageName": dependency} for dependency in dependencies]})


def layers_of(top: str, *manifests: ImageManifest) -> list[Layer]:
    """The layers of images whose IDs are their names."""
    by_name = {found.name: found for found in manifests}

    def find(wanted: Dependency) -> str:
        return wanted.image_name

    return flatten(top, by_name.__getitem__, find)


def entry(name: str, kind: bytes = headers.REGULAR) -> Entry:
    made = Entry()
    made.name, made.kind = name, headers.DIRECTORY if name.endswith("/") else kind
    made.name = name.rstrip("/")
    return made


def chosen(*layers: tuple[Layer, str]) -> list[str]:
    """`IMAGE:MEMBER` for what goes into the tree; members are separated by spaces, directories end in a slash."""
    choice = Choice()
    return [f"{layer.image_id}:{name}" for layer, names in layers
            for name in names.split() if choice.of(layer)(entry(f"rootfs/{name}" if name != "." else "rootfs/"))]


def test_the_order_is_depth_first_and_the_last_wins() -> None:
    layers = layers_of("a", manifest("a", ("b", "c")), manifest("b"), manifest("c", ("d",)), manifest("d"))
    assert [layer.image_id for layer in layers] == ["a", "c", "d", "b"]


def test_an_image_that_is_reached_twice_counts_twice() -> None:
    layers = layers_of("a", manifest("a", ("b", "c")), manifest("b", ("d",)), manifest("c", ("d",), ("/x",)),
                       manifest("d"))
    assert [(layer.image_id, layer.above) for layer in layers] == [
        ("a", None), ("c", None), ("d", frozenset({"rootfs/x"})), ("b", None), ("d", None)]


def test_the_list_of_the_topmost_ancestor_filters() -> None:
    layers = layers_of("a", manifest("a", ("b",)), manifest("b", ("c",), ("/b",)), manifest("c", ("d",), ("/c",)),
                       manifest("d"))
    b, c = frozenset({"rootfs/b"}), frozenset({"rootfs/c"})
    assert layers == [Layer("a"), Layer("b", b), Layer("c", c, b), Layer("d", None, b)]


def test_paths_of_the_list_are_cleaned() -> None:
    (layer,) = layers_of("a", manifest("a", whitelist=("/etc//passwd", "/usr/./bin/", "/")))
    assert layer.own == {"rootfs/etc/passwd", "rootfs/usr/bin", "rootfs"}
    assert not is_plain([layer]) and is_plain([Layer("a")])


def test_an_image_that_depends_on_itself() -> None:
    with pytest.raises(RenderError, match=r"^a -> b -> a: depends on itself$"):
        layers_of("a", manifest("a", ("b",)), manifest("b", ("a",)))
    with pytest.raises(RenderError, match=r"^a -> a: depends on itself$"):
        layers_of("a", manifest("a", ("a",)))


def test_limits() -> None:
    chain = [manifest(f"i{number}", (f"i{number + 1}",)) for number in range(MAX_DEPTH)]
    with pytest.raises(RenderError, match=rf"^i0: dependencies more than {MAX_DEPTH} deep$"):
        layers_of("i0", *chain, manifest(f"i{MAX_DEPTH}"))
    doubling = [manifest(f"i{number}", (f"i{number + 1}",) * 2) for number in range(12)]
    with pytest.raises(RenderError, match=rf"^i0: more than {MAX_LAYERS} images in its dependencies$"):
        layers_of("i0", *doubling, manifest("i12"))


A, B = Layer("a"), Layer("b")


@pytest.mark.parametrize(("upper", "lower", "expected"), [
    (". etc/ etc/x", ". etc/ etc/x etc/y", ["a:.", "a:etc/", "a:etc/x", "b:etc/y"]),
    # something else in place of a directory of the lower image, and all that is below it
    ("etc", "etc/ etc/x etc/d/ etc/d/y", ["a:etc"]),
    ("etc/", "etc", ["a:etc/"]),
    # a directory that the upper image does not describe is described by the lower one
    ("etc/x", "etc/ etc/y", ["a:etc/x", "b:etc/", "b:etc/y"]),
    ("etc/x", "etc", ["a:etc/x"]),
    ("etc-x", "etc/ etc/y", ["a:etc-x", "b:etc/", "b:etc/y"]),
])
def test_the_upper_image_wins(upper: str, lower: str, expected: list[str]) -> None:
    assert chosen((A, upper), (B, lower)) == expected


def listed(*paths: str) -> frozenset[str]:
    return frozenset(f"rootfs/{path}" for path in paths)


@pytest.mark.parametrize(("layer", "members", "expected"), [
    # the own list: directories pass, files by their exact path only
    (Layer("a", own=listed("etc/x")), ". etc/ etc/x etc/y usr/", ["a:.", "a:etc/", "a:etc/x", "a:usr/"]),
    (Layer("a", own=listed("etc")), "etc/ etc/x", ["a:etc/"]),
    # an ancestor's list: directories, too
    (Layer("a", above=listed("etc/x")), ". etc/ etc/x etc/y usr/", ["a:.", "a:etc/x"]),
    (Layer("a", own=listed("x"), above=listed("x", "y", "d")), "x y d/ e/", ["a:x", "a:d/"]),
])
def test_lists_of_paths(layer: Layer, members: str, expected: list[str]) -> None:
    assert chosen((layer, members)) == expected


def test_what_a_list_keeps_out_hides_nothing() -> None:
    assert chosen((Layer("a", own=listed("y")), "x y"), (B, "x y")) == ["a:y", "b:x"]


def test_symlinks_are_never_followed() -> None:
    choice = Choice()
    assert choice.of(A)(entry("rootfs/lib", headers.SYMLINK))
    given: list[Any] = [entry("rootfs/lib/"), entry("rootfs/lib/libc.so"), entry("rootfs/usr/lib/libc.so")]
    assert [choice.of(B)(found) for found in given] == [False, False, True]
