"""The types that manifests share."""
from __future__ import annotations

from typing import Any

import pytest

from stage1.appc import node, types
from stage1.appc.node import ManifestError, Node
from stage1.appc.types import Annotation, EnvironmentVariable, Label, Mount, MountPoint, Port, Volume

NAME = "AC name (lower-case letters, digits, - between them)"
IDENTIFIER = "AC identifier (lower-case letters, digits, - . _ ~ / between them)"


def violations(found: Any, parse: Any) -> tuple[str, ...]:
    try:
        node.from_json(found, parse)
    except ManifestError as err:
        return err.violations
    return ()


@pytest.mark.parametrize("text", ["a", "0", "abc-def", "a--b", "0a9", "x" * 240])
def test_names(text: str) -> None:
    assert types.check_ac_name(text) == types.sanitize_ac_name(text) == text


@pytest.mark.parametrize("text", ["", "-", "a-", "-a", "A", "a.b", "a/b", "a b", "é", "a\n", "²", "a_b"])
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        types.check_ac_name(text)
    assert caught.value.violations == (f"{node.shown(text)} is not an {NAME}",)


@pytest.mark.parametrize("text", ["a", "example.com/app", "example.com/a~b_c-d", "a//b", "a..b", "0/0"])
def test_identifiers(text: str) -> None:
    assert types.check_ac_identifier(text) == types.sanitize_ac_identifier(text) == text


@pytest.mark.parametrize("text", ["", "/", "a/", ".a", "Example.com", "a:b", "a,b", "a b", "ä", "a\0b"])
def test_what_is_no_identifier(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        types.check_ac_identifier(text)
    assert caught.value.violations == (f"{node.shown(text)} is not an {IDENTIFIER}",)


def test_names_have_a_longest_one() -> None:
    with pytest.raises(ManifestError, match=r"has 241 characters, 240 are allowed$"):
        types.check_ac_name("x" * 241)


@pytest.mark.parametrize(("text", "name", "identifier"), [
    ("Foo", "foo", "foo"), ("a_b.c", "a-b-c", "a_b.c"), ("--a b--", "a-b", "a-b"), ("/x/", "x", "x"),
    ("Ünï", "n", "n"), ("redis:3.2", "redis-3-2", "redis-3.2"), ("x" * 2000, "x" * 240, "x" * 1024)])
def test_sanitizing(text: str, name: str, identifier: str) -> None:
    assert types.sanitize_ac_name(text) == name
    assert types.sanitize_ac_identifier(text) == identifier


@pytest.mark.parametrize("text", ["", "---", "é", "//"])
def test_what_cannot_be_sanitized(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        types.sanitize_ac_name(text)
    assert caught.value.violations == (f"{node.shown(text)} cannot be made an {NAME}",)


@pytest.mark.parametrize("text", [
    "0.8.11", "1.30.0", "0.0.1", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-0.3.7", "1.0.0-x-y.z", "0.5.1+git",
    "1.0.0+001", "1.0.0-beta+exp.sha.5114f85", "1.0.0--", "1.0.0-0a"])
def test_versions(text: str) -> None:
    assert types.check_version(text) == text


@pytest.mark.parametrize("text", [
    "", "0.0.0", "0.0.0-x", "1", "1.2", "1.2.3.4", "v1.2.3", "01.2.3", "1.02.3", "1.2.3-", "1.2.3-01", "1.2.3-a..b",
    "1.2.3+", "1.2.3+a+b", "1.2.3-ü", "-1.2.3", "1.2.x", "1.2.3 ", "²..1"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(ManifestError):
        types.check_version(text)


@pytest.mark.parametrize(("text", "is_one"), [
    ("sha512-" + "0" * 128, True), ("sha512-" + "af" * 32, True), ("sha512-ab", True), ("sha512-a", False),
    ("sha512-", False), ("sha512-" + "0" * 129, False), ("sha256-" + "0" * 64, False), ("sha512-0-0", False),
    ("sha512-AB", False), ("sha512-gg", False), ("0" * 128, False), ("", False)])
def test_image_ids(text: str, is_one: bool) -> None:
    assert types.IMAGE_ID.accepts(text) is is_one


@pytest.mark.parametrize(("text", "is_one"), [
    ("2016-02-29T23:59:59Z", True), ("2015-02-29T00:00:00Z", False), ("2000-02-29T00:00:00Z", True),
    ("1900-02-29T00:00:00Z", False), ("2016-12-31T23:59:60Z", True), ("2016-12-31T23:59:61Z", False),
    ("2016-04-31T00:00:00Z", False), ("2016-08-31T00:00:00Z", True), ("2016-09-31T00:00:00Z", False),
    ("2016-07-31T00:00:00Z", True), ("2016-11-31T00:00:00Z", False), ("2016-13-01T00:00:00Z", False),
    ("2016-00-01T00:00:00Z", False), ("2016-01-00T00:00:00Z", False), ("2016-01-01T24:00:00Z", False),
    ("2016-01-01T00:60:00Z", False), ("2016-01-01T00:00:00.123456789Z", True), ("2016-01-01T00:00:00.Z", False),
    ("2016-01-01T00:00:00+01:00", True), ("2016-01-01T00:00:00.5-23:59", True), ("2016-01-01T00:00:00+24:00", False),
    ("2016-01-01T00:00:00+0100", False), ("2016-01-01T00:00:00", False), ("2016-01-01 00:00:00Z", False),
    ("2016-01-01t00:00:00z", False), ("2016-1-01T00:00:00Z", False), ("16-01-01T00:00:00Z", False), ("", False),
    ("2016-01-01", False), ("２016-01-01T00:00:00Z", False), ("2016-01-01T00:00:00ZZ", False)])
def test_dates(text: str, is_one: bool) -> None:
    assert types.DATE.accepts(text) is is_one


@pytest.mark.parametrize(("text", "is_one"), [
    ("http://example.com", True), ("https://example.com/a?b#c", True), ("HTTPS://[::1]:80/", True),
    ("ftp://example.com", False), ("example.com", False), ("http://", False), ("http:///x", False),
    ("http://a b/", False), ("http://a/\n", False), ("javascript:alert(1)", False), ("", False)])
def test_urls(text: str, is_one: bool) -> None:
    assert types.URL.accepts(text) is is_one


@pytest.mark.parametrize(("text", "is_one"), [
    ("0.0.0.0", True), ("255.255.255.255", True), ("256.0.0.1", False), ("1.2.3", False), ("01.2.3.4", False),
    ("1.2.3.4.5", False), ("::1", False), ("1.2.3.", False), ("", False), ("1.2.3.99999999999999999999", False)])
def test_ipv4_addresses(text: str, is_one: bool) -> None:
    assert types.IPV4.accepts(text) is is_one


@pytest.mark.parametrize(("text", "is_one"), [
    ("PATH", True), ("_", True), ("a.b-c_1", True), ("1a", False), (".a", False), ("", False), ("a=b", False),
    ("a b", False), ("é", False), ("A\0", False)])
def test_variable_names(text: str, is_one: bool) -> None:
    assert types.VARIABLE.accepts(text) is is_one


@pytest.mark.parametrize("text", [
    "12345678-1234-4234-8234-123456789abc", "123456781234423482341 23456789abc".replace(" ", ""),
    "12345678-1234-4234-8234-123456789ABC"])
def test_uuids(text: str) -> None:
    assert types.parse_uuid(text) == "12345678-1234-4234-8234-123456789abc"


@pytest.mark.parametrize("text", ["", "1234", "12345678-1234-4234-8234-123456789abg", "1" * 33, "-" * 36,
                                  "1234567-81234-4234-8234-123456789abc", "12345678-123442348234123456789abc"])
def test_what_is_no_uuid(text: str) -> None:
    with pytest.raises(ManifestError) as caught:
        types.parse_uuid(text)
    assert str(caught.value) == (f'"{text}" is not a UUID (32 hexadecimal digits, dashed 8-4-4-4-12 or not at all)')


# --- values -----------------------------------------------------------------------------------------


def labels(**values: str) -> dict[str, Any]:
    return {"labels": [{"name": name, "value": value} for name, value in values.items()]}


@pytest.mark.parametrize("values", [
    {}, {"version": "1", "channel": ""}, {"os": "linux"}, {"arch": "whatever"}, {"os": "linux", "arch": "amd64"},
    {"os": "linux", "arch": "s390x"}, {"os": "darwin", "arch": "x86_64"}, {"os": "freebsd", "arch": "arm"}])
def test_labels(values: dict[str, str]) -> None:
    found = node.from_json(labels(**values), lambda it: types.parse_labels(it["labels"]))
    assert found == tuple(Label(name, value) for name, value in values.items())


@pytest.mark.parametrize(("found", "violation"), [
    (labels(os="plan9"), 'labels: os "plan9" is none of linux, freebsd, darwin'),
    (labels(os="linux", arch="x86_64"),
     'labels: arch "x86_64" is none of amd64, i386, aarch64, aarch64_be, armv6l, armv7l, armv7b, ppc64, ppc64le, '
     "s390x, those of os linux"),
    (labels(os="darwin", arch="amd64"), 'labels: arch "amd64" is none of x86_64, i386, those of os darwin'),
    (labels(name="x"), 'labels[0].name: "name" is reserved, allowed is any other AC identifier'),
    (labels(Version="1"), f'labels[0].name: "Version" is not an {IDENTIFIER}'),
    ({"labels": [{"name": "a"}]}, "labels[0].value: missing, must be Unicode text"),
    ({"labels": [{"name": "a", "value": 1}]}, "labels[0].value: 1 is not Unicode text"),
    ({"labels": [{"name": "a", "value": ""}] * 2}, 'labels[1].name: "a" stands twice in the list, allowed is once'),
    ({"labels": {"os": "linux"}}, "labels: an object is not a list of objects"),
])
def test_labels_that_are_wrong(found: Any, violation: str) -> None:
    assert violations(found, lambda it: types.parse_labels(it["labels"])) == (violation,)


@pytest.mark.parametrize(("name", "value", "violation"), [
    ("created", "yesterday", 'a[0].value: "yesterday" is not a date of RFC 3339 (2006-01-02T15:04:05Z)'),
    ("homepage", "ftp://x", 'a[0].value: "ftp://x" is not an http or https URL'),
    ("documentation", "", 'a[0].value: "" is not an http or https URL'),
    ("Authors", "x", f'a[0].name: "Authors" is not an {IDENTIFIER}')])
def test_annotations_that_are_wrong(name: str, value: str, violation: str) -> None:
    assert violations({"a": [{"name": name, "value": value}]}, lambda it: types.parse_annotations(it["a"])) == (
        violation,)


def test_annotations() -> None:
    found = [{"name": "created", "value": "2016-01-01T00:00:00Z"}, {"name": "authors", "value": "Ü\n"},
             {"name": "homepage", "value": "https://example.com"}]
    made = node.from_json({"a": found}, lambda it: types.parse_annotations(it["a"]))
    assert made[1] == Annotation("authors", "Ü\n")
    assert [annotation.to_json() for annotation in made] == found


@pytest.mark.parametrize(("parse", "found", "value"), [
    (EnvironmentVariable.parse, {"name": "A.b-c", "value": "$X"}, EnvironmentVariable("A.b-c", "$X")),
    (MountPoint.parse, {"name": "data", "path": "/data"}, MountPoint("data", "/data", False)),
    (MountPoint.parse, {"name": "data", "path": "rel", "readOnly": True}, MountPoint("data", "rel", True)),
    (Port.parse, {"name": "www", "protocol": "udp", "port": 1, "count": 65535, "socketActivated": True},
     Port("www", "udp", 1, 65535, True)),
    (Volume.parse, {"name": "v", "kind": "host", "source": "/x", "readOnly": True, "recursive": False},
     Volume("v", "host", "/x", True, False)),
    (Volume.parse, {"name": "v", "kind": "empty", "mode": "1777", "uid": 5, "gid": 6},
     Volume("v", "empty", mode="1777", uid=5, gid=6)),
    (Mount.parse, {"volume": "v", "path": "/x"}, Mount("v", "/x")),
    (Mount.parse, {"volume": "v", "path": "/x", "appVolume": {"name": "w", "kind": "host", "source": "/y"}},
     Mount("v", "/x", Volume("w", "host", "/y"))),
])
def test_values_and_their_json(parse: Any, found: dict[str, Any], value: Any) -> None:
    assert node.from_json(found, parse) == value
    assert value.to_json() == found
    assert list(value.to_json()) == list(found)


def test_defaults_of_a_port() -> None:
    port = node.from_json({"name": "www", "port": 80}, Port.parse)
    assert port == Port("www", "tcp", 80, 1, False)
    assert port.to_json() == {"name": "www", "protocol": "tcp", "port": 80, "count": 1, "socketActivated": False}


def test_defaults_of_an_empty_volume() -> None:
    volume = node.from_json({"name": "v", "kind": "empty"}, Volume.parse)
    assert volume.to_json() == Volume("v", "empty").to_json() == {
        "name": "v", "kind": "empty", "mode": "0755", "uid": 0, "gid": 0}


VOLUME = {"name": "v", "kind": "host", "source": "/x"}
PORT = {"name": "www", "protocol": "tcp", "port": 80}


@pytest.mark.parametrize(("parse", "found", "violation"), [
    (EnvironmentVariable.parse, {"name": "1A", "value": ""},
     'name: "1A" is not the name of a variable (letters, digits, _ . -, a letter or _ first)'),
    (EnvironmentVariable.parse, {"name": "A", "value": "a\0b"}, 'value: "a\\u0000b" is not text without a zero byte'),
    (EnvironmentVariable.parse, {"name": "A", "value": "x" * 140000},
     'value: "' + "x" * 59 + '…" has 140000 characters, 131071 are allowed'),
    (MountPoint.parse, {"name": "a", "path": ""}, 'path: "" is not a path'),
    (MountPoint.parse, {"name": "a"}, "path: missing, must be a path"),
    (MountPoint.parse, {"name": "a/b", "path": "/x"}, f'name: "a/b" is not an {NAME}'),
    (MountPoint.parse, {"name": "a", "path": "/x", "readOnly": "yes"}, 'readOnly: "yes" is not true or false'),
    (Port.parse, {**PORT, "port": 0}, "port: 0 is not a whole number from 1 to 65535"),
    (Port.parse, {**PORT, "port": 70000}, "port: 70000 is not a whole number from 1 to 65535"),
    (Port.parse, {**PORT, "count": 65457}, "count: 65457 is not a whole number from 1 to 65456"),
    (Port.parse, {**PORT, "count": 0}, "count: 0 is not a whole number from 1 to 65456"),
    (Port.parse, {**PORT, "protocol": 6}, "protocol: 6 is not text without a zero byte"),
    (Volume.parse, {**VOLUME, "kind": "tmpfs"}, 'kind: "tmpfs" is not "empty" or "host"'),
    (Volume.parse, {**VOLUME, "source": "x"}, 'source: "x" is not an absolute path'),
    (Volume.parse, {"name": "v", "kind": "host"}, "source: missing, must be an absolute path"),
    (Volume.parse, {**VOLUME, "mode": "0755"}, 'mode: "0755" is not allowed in a volume of kind host'),
    (Volume.parse, {**VOLUME, "uid": 0}, "uid: 0 is not allowed in a volume of kind host"),
    (Volume.parse, {**VOLUME, "kind": "empty"}, 'source: "/x" is not allowed in a volume of kind empty'),
    (Volume.parse, {"name": "v", "kind": "empty", "mode": "0788"}, 'mode: "0788" is not a file mode in octal (0755)'),
    (Volume.parse, {"name": "v", "kind": "empty", "mode": "17777"}, 'mode: "17777" is not a file mode in octal (0755)'),
    (Volume.parse, {"name": "v", "kind": "empty", "gid": -1}, "gid: -1 is not a whole number from 0 to 4294967294"),
    (Mount.parse, {"volume": "v", "path": "/x", "appVolume": {**VOLUME, "kind": 1}},
     'appVolume.kind: 1 is not "empty" or "host"'),
])
def test_values_that_are_wrong(parse: Any, found: dict[str, Any], violation: str) -> None:
    assert violations(found, parse)[:1] == (violation,)


def test_a_wrong_kind_of_volume_is_the_only_violation_of_it() -> None:
    assert len(violations({"name": "v", "kind": "tmpfs", "source": "/x"}, Volume.parse)) == 1


def test_parse_leaves_no_trace_on_the_document() -> None:
    found = {"name": "www", "port": 80}
    Port.parse(Node(found))
    assert found == {"name": "www", "port": 80}
