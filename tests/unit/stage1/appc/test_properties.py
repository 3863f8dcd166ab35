"""Generated manifests: valid ones come out as they went in, broken ones are refused by the path of the fault."""
from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stage1.appc import image, manifest, node, pod
from stage1.appc.node import ManifestError
from stage2 import jsontext

# --- valid manifests, as the specification describes them -------------------------------------------

free_text = st.text(max_size=12)
words = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
identifiers = st.from_regex(r"[a-z0-9]+([-._~/][a-z0-9]+){0,3}", fullmatch=True)
label_names = identifiers.filter(lambda name: name not in ("name", "os", "arch"))
annotation_names = identifiers.filter(lambda name: name not in ("created", "homepage", "documentation"))
variables = st.from_regex(r"[A-Za-z_][A-Za-z_0-9.-]{0,8}", fullmatch=True)
absolute_paths = words.map(lambda text: "/" + text)
identities = st.one_of(st.integers(0, 70000).map(str), names, absolute_paths)
versions = st.from_regex(r"(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.[1-9][0-9]?(-[a-z]+(\.[1-9])?)?(\+[0-9a-z]+)?",
                         fullmatch=True)
image_ids = st.from_regex(r"sha512-[0-9a-f]{2,128}", fullmatch=True)
quantities = st.from_regex(r"[0-9]{1,9}(\.[0-9]{1,3})?([numkKMGTPE]|[KMGTPE]i|e[0-9])?", fullmatch=True)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | free_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(free_text, inner, max_size=3), max_leaves=6)
dates = st.datetimes().map(lambda when: when.isoformat() + "Z")


def objects(required: dict[str, Any], optional: dict[str, Any] | None = None) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


def named(each: Any, by: str = "name") -> Any:
    return st.lists(each, max_size=3, unique_by=lambda item: item[by])


labels = st.builds(
    lambda others, platform: others + platform,
    named(objects({"name": label_names, "value": free_text})),
    st.sampled_from([[], [{"name": "os", "value": "linux"}, {"name": "arch", "value": "amd64"}],
                     [{"name": "arch", "value": "riscv"}], [{"name": "os", "value": "freebsd"}]]))
annotations = st.builds(
    lambda others, created: others + created,
    named(objects({"name": annotation_names, "value": free_text})),
    st.lists(objects({"name": st.just("created"), "value": dates}), max_size=1))
ports = st.integers(1, 65535).flatmap(lambda port: objects(
    {"name": names, "protocol": st.sampled_from(["tcp", "udp"]), "port": st.just(port)},
    {"count": st.integers(1, 65536 - port), "socketActivated": st.booleans()}))
resources = objects({}, {"request": quantities, "limit": quantities, "default": st.just(False)})
member_sets = st.lists(st.from_regex(r"[A-Z_a-z@/.]{1,9}", fullmatch=True), min_size=1, max_size=3)
isolator_values = {
    "resource/cpu": resources,
    "resource/memory": resources,
    "resource/block-bandwidth": objects({"default": st.just(True)}, {"limit": quantities}),
    "resource/block-iops": objects({"default": st.just(True)}, {"limit": quantities}),
    "resource/network-bandwidth": objects({"default": st.just(True)}, {"limit": quantities}),
    "os/linux/capabilities-remove-set": objects({"set": member_sets}),
    "os/linux/seccomp-retain-set": objects({"set": member_sets}, {"errno": st.sampled_from(["", "EPERM", "E2BIG"])}),
    "os/linux/no-new-privileges": st.booleans(),
    "os/linux/cpu-shares": st.integers(2, 262144),
    "os/linux/oom-score-adj": st.integers(-1000, 1000),
    "os/linux/selinux-context": objects({"user": names, "role": names, "type": names, "level": words}),
    "os/linux/apparmor-profile": objects({"profile": names}),
    "os/unix/sysctl": st.dictionaries(free_text, free_text, max_size=2),
    "example.com/other": json_values,
}
isolators = named(st.sampled_from(sorted(isolator_values)).flatmap(
    lambda name: objects({"name": st.just(name), "value": isolator_values[name]})))
maps = st.dictionaries(free_text, free_text, max_size=2)
apps = objects({"exec": st.lists(words, max_size=3), "user": identities, "group": identities}, {
    "supplementaryGIDs": st.lists(st.integers(0, 4294967294), max_size=2),
    "eventHandlers": named(objects({"name": st.sampled_from(["pre-start", "post-stop"]),
                                    "exec": st.lists(words, min_size=1, max_size=2)})),
    "workingDirectory": absolute_paths,
    "environment": named(objects({"name": variables, "value": words})),
    "mountPoints": st.lists(objects({"name": names, "path": absolute_paths}, {"readOnly": st.booleans()}), max_size=2),
    "ports": st.lists(ports, max_size=2),
    "isolators": isolators,
    "userAnnotations": maps,
    "userLabels": maps,
})
dependencies = objects({"imageName": identifiers},
                       {"imageID": image_ids, "labels": labels, "size": st.integers(0, 2 ** 64 - 1)})
images = objects({"acKind": st.just("ImageManifest"), "acVersion": versions, "name": identifiers}, {
    "labels": labels, "app": apps, "annotations": annotations, "dependencies": st.lists(dependencies, max_size=2),
    "pathWhitelist": st.lists(absolute_paths, max_size=3)})
volumes = st.one_of(
    objects({"name": names, "kind": st.just("host"), "source": absolute_paths},
            {"readOnly": st.booleans(), "recursive": st.booleans()}),
    objects({"name": names, "kind": st.just("empty")},
            {"mode": st.from_regex(r"0?[0-7]{3}", fullmatch=True), "uid": st.integers(0, 65535),
             "gid": st.integers(0, 65535)}))
runtime_apps = objects(
    {"name": names, "image": objects({"id": image_ids}, {"name": identifiers, "labels": labels})},
    {"app": apps, "readOnlyRootFS": st.booleans(), "annotations": annotations,
     "mounts": st.lists(objects({"volume": names, "path": absolute_paths}, {"appVolume": volumes}), max_size=2)})
pods = objects({"acKind": st.just("PodManifest"), "acVersion": versions, "apps": named(runtime_apps)}, {
    "volumes": named(volumes), "isolators": isolators, "annotations": annotations, "userAnnotations": maps,
    "userLabels": maps,
    "ports": st.lists(objects({"name": names, "hostPort": st.integers(1, 65535), "podPort": ports},
                              {"hostIP": st.just("127.0.0.1")}), max_size=2)})
manifests = st.one_of(images, pods)

thorough = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@thorough
@given(manifests)
def test_a_valid_manifest_is_taken_and_comes_back(found: dict[str, Any]) -> None:
    text = json.dumps(found)
    parsed = manifest.loads(text)
    written = parsed.to_json()
    assert manifest.loads(jsontext.dumps(written)) == parsed
    assert manifest.loads(jsontext.dumps(written).encode()).to_json() == written
    assert hash(manifest.loads(text)) == hash(parsed)


@thorough
@given(manifests, st.randoms(use_true_random=False))
def test_the_case_of_keys_does_not_matter_nor_do_unknown_ones(found: dict[str, Any], random: Any) -> None:
    changed = {"".join(random.choice((char.lower(), char.upper())) for char in key): value
               for key, value in found.items()}
    changed["x-unknown"] = [{"acKind": None}]
    assert manifest.loads(json.dumps(changed)) == manifest.loads(json.dumps(found))


# What a field holds that has to be refused, by the path of the field; N stands for any place in a list.
BROKEN: dict[str, Any] = {
    "acVersion": ["", "1", 1, None, "0.0.0"],
    "name": ["", "A", "a/", 5, None, {}],
    "labels": [{}, "x", [5]],
    "labels[N].name": ["name", "A", None],
    "labels[N].value": [None, 1, []],
    "annotations[N].name": ["é", None],
    "app": [[], "x", 1],
    "app.exec": ["x", [None], {"a": "b"}],
    "app.user": ["", None, 0, "\0"],
    "app.group": ["", None, []],
    "app.supplementaryGIDs[N]": [-1, "1", None, 2 ** 32, True, 0.5],
    "app.eventHandlers[N].name": ["stop", None],
    "app.workingDirectory": ["x", 1],
    "app.environment[N].name": ["", "1", "a b", None],
    "app.environment[N].value": [None, 1, "\0"],
    "app.mountPoints[N].path": ["", None],
    "app.mountPoints[N].readOnly": [0, "true"],
    "app.ports[N].port": [0, 65536, 70000, "80", None, 10 ** 300],
    "app.ports[N].count": [0, 65536],
    "app.isolators[N].name": ["", "X", None],
    "dependencies[N].imageName": ["", None],
    "dependencies[N].imageID": ["sha1-00", "sha512-x"],
    "dependencies[N].size": [-1, 2 ** 64, "1"],
    "pathWhitelist[N]": ["x", "", None],
    "apps": [None, {}, [1]],
    "apps[N].name": ["", "a.b", None],
    "apps[N].image": [None, "x"],
    "apps[N].image.id": ["", None, "sha512-"],
    "apps[N].mounts[N].volume": ["", None],
    "apps[N].readOnlyRootFS": [1],
    "apps[N].app.user": [None],
    "volumes[N].kind": ["", "tmpfs", None],
    "ports[N].hostPort": [0, None, 65536],
    "ports[N].hostIP": ["::1", "1.2.3", 5],
}


def places(found: Any, path: str = "") -> Any:
    """Every field of a document: the path of it, what holds it, its key or place there."""
    if isinstance(found, dict):
        for key, value in found.items():
            yield f"{path}.{key}".lstrip("."), found, key
            yield from places(value, f"{path}.{key}".lstrip("."))
    elif isinstance(found, list):
        for place, value in enumerate(found):
            yield f"{path}[{place}]", found, place
            yield from places(value, f"{path}[{place}]")


def pattern(path: str) -> str:
    return "".join("N" if char.isdigit() else char for char in path)


@thorough
@given(manifests, st.data())
def test_a_broken_field_is_named(found: dict[str, Any], data: st.DataObject) -> None:
    broken = copy.deepcopy(found)
    path, holder, key = data.draw(st.sampled_from(
        [place for place in places(broken) if pattern(place[0]) in BROKEN] or [("acVersion", broken, "acVersion")]))
    if path == "name" and found["acKind"] == "PodManifest":
        return
    holder[key] = data.draw(st.sampled_from(BROKEN[pattern(path)]))
    with pytest.raises(ManifestError) as caught:
        manifest.loads(json.dumps(broken))
    assert any(text.startswith(path) for text in caught.value.violations), caught.value.violations
    assert str(caught.value).startswith(caught.value.violations[0])


@thorough
@given(json_values)
def test_whatever_json_it_is_the_answer_is_a_manifest_error(found: Any) -> None:
    for loads in (image.loads, pod.loads, manifest.loads):
        with pytest.raises(ManifestError):
            loads(json.dumps(found))


@thorough
@given(manifests, st.data(), json_values)
def test_any_field_may_hold_anything(found: dict[str, Any], data: st.DataObject, value: Any) -> None:
    broken = copy.deepcopy(found)
    _, holder, key = data.draw(st.sampled_from(list(places(broken))))
    holder[key] = value
    try:
        parsed = manifest.loads(json.dumps(broken))
    except ManifestError as err:
        assert all(": " in text and text.isprintable() for text in err.violations)
    else:
        assert manifest.loads(jsontext.dumps(parsed.to_json())) == parsed


@thorough
@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_at_all(text: bytes | str) -> None:
    with pytest.raises(ManifestError):
        manifest.loads(text)


def test_nothing_takes_long() -> None:
    many = json.dumps([{"name": "x", "value": ""}] * 5000)
    for hostile in (
            '{"acKind":"ImageManifest","acVersion":"1.0.0","name":"a","app":{"exec":' + "[" * 100000 + "}",
            '{"acKind":"ImageManifest","acVersion":"1.0.0","name":"a","labels":' + many + "}",
            "{" + ",".join(f'"k{number}":1' for number in range(200000)) + ',"k7":2}'):
        with pytest.raises(ManifestError) as caught:
            manifest.loads(hostile)
        assert len(caught.value.violations) <= node.MAX_VIOLATIONS + 1
