"""The edits of patch-manifest on the JSON of a manifest."""
from __future__ import annotations

import pytest

from stage0.actool.edits import EditError, edited

PLAIN = {"acKind": "ImageManifest", "acVersion": "0.8.11", "name": "example.com/a"}
APP = {**PLAIN, "app": {"exec": ["/bin/sh"], "user": "0", "group": "0"}}


def app(**edits):
    return edited(APP, edits)["app"]


def test_no_edit_changes_nothing_and_no_edit_changes_its_input():
    assert edited(APP, {"name": None, "label": ()}) == APP
    before = {**APP, "app": dict(APP["app"])}
    edited(APP, {"name": "b", "user": "1", "label": ("a=b",)})
    assert APP == before


@pytest.mark.parametrize("key, value, field, expected", [
    ("exec", "/bin/x 'a b' c\\ d \"\"", "exec", ["/bin/x", "a b", "c d", ""]),
    ("user", "nobody", "user", "nobody"),
    ("group", "7", "group", "7"),
    ("supplementary_groups", "1,20", "supplementaryGIDs", [1, 20]),
    ("working_directory", "/srv", "workingDirectory", "/srv"),
])
def test_a_field_of_the_app_is_replaced(key, value, field, expected):
    assert app(**{key: value}) == {**APP["app"], field: expected}


def test_exec_makes_the_app_and_other_fields_do_not():
    made = edited(PLAIN, {"exec": "/bin/true", "user": "0", "group": "0"})
    assert made["app"] == {"exec": ["/bin/true"], "user": "0", "group": "0"}
    with pytest.raises(EditError, match=r"^--working-directory: the image has no app \(--exec makes one\)$"):
        edited(PLAIN, {"working_directory": "/"})


def test_mounts_and_ports_replace_and_their_add_forms_add():
    one = edited(APP, {"mounts": "a,path=/a,readOnly=true:b,path=/b%3Ac"})
    assert one["app"]["mountPoints"] == [
        {"name": "a", "path": "/a", "readOnly": True}, {"name": "b", "path": "/b:c"}]
    assert edited(one, {"mounts": "c,path=/c"})["app"]["mountPoints"] == [{"name": "c", "path": "/c"}]
    assert edited(one, {"mounts": ""})["app"]["mountPoints"] == []
    assert edited(one, {"add_mounts": "c,path=/c:a,path=/A"})["app"]["mountPoints"] == [
        {"name": "a", "path": "/A"}, {"name": "b", "path": "/b:c"}, {"name": "c", "path": "/c"}]
    two = edited(APP, {"ports": "http,protocol=tcp,port=80,count=2,socketActivated=true"})
    http = {"name": "http", "protocol": "tcp", "port": 80, "count": 2, "socketActivated": True}
    assert two["app"]["ports"] == [http]
    assert edited(two, {"add_ports": "dns,protocol=udp,port=53"})["app"]["ports"] == [
        http, {"name": "dns", "protocol": "udp", "port": 53}]


def test_capabilities_replace_all_capability_isolators():
    one = edited(APP, {"isolators": "resource/cpu,limit=1", "capability": "CAP_A,CAP_B"})
    cpu = {"name": "resource/cpu", "value": {"limit": "1"}}
    retain = {"name": "os/linux/capabilities-retain-set", "value": {"set": ["CAP_A", "CAP_B"]}}
    assert one["app"]["isolators"] == [retain, cpu]
    two = edited(one, {"revoke_capability": "CAP_C"})
    assert two["app"]["isolators"] == [cpu, {"name": "os/linux/capabilities-remove-set", "value": {"set": ["CAP_C"]}}]


def test_seccomp_replaces_seccomp_isolators():
    one = edited(APP, {"seccomp_mode": "retain", "seccomp_set": "read,write"})
    assert one["app"]["isolators"] == [{"name": "os/linux/seccomp-retain-set", "value": {"set": ["read", "write"]}}]
    two = edited(one, {"seccomp_mode": "remove,errno=EPERM", "seccomp_set": "reboot"})
    assert two["app"]["isolators"] == [
        {"name": "os/linux/seccomp-remove-set", "value": {"set": ["reboot"], "errno": "EPERM"}}]


@pytest.mark.parametrize("text, value", [
    ("resource/cpu,request=50m,limit=100m", {"request": "50m", "limit": "100m"}),
    ("resource/block-iops,default=true,limit=5", {"default": True, "limit": "5"}),
    ("os/linux/no-new-privileges,true", True),
    ("os/linux/oom-score-adj,-5", -5),
    ("example.com/own,key=value", {"key": "value"}),
    ("example.com/own,some%3Atext", "some:text"),
])
def test_isolators_are_appended_unknown_ones_too(text, value):
    assert app(isolators=text)["isolators"] == [{"name": text.partition(",")[0], "value": value}]
    assert len(app(isolators=f"{text}:{text}")["isolators"]) == 2


def test_labels_annotations_and_environment_are_set_in_place_and_removed():
    one = edited(APP, {"label": ("os=linux", "version=1"), "annotation": ("homepage=http://a",),
                       "environment": ("A=1=2", "B=")})
    assert one["labels"] == [{"name": "os", "value": "linux"}, {"name": "version", "value": "1"}]
    assert one["app"]["environment"] == [{"name": "A", "value": "1=2"}, {"name": "B", "value": ""}]
    two = edited(one, {"label": ("os=freebsd",), "remove_label": ("version",), "remove_annotation": ("homepage",),
                       "remove_environment": ("A",)})
    assert two["labels"] == [{"name": "os", "value": "freebsd"}]
    assert two["annotations"] == []
    assert two["app"]["environment"] == [{"name": "B", "value": ""}]


def test_dependencies_are_added_replaced_in_place_and_removed():
    one = edited(PLAIN, {"dependency": ("a.com/x:1.0,os=linux,imageID=sha512-00,imageSize=7", "a.com/y")})
    assert one["dependencies"] == [
        {"imageName": "a.com/x", "imageID": "sha512-00", "size": 7,
         "labels": [{"name": "version", "value": "1.0"}, {"name": "os", "value": "linux"}]},
        {"imageName": "a.com/y"}]
    two = edited(one, {"dependency": ("a.com/x",)})
    assert two["dependencies"] == [{"imageName": "a.com/x"}, {"imageName": "a.com/y"}]
    assert edited(two, {"remove_dependency": ("a.com/x",)})["dependencies"] == [{"imageName": "a.com/y"}]


@pytest.mark.parametrize("edits, message", [
    ({"exec": "a 'b"}, "--exec: a 'b: no closing quotation"),
    ({"supplementary_groups": "1,x"}, "--supplementary-groups: x is not a whole number"),
    ({"capability": "A", "revoke_capability": "B"}, "--capability and --revoke-capability exclude each other"),
    ({"seccomp_mode": "retain"}, "--seccomp-mode and --seccomp-set go together"),
    ({"seccomp_set": "read"}, "--seccomp-mode and --seccomp-set go together"),
    ({"seccomp_mode": "keep", "seccomp_set": "a"}, "--seccomp-mode: keep is none of remove, retain"),
    ({"seccomp_mode": "retain,EPERM", "seccomp_set": "a"}, "--seccomp-mode: EPERM is not errno=…"),
    ({"mounts": "a,path=/a:"}, "--mounts: a name is missing in a,path=/a:"),
    ({"mounts": "a"}, "--mounts: a: path=… is missing"),
    ({"mounts": "a,path=/a,path=/b"}, "--mounts: a: path is given twice"),
    ({"mounts": "a,path=/a,ro=true"}, "--mounts: a: ro=true is none of path=…, readOnly=…"),
    ({"mounts": "a,path=/a,readOnly=yes"}, "--mounts: a: readOnly: yes is neither true nor false"),
    ({"ports": "a,protocol=tcp"}, "--ports: a: port=… is missing"),
    ({"add_ports": "a,protocol=tcp,port=x"}, "--add-ports: a: port: x is not a whole number"),
    ({"isolators": "resource/cpu"},
     "--isolators: resource/cpu: a value is missing (NAME,key=value,… or NAME,VALUE)"),
    ({"isolators": "resource/cpu,limit=1,x"}, "--isolators: resource/cpu: x is not key=value"),
    ({"isolators": "resource/cpu,limit=1,limit=2"}, "--isolators: resource/cpu: limit is given twice"),
    ({"label": ("os",)}, "--label: os is not NAME=VALUE"),
    ({"remove_label": ("os",)}, "--remove-label: the image has no os"),
    ({"remove_environment": ("A",)}, "--remove-environment: the image has no A"),
    ({"dependency": ("a.com/x,os",)}, "--dependency: a.com/x: os is not label=VALUE"),
    ({"dependency": ("a.com/x,imageSize=big",)}, "--dependency: a.com/x: imageSize: big is not a whole number"),
])
def test_an_edit_that_makes_no_sense(edits, message):
    with pytest.raises(EditError) as failure:
        edited(APP, edits)
    assert str(failure.value) == message
