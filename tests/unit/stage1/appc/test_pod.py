"""Pod manifests."""
from __future__ import annotations

import json
from typing import Any

import pytest

from stage1.appc import manifest, pod
from stage1.appc.image import App
from stage1.appc.isolators import CPU
from stage1.appc.pod import (
    ExposedPort,
    ManifestError,
    Mount,
    PodManifest,
    RuntimeApp,
    RuntimeImage,
    Volume,
)
from stage1.appc.quantity import Quantity
from stage1.appc.types import Annotation, Label, Port

ID = "sha512-" + "ab" * 64
SMALLEST: dict[str, Any] = {"acVersion": "1.30.0", "acKind": "PodManifest", "apps": [], "volumes": [], "isolators": [],
                            "annotations": [], "ports": []}
APP: dict[str, Any] = {"name": "web", "image": {"id": ID}}
WHOLE: dict[str, Any] = {
    "acVersion": "1.30.0",
    "acKind": "PodManifest",
    "apps": [
        {
            "name": "web",
            "image": {"name": "example.com/web", "id": ID, "labels": [{"name": "version", "value": "1"}]},
            "app": {"exec": ["/web"], "user": "0", "group": "0",
                    "ports": [{"name": "www", "protocol": "tcp", "port": 80, "count": 1, "socketActivated": False}]},
            "readOnlyRootFS": True,
            "mounts": [{"volume": "data", "path": "/data"},
                       {"volume": "own", "path": "/own", "appVolume": {
                           "name": "own", "kind": "empty", "mode": "0700", "uid": 1, "gid": 2}}],
            "annotations": [{"name": "a", "value": "b"}],
        },
        {"name": "log", "image": {"id": "sha512-ab"}},
    ],
    "volumes": [{"name": "data", "kind": "host", "source": "/srv", "readOnly": True, "recursive": True}],
    "isolators": [{"name": "resource/cpu", "value": {"limit": "2"}}],
    "annotations": [{"name": "created", "value": "2014-10-27T19:32:27Z"}],
    "ports": [{"name": "www", "hostPort": 8080, "hostIP": "127.0.0.1",
               "podPort": {"name": "www", "protocol": "tcp", "port": 81, "count": 1, "socketActivated": False}}],
    "userAnnotations": {"x": "y"},
    "userLabels": {"K": "v"},
}


def load(found: dict[str, Any]) -> PodManifest:
    return pod.loads(json.dumps(found))


def violations(found: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        load(found)
    return caught.value.violations


def test_the_smallest_one() -> None:
    assert load(SMALLEST) == PodManifest("1.30.0", ())
    bare = {"acVersion": "1.30.0", "acKind": "PodManifest", "apps": []}
    assert json.dumps(load(bare).to_json()) == json.dumps(SMALLEST)
    assert manifest.loads(json.dumps(SMALLEST)) == load(SMALLEST)


def test_a_whole_one() -> None:
    assert load(WHOLE) == PodManifest(
        ac_version="1.30.0",
        apps=(
            RuntimeApp(
                name="web",
                image=RuntimeImage(ID, "example.com/web", (Label("version", "1"),)),
                app=App(("/web",), "0", "0", ports=(Port("www", "tcp", 80),)),
                read_only_rootfs=True,
                mounts=(Mount("data", "/data"),
                        Mount("own", "/own", Volume("own", "empty", mode="0700", uid=1, gid=2))),
                annotations=(Annotation("a", "b"),),
            ),
            RuntimeApp("log", RuntimeImage("sha512-ab")),
        ),
        volumes=(Volume("data", "host", "/srv", True, True),),
        isolators=(CPU(limit=Quantity.of("2")),),
        annotations=(Annotation("created", "2014-10-27T19:32:27Z"),),
        ports=(ExposedPort("www", 8080, "127.0.0.1", Port("www", "tcp", 81)),),
        user_annotations=(("x", "y"),),
        user_labels=(("K", "v"),),
    )


def test_keys_come_in_the_order_that_rkt_wrote_them() -> None:
    assert json.dumps(load(WHOLE).to_json()) == json.dumps(WHOLE)


def test_null_lists_as_rkt_wrote_them() -> None:
    assert load({**SMALLEST, "volumes": None, "isolators": None, "annotations": None, "ports": None}) == load(SMALLEST)


NAME = "AC name (lower-case letters, digits, - between them)"
WWW = {**APP, "app": WHOLE["apps"][0]["app"]}


@pytest.mark.parametrize(("members", "violation"), [
    ({"acKind": "ImageManifest"}, 'acKind: "ImageManifest" is not "PodManifest"'),
    ({"acVersion": None},
     "acVersion: missing, must be a version other than 0.0.0 (MAJOR.MINOR.PATCH, semver.org)"),
    ({"apps": None}, "apps: missing, must be a list of objects"),
    ({"apps": [APP, APP]}, 'apps[1].name: "web" stands twice in the list, allowed is once'),
    ({"apps": [{**APP, "name": "a/b"}]}, f'apps[0].name: "a/b" is not an {NAME}'),
    ({"apps": [{**APP, "name": ".."}]}, f'apps[0].name: ".." is not an {NAME}'),
    ({"apps": [{"name": "web"}]}, "apps[0].image: missing, must be an object"),
    ({"apps": [{**APP, "image": {}}]},
     "apps[0].image.id: missing, must be an image ID (sha512- and 2 to 128 hexadecimal digits)"),
    ({"apps": [{**APP, "image": {"id": ID, "name": "A"}}]},
     'apps[0].image.name: "A" is not an AC identifier (lower-case letters, digits, - . _ ~ / between them)'),
    ({"apps": [{**APP, "app": {"user": "0"}}]},
     "apps[0].app.group: missing, must be a user or group (a name, a number, or an absolute path)"),
    ({"apps": [{**APP, "readOnlyRootFS": "true"}]}, 'apps[0].readOnlyRootFS: "true" is not true or false'),
    ({"apps": [{**APP, "mounts": [{"volume": "v"}]}]}, "apps[0].mounts[0].path: missing, must be a path"),
    ({"apps": [{**APP, "mounts": [{"volume": "v", "path": "/x", "appVolume": {"name": "v", "kind": "host"}}]}]},
     "apps[0].mounts[0].appVolume.source: missing, must be an absolute path"),
    ({"apps": [{**APP, "annotations": [{"name": "a", "value": ""}] * 2}]},
     'apps[0].annotations[1].name: "a" stands twice in the list, allowed is once'),
    ({"volumes": [{"name": "v", "kind": "empty"}] * 2},
     'volumes[1].name: "v" stands twice in the list, allowed is once'),
    ({"isolators": [{"name": "resource/cpu", "value": {"default": True}}]},
     "isolators[0].value.default: true is not allowed in resource/cpu, only false"),
    ({"ports": [{"name": "www"}]}, "ports[0].hostPort: missing, must be a whole number from 1 to 65535"),
    ({"ports": [{"name": "www", "hostPort": 80, "hostIP": "::1"}]}, 'ports[0].hostIP: "::1" is not an IPv4 address'),
    ({"ports": [{"name": "www", "hostPort": 80, "podPort": {"name": "www", "port": 0}}]},
     "ports[0].podPort.port: 0 is not a whole number from 1 to 65535"),
    ({"ports": [{"name": "www", "hostPort": 80}], "apps": [WWW, {**WWW, "name": "two"}]},
     'ports: "www" is the name of several ports of the apps, allowed is that of one (or podPort)'),
    ({"userLabels": []}, "userLabels: a list is not an object of texts"),
])
def test_violations(members: dict[str, Any], violation: str) -> None:
    assert violations({**SMALLEST, **members}) == (violation,)


def test_apps_may_have_ports_of_one_name_where_none_is_exposed_by_it() -> None:
    apps = [WWW, {**WWW, "name": "two"}]
    assert len(load({**SMALLEST, "apps": apps}).apps) == 2
    assert len(load({**SMALLEST, "apps": apps, "ports": WHOLE["ports"]}).ports) == 1
