"""Pod manifests (App Container specification, "Pod Manifest Schema")."""
from __future__ import annotations

from stage1.appc import node, types
from stage1.appc.image import App, parse_isolators
from stage1.appc.node import ManifestError, compact, shown
from stage1.appc.types import Mount, Volume
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage1.appc.isolators import Isolator
    from stage1.appc.node import Node

__all__ = ["ExposedPort", "ManifestError", "Mount", "PodManifest", "RuntimeApp", "RuntimeImage", "Volume", "from_json",
           "loads"]

KIND = "PodManifest"


def loads(data: bytes | str) -> PodManifest:
    """The pod manifest of a JSON text. Raises ManifestError with all violations."""
    return node.loads(data, PodManifest.parse)


def from_json(found: Any) -> PodManifest:
    """The pod manifest of parsed JSON. Raises ManifestError with all violations."""
    return node.from_json(found, PodManifest.parse)


class RuntimeImage(Value):
    """The image of an app."""

    id: str
    name: str | None = None
    labels: tuple[types.Label, ...] = ()

    @classmethod
    def parse(cls, node: Node) -> RuntimeImage:
        return cls(node["id"].text(types.IMAGE_ID), node["name"].optional_text(types.AC_IDENTIFIER),
                   types.parse_labels(node["labels"]))

    def to_json(self) -> dict[str, Any]:
        return compact({"name": self.name, "id": self.id, "labels": [label.to_json() for label in self.labels]})


class RuntimeApp(Value):
    """An app of a pod; `app` replaces that of its image as a whole."""

    name: str
    image: RuntimeImage
    app: App | None = None
    read_only_rootfs: bool = False
    mounts: tuple[Mount, ...] = ()
    annotations: tuple[types.Annotation, ...] = ()

    @classmethod
    def parse(cls, node: Node) -> RuntimeApp:
        return cls(
            name=node["name"].text(types.AC_NAME),
            image=node["image"].object(RuntimeImage.parse),
            app=node["app"].optional_object(App.parse),
            read_only_rootfs=node["readOnlyRootFS"].boolean(False),
            mounts=node["mounts"].objects(Mount.parse),
            annotations=types.parse_annotations(node["annotations"]),
        )

    def to_json(self) -> dict[str, Any]:
        return compact({
            "name": self.name,
            "image": self.image.to_json(),
            "app": self.app and self.app.to_json(),
            "readOnlyRootFS": self.read_only_rootfs or None,
            "mounts": [mount.to_json() for mount in self.mounts],
            "annotations": [annotation.to_json() for annotation in self.annotations],
        })


class ExposedPort(Value):
    """A port of an app that the host forwards to; `pod_port` overrides what the app says of it."""

    name: str
    host_port: int
    host_ip: str | None = None
    pod_port: types.Port | None = None

    @classmethod
    def parse(cls, node: Node) -> ExposedPort:
        host_ip = node["hostIP"]
        return cls(
            name=node["name"].text(types.AC_NAME),
            host_port=node["hostPort"].integer(1, 65535),
            host_ip=None if host_ip.value == "" else host_ip.optional_text(types.IPV4),
            pod_port=node["podPort"].optional_object(types.Port.parse),
        )

    def to_json(self) -> dict[str, Any]:
        return compact({"name": self.name, "hostPort": self.host_port, "hostIP": self.host_ip,
                        "podPort": self.pod_port and self.pod_port.to_json()})


class PodManifest(Value):
    """The apps that run together, and what they share."""

    ac_version: str
    apps: tuple[RuntimeApp, ...]
    volumes: tuple[Volume, ...] = ()
    isolators: tuple[Isolator, ...] = ()
    annotations: tuple[types.Annotation, ...] = ()
    ports: tuple[ExposedPort, ...] = ()
    user_annotations: tuple[tuple[str, str], ...] = ()
    user_labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, node: Node) -> PodManifest:
        if not node["acKind"].one_of(KIND):
            node.stop()  # the rules of a pod manifest say nothing about anything else
        if node["apps"].is_missing():
            node["apps"].wrong("a list of objects")
        made = cls(
            ac_version=node["acVersion"].text(types.VERSION),
            apps=node["apps"].objects(RuntimeApp.parse, unique="name"),
            volumes=node["volumes"].objects(Volume.parse, unique="name"),
            isolators=parse_isolators(node["isolators"]),
            annotations=types.parse_annotations(node["annotations"]),
            ports=node["ports"].objects(ExposedPort.parse),
            user_annotations=node["userAnnotations"].map(),
            user_labels=node["userLabels"].map(),
        )
        made._check_ports(node["ports"])
        return made

    def _check_ports(self, node: Node) -> None:
        """A port that is exposed by its name alone has to be that of one app."""
        seen: set[str] = set()
        twice: set[str] = set()
        for app in self.apps:
            for port in app.app.ports if app.app else ():
                (twice if port.name in seen else seen).add(port.name)
        for exposed in self.ports:
            if exposed.pod_port is None and exposed.name in twice:
                node.note(f"{shown(exposed.name)} is the name of several ports of the apps, "
                          "allowed is that of one (or podPort)")

    def to_json(self) -> dict[str, Any]:
        return {
            "acVersion": self.ac_version,
            "acKind": KIND,
            "apps": [app.to_json() for app in self.apps],
            "volumes": [volume.to_json() for volume in self.volumes],
            "isolators": [isolator.to_json() for isolator in self.isolators],
            "annotations": [annotation.to_json() for annotation in self.annotations],
            "ports": [port.to_json() for port in self.ports],
        } | compact({"userAnnotations": dict(self.user_annotations), "userLabels": dict(self.user_labels)})
