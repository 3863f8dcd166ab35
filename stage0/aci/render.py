"""Which members of which images make the tree of an image that depends on others. Pure.

`flatten` gives the images, the topmost first; `Choice` says of each member of each of them, in this
order, whether it belongs into the tree: the first image that gives a path keeps it. So nothing is
made that another image would replace, and what has been made is never touched again.
"""
from __future__ import annotations

import os

from stage0.aci.headers import DIRECTORY
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from stage0.aci.archive import Entry
    from stage1.appc.image import Dependency, ImageManifest

MAX_DEPTH = 64      # of dependencies of dependencies
MAX_LAYERS = 1024   # images in a tree; one that is reached twice counts twice
_ROOTFS = "rootfs"


class RenderError(RktError):
    """The dependencies of an image cannot be laid over each other."""


class Layer(Value):
    """One image of a tree. A list of paths that is None does not filter.

    `own` is the image's pathWhitelist, which filters all but directories; `above` that of
    its topmost ancestor that has one, which filters everything.
    """

    image_id: str
    own: frozenset[str] | None = None
    above: frozenset[str] | None = None


def flatten(image_id: str, manifest_of: Callable[[str], ImageManifest],
            find: Callable[[Dependency], str]) -> list[Layer]:
    """The images of a tree, the topmost first: each comes before its dependencies, the last of those first.

    The first that gives a path keeps it. Raises RenderError: an image depends on itself, or
    there are too many; what `find` raises for a dependency that is not there passes.
    """
    layers: list[Layer] = []

    def visit(image: str, above: frozenset[str] | None, path: tuple[str, ...]) -> None:
        manifest = manifest_of(image)
        names = (*path, manifest.name)
        if len(names) > MAX_DEPTH:
            raise RenderError(f"{names[0]}: dependencies more than {MAX_DEPTH} deep")
        if len(layers) == MAX_LAYERS:
            raise RenderError(f"{names[0]}: more than {MAX_LAYERS} images in its dependencies")
        own = frozenset(map(_member, manifest.path_whitelist)) or None
        layers.append(Layer(image, own, above))
        for dependency in reversed(manifest.dependencies):
            below = find(dependency)
            if below in open_images or below == image:
                raise RenderError(f"{' -> '.join(names)} -> {dependency.image_name}: depends on itself")
            open_images.append(image)
            visit(below, own if above is None else above, names)
            open_images.pop()

    open_images: list[str] = []
    visit(image_id, None, ())
    return layers


def is_plain(layers: list[Layer]) -> bool:
    """Whether the tree is just the one image, unpacked."""
    return len(layers) == 1 and layers[0].own is None


class Choice:
    """What of the images of a tree goes into it; asked of the members of one image after the other."""

    def __init__(self) -> None:
        self.layer = Layer("")
        self._given: dict[str, bool] = {}   # the names that are in the tree: is it a directory?
        self._implied: set[str] = set()     # directories that some member needs and none describes

    def of(self, layer: Layer) -> Choice:
        """Go on to the next image."""
        self.layer = layer
        return self

    def __call__(self, entry: Entry) -> bool:
        """Whether a member goes into the tree; it is taken to be there from now on if so."""
        name, is_directory = entry.name, entry.kind == DIRECTORY
        if name != _ROOTFS and not self._passes(name, is_directory):
            return False
        if name in self._given or (not is_directory and name in self._implied):
            return False
        above = _parents(name)
        if not all(self._given.get(parent, True) for parent in above):
            return False  # an image above has something else in place of a directory on the way
        self._given[name] = is_directory
        self._implied.update(above)
        return True

    def _passes(self, name: str, is_directory: bool) -> bool:
        lists = (self.layer.above,) if is_directory else (self.layer.above, self.layer.own)
        return all(listed is None or name in listed for listed in lists)


def _member(path: str) -> str:
    """The member of an archive that a path of a pathWhitelist means."""
    return os.path.normpath(f"{_ROOTFS}/{path.lstrip('/')}")


def _parents(name: str) -> list[str]:
    found = []
    while (name := name.rpartition("/")[0]):
        found.append(name)
    return found
