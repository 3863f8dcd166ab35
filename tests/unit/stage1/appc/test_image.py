"""Image manifests."""
from __future__ import annotations

import json
from typing import Any

import pytest

from stage1.appc import image, manifest
from stage1.appc.image import App, Dependency, EventHandler, ImageManifest, ManifestError
from stage1.appc.isolators import Memory
from stage1.appc.quantity import Quantity
from stage1.appc.types import Annotation, EnvironmentVariable, Label, MountPoint, Port

SMALLEST: dict[str, Any] = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/app"}
APP: dict[str, Any] = {"exec": ["/bin/app"], "user": "0", "group": "0"}
WHOLE: dict[str, Any] = {
    **SMALLEST,
    "labels": [{"name": "version", "value": "1.0.0"}, {"name": "os", "value": "linux"},
               {"name": "arch", "value": "amd64"}],
    "app": {
        "exec": ["/usr/bin/app", "--quiet"],
        "eventHandlers": [{"name": "pre-start", "exec": ["/bin/pre"]},
                          {"name": "post-stop", "exec": ["/bin/post", "x"]}],
        "user": "100",
        "group": "/etc/group",
        "supplementaryGIDs": [400, 500],
        "workingDirectory": "/opt/work",
        "environment": [{"name": "REDUCE_WORKER_DEBUG", "value": "true"}],
        "mountPoints": [{"name": "work", "path": "/var/lib/work", "readOnly": True}],
        "ports": [{"name": "health", "protocol": "tcp", "port": 4000, "count": 2, "socketActivated": True}],
        "isolators": [{"name": "resource/memory", "value": {"limit": "1G"}}],
        "userAnnotations": {"Any key": "x"},
        "userLabels": {"K": ""},
    },
    "annotations": [{"name": "authors", "value": "A. Uthor"}, {"name": "created", "value": "2014-10-27T19:32:27Z"}],
    "dependencies": [{"imageName": "example.com/base", "imageID": "sha512-" + "0" * 128,
                      "labels": [{"name": "os", "value": "linux"}], "size": 22017258}],
    "pathWhitelist": ["/etc/ca/example.com/crt", "/usr/bin/map"],
}


def load(found: dict[str, Any]) -> ImageManifest:
    return image.loads(json.dumps(found))


def violations(found: dict[str, Any]) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        load(found)
    return caught.value.violations


def test_the_smallest_one() -> None:
    assert load(SMALLEST) == ImageManifest("example.com/app", "0.8.11")
    assert load(SMALLEST).to_json() == SMALLEST


def test_a_whole_one() -> None:
    found = load(WHOLE)
    assert found == ImageManifest(
        name="example.com/app",
        ac_version="0.8.11",
        labels=(Label("version", "1.0.0"), Label("os", "linux"), Label("arch", "amd64")),
        app=App(
            exec=("/usr/bin/app", "--quiet"),
            user="100",
            group="/etc/group",
            supplementary_gids=(400, 500),
            event_handlers=(EventHandler("pre-start", ("/bin/pre",)), EventHandler("post-stop", ("/bin/post", "x"))),
            working_directory="/opt/work",
            environment=(EnvironmentVariable("REDUCE_WORKER_DEBUG", "true"),),
            mount_points=(MountPoint("work", "/var/lib/work", True),),
            ports=(Port("health", "tcp", 4000, 2, True),),
            isolators=(Memory(limit=Quantity.of("1G")),),
            user_annotations=(("Any key", "x"),),
            user_labels=(("K", ""),),
        ),
        annotations=(Annotation("authors", "A. Uthor"), Annotation("created", "2014-10-27T19:32:27Z")),
        dependencies=(Dependency("example.com/base", "sha512-" + "0" * 128, (Label("os", "linux"),), 22017258),),
        path_whitelist=("/etc/ca/example.com/crt", "/usr/bin/map"),
    )
    assert hash(found) == hash(load(WHOLE))


def test_keys_come_in_the_order_that_rkt_wrote_them() -> None:
    assert json.dumps(load(WHOLE).to_json()) == json.dumps(WHOLE)


def test_labels_and_annotations_by_name() -> None:
    found = load(WHOLE)
    assert (found.label("version"), found.label("channel")) == ("1.0.0", None)
    assert (found.annotation("authors"), found.annotation("homepage")) == ("A. Uthor", None)


def test_keys_of_any_case_unknown_keys_and_null() -> None:
    found = {"ACKIND": "ImageManifest", "acversion": "0.8.11", "Name": "a", "extra": {"x": [1]}, "labels": None,
             "app": {"EXEC": None, "user": "u", "group": "g", "supplementaryGids": [1], "workingDirectory": "",
                     "extra": 1, "ports": None}}
    assert load(found) == ImageManifest("a", "0.8.11", app=App((), "u", "g", (1,)))
    assert load(found).to_json()["app"] == {"exec": [], "user": "u", "group": "g", "supplementaryGIDs": [1]}


@pytest.mark.parametrize("kind", ["PodManifest", "imagemanifest", "", None, 5])
def test_another_kind_is_the_only_violation(kind: Any) -> None:
    shown = {None: "missing, must be"}.get(kind, f"{json.dumps(kind)} is not")
    assert violations({"acKind": kind, "name": "NO"}) == (f'acKind: {shown} "ImageManifest"',)


IDENTIFIER = "AC identifier (lower-case letters, digits, - . _ ~ / between them)"
IDENTITY = "a user or group (a name, a number, or an absolute path)"


@pytest.mark.parametrize(("members", "violation"), [
    ({"name": "Example.com"}, f'name: "Example.com" is not an {IDENTIFIER}'),
    ({"name": None}, f"name: missing, must be an {IDENTIFIER}"),
    ({"acVersion": "0"}, 'acVersion: "0" is not a version other than 0.0.0 (MAJOR.MINOR.PATCH, semver.org)'),
    ({"labels": [{"name": "os", "value": "linux"}, {"name": "os", "value": "linux"}]},
     'labels[1].name: "os" stands twice in the list, allowed is once'),
    ({"app": []}, "app: a list is not an object"),
    ({"pathWhitelist": ["/a", "b"]}, 'pathWhitelist[1]: "b" is not an absolute path'),
    ({"pathWhitelist": ["/a", "/" + "b" * 4095]},
     'pathWhitelist[1]: "/' + "b" * 58 + '…" has 4096 characters, 4095 are allowed'),
    ({"dependencies": [{"imageName": "A"}]}, f'dependencies[0].imageName: "A" is not an {IDENTIFIER}'),
    ({"dependencies": [{"imageName": "a", "imageID": "sha1-00"}]},
     'dependencies[0].imageID: "sha1-00" is not an image ID (sha512- and 2 to 128 hexadecimal digits)'),
    ({"dependencies": [{"imageName": "a", "size": -1}]},
     f"dependencies[0].size: -1 is not a whole number from 0 to {2 ** 64 - 1}"),
    ({"dependencies": [{"imageName": "a", "labels": [{"name": "os", "value": "x"}]}]},
     'dependencies[0].labels: os "x" is none of linux, freebsd, darwin'),
    ({"annotations": [{"name": "created", "value": "now"}]},
     'annotations[0].value: "now" is not a date of RFC 3339 (2006-01-02T15:04:05Z)'),
    ({"app": {**APP, "user": ""}}, f'app.user: "" is not {IDENTITY}'),
    ({"app": {**APP, "user": 0}}, f"app.user: 0 is not {IDENTITY}"),
    ({"app": {**APP, "group": None}}, f"app.group: missing, must be {IDENTITY}"),
    ({"app": {**APP, "exec": "/bin/app"}}, 'app.exec: "/bin/app" is not a list of texts'),
    ({"app": {**APP, "exec": ["a\0"]}}, 'app.exec[0]: "a\\u0000" is not text without a zero byte'),
    ({"app": {**APP, "workingDirectory": "x"}}, 'app.workingDirectory: "x" is not an absolute path'),
    ({"app": {**APP, "supplementaryGIDs": [-1]}},
     "app.supplementaryGIDs[0]: -1 is not a whole number from 0 to 4294967294"),
    ({"app": {**APP, "eventHandlers": [{"name": "boot", "exec": ["x"]}]}},
     'app.eventHandlers[0].name: "boot" is not "pre-start" or "post-stop"'),
    ({"app": {**APP, "eventHandlers": [{"name": "pre-start", "exec": ["x"]}] * 2}},
     'app.eventHandlers[1].name: "pre-start" stands twice in the list, allowed is once'),
    ({"app": {**APP, "eventHandlers": [{"name": "pre-start", "exec": []}]}},
     "app.eventHandlers[0].exec: the list is empty, must be a list of at least 1 text"),
    ({"app": {**APP, "environment": [{"name": "A", "value": ""}] * 2}},
     'app.environment[1].name: "A" stands twice in the list, allowed is once'),
    ({"app": {**APP, "ports": [{"name": "www", "protocol": "tcp", "port": 70000}]}},
     "app.ports[0].port: 70000 is not a whole number from 1 to 65535"),
    ({"app": {**APP, "mountPoints": [{"name": "data", "path": "/", "readOnly": 1}]}},
     "app.mountPoints[0].readOnly: 1 is not true or false"),
    ({"app": {**APP, "userLabels": {"x": None}}}, 'app.userLabels["x"]: null is not Unicode text'),
    ({"app": {**APP, "Exec": []}}, 'app: the keys "exec" and "Exec" differ only in case'),
])
def test_violations(members: dict[str, Any], violation: str) -> None:
    assert violations({**SMALLEST, **members}) == (violation,)


def test_violations_come_together_in_the_order_of_the_fields() -> None:
    found = {**SMALLEST, "name": "A", "app": {"ports": [{"name": "-", "port": 0}]}, "labels": 5}
    assert [text.partition(":")[0] for text in violations(found)] == [
        "name", "labels", "app.user", "app.group", "app.ports[0].port", "app.ports[0].name"]


def test_a_long_white_list_is_read() -> None:
    paths = [f"/usr/share/{number}" for number in range(50000)]
    assert load({**SMALLEST, "pathWhitelist": paths}).path_whitelist == tuple(paths)


def test_other_lists_are_bounded() -> None:
    found = [{"name": f"V{number}", "value": ""} for number in range(16385)]
    assert violations({**SMALLEST, "app": {**APP, "environment": found}}) == (
        "app.environment: the list has 16385 items, 16384 are allowed",)


def test_the_kind_decides_which_manifest_it_is() -> None:
    assert manifest.loads(json.dumps(SMALLEST)) == load(SMALLEST)
    with pytest.raises(ManifestError) as caught:
        manifest.loads('{"acKind": "Manifest", "name": 5}')
    assert caught.value.violations == ('acKind: "Manifest" is not "ImageManifest" or "PodManifest"',)
