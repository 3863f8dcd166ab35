"""Image manifests (App Container specification, "Image Manifest Schema")."""
from __future__ import annotations

from stage1.appc import node, types
from stage1.appc.node import ManifestError, compact
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage1.appc.isolators import Isolator
    from stage1.appc.node import Node

__all__ = ["App", "Dependency", "EventHandler", "ImageManifest", "ManifestError", "from_json", "loads"]

KIND = "ImageManifest"
MAX_WHITELIST = 1 << 20
MAX_SIZE = (1 << 64) - 1


def loads(data: bytes | str) -> ImageManifest:
    """The image manifest of a JSON text. Raises ManifestError with all violations."""
    return node.loads(data, ImageManifest.parse)


def from_json(found: Any) -> ImageManifest:
    """The image manifest of parsed JSON. Raises ManifestError with all violations."""
    return node.from_json(found, ImageManifest.parse)


class EventHandler(Value):
    """A program that runs before the app starts (pre-start) or after it ended (post-stop)."""

    name: str
    exec: tuple[str, ...]

    @classmethod
    def parse(cls, node: Node) -> EventHandler:
        return cls(node["name"].one_of("pre-start", "post-stop"), node["exec"].texts(lowest=1))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "exec": list(self.exec)}


class App(Value):
    """What to run of an image, and how."""

    exec: tuple[str, ...]
    user: str
    group: str
    supplementary_gids: tuple[int, ...] = ()
    event_handlers: tuple[EventHandler, ...] = ()
    working_directory: str = "/"
    environment: tuple[types.EnvironmentVariable, ...] = ()
    mount_points: tuple[types.MountPoint, ...] = ()
    ports: tuple[types.Port, ...] = ()
    isolators: tuple[Isolator, ...] = ()
    user_annotations: tuple[tuple[str, str], ...] = ()
    user_labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, node: Node) -> App:
        return cls(
            exec=node["exec"].texts(),
            user=node["user"].text(types.IDENTITY),
            group=node["group"].text(types.IDENTITY),
            supplementary_gids=node["supplementaryGIDs"].integers(0, types.MAX_ID),
            event_handlers=node["eventHandlers"].objects(EventHandler.parse, unique="name"),
            working_directory=_working_directory(node["workingDirectory"]),
            environment=node["environment"].objects(types.EnvironmentVariable.parse, unique="name"),
            mount_points=node["mountPoints"].objects(types.MountPoint.parse),
            ports=node["ports"].objects(types.Port.parse),
            isolators=parse_isolators(node["isolators"]),
            user_annotations=node["userAnnotations"].map(),
            user_labels=node["userLabels"].map(),
        )

    def to_json(self) -> dict[str, Any]:
        return {"exec": list(self.exec)} | compact({
            "eventHandlers": [handler.to_json() for handler in self.event_handlers],
            "user": self.user,
            "group": self.group,
            "supplementaryGIDs": list(self.supplementary_gids),
            "workingDirectory": None if self.working_directory == "/" else self.working_directory,
            "environment": [variable.to_json() for variable in self.environment],
            "mountPoints": [point.to_json() for point in self.mount_points],
            "ports": [port.to_json() for port in self.ports],
            "isolators": [isolator.to_json() for isolator in self.isolators],
            "userAnnotations": dict(self.user_annotations),
            "userLabels": dict(self.user_labels),
        })


def parse_isolators(node: Node) -> tuple[Isolator, ...]:
    """The isolators of an app or a pod."""
    if node.is_missing():
        return ()
    from stage1.appc import isolators  # late: most images have none

    return isolators.parse(node)


def _working_directory(node: Node) -> str:
    return "/" if node.value == "" else node.text(types.ABSOLUTE_PATH, default="/")


class Dependency(Value):
    """An image whose files lie below those of this one; `size` guards against endless data."""

    image_name: str
    image_id: str | None = None
    labels: tuple[types.Label, ...] = ()
    size: int | None = None

    @classmethod
    def parse(cls, node: Node) -> Dependency:
        image_id, size = node["imageID"], node["size"]
        return cls(
            image_name=node["imageName"].text(types.AC_IDENTIFIER),
            image_id=None if image_id.value == "" else image_id.optional_text(types.IMAGE_ID),
            labels=types.parse_labels(node["labels"]),
            size=None if size.is_missing() else size.integer(0, MAX_SIZE),
        )

    def to_json(self) -> dict[str, Any]:
        return compact({"imageName": self.image_name, "imageID": self.image_id,
                        "labels": [label.to_json() for label in self.labels], "size": self.size})


class ImageManifest(Value):
    """What an image is, what it needs and what to run of it."""

    name: str
    ac_version: str
    labels: tuple[types.Label, ...] = ()
    app: App | None = None
    annotations: tuple[types.Annotation, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    path_whitelist: tuple[str, ...] = ()

    @classmethod
    def parse(cls, node: Node) -> ImageManifest:
        if not node["acKind"].one_of(KIND):
            node.stop()  # the rules of an image manifest say nothing about anything else
        return cls(
            name=node["name"].text(types.AC_IDENTIFIER),
            ac_version=node["acVersion"].text(types.VERSION),
            labels=types.parse_labels(node["labels"]),
            app=node["app"].optional_object(App.parse),
            annotations=types.parse_annotations(node["annotations"]),
            dependencies=node["dependencies"].objects(Dependency.parse),
            path_whitelist=node["pathWhitelist"].texts(types.ABSOLUTE_PATH, highest=MAX_WHITELIST),
        )

    def to_json(self) -> dict[str, Any]:
        return compact({
            "acKind": KIND,
            "acVersion": self.ac_version,
            "name": self.name,
            "labels": [label.to_json() for label in self.labels],
            "app": self.app and self.app.to_json(),
            "annotations": [annotation.to_json() for annotation in self.annotations],
            "dependencies": [dependency.to_json() for dependency in self.dependencies],
            "pathWhitelist": list(self.path_whitelist),
        })

    def label(self, name: str) -> str | None:
        """The value of a label, None if the image has none of the name."""
        return next((label.value for label in self.labels if label.name == name), None)

    def annotation(self, name: str) -> str | None:
        """The value of an annotation, None if the image has none of the name."""
        return next((annotation.value for annotation in self.annotations if annotation.name == name), None)
