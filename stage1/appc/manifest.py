"""A manifest of either kind, as its acKind says."""
from __future__ import annotations

from stage1.appc import image, node, pod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.appc.node import Node


def loads(data: bytes | str) -> image.ImageManifest | pod.PodManifest:
    """The image or pod manifest of a JSON text. Raises ManifestError with all violations."""
    return node.loads(data, parse)


def parse(node: Node) -> image.ImageManifest | pod.PodManifest:
    """The image or pod manifest at a node."""
    kind = node["acKind"].one_of(image.KIND, pod.KIND)
    node.stop()
    return image.ImageManifest.parse(node) if kind == image.KIND else pod.PodManifest.parse(node)
