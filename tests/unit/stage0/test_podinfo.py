"""What the files of a pod tell."""
from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stage0 import podinfo
from stage0.pods import Pod, PodError, Pods

UUID = "12345678-1234-4234-8234-123456789abc"
ID = "sha512-" + "ab" * 64


def app(name: str, **more: object) -> dict[str, object]:
    labels = [{"name": "version", "value": "1.0"}, {"name": "os", "value": "linux"}]
    return {"name": name, "image": {"id": ID, "name": f"example.com/{name}", "labels": labels}, **more}


def manifest(*apps: dict[str, object], **more: object) -> str:
    return json.dumps({"acKind": "PodManifest", "acVersion": "0.8.11", "apps": apps, **more})


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    made = Pods(str(tmp_path)).create(UUID)
    for name in ("appsinfo/web", "stage1/rootfs/rkt/status"):
        os.makedirs(f"{made.path}/{name}")
    made.write("pod", manifest(app("web")))
    made.write("pod-created", "")
    os.utime(f"{made.path}/pod-created", ns=(0, 5_000_000_001))
    return made


def put(pod: Pod, name: str, text: str, mtime_ns: int) -> None:
    pod.write(name, text)
    os.utime(f"{pod.path}/{name}", ns=(0, mtime_ns))


def test_a_prepared_pod(pod: Pod) -> None:
    pod.move("prepared")
    pod.unlock()
    info = podinfo.read(pod)
    assert (info.uuid, info.state, info.created_ns, info.started_ns, info.name) == (
        UUID, "prepared", 5_000_000_001, None, None)
    [web] = info.apps
    assert (web.name, web.image_id, web.image_name, web.state) == ("web", ID, "example.com/web:1.0", "created")


def test_a_running_pod(pod: Pod) -> None:
    pod.write("pod", manifest(app("web"), app("log"), app("new")))
    pod.move("run")
    put(pod, "ppid", "77", 6_000_000_000)
    for name, time_ns in (("web", 7), ("log", 8)):
        put(pod, f"stage1/rootfs/rkt/status/{name}-created", "", time_ns)
        put(pod, f"stage1/rootfs/rkt/status/{name}-started", "", time_ns + 1)
    put(pod, "stage1/rootfs/rkt/status/log", "0", 10)
    info = podinfo.read(pod)
    assert (info.state, info.started_ns, info.ended) == ("running", 6_000_000_000, False)
    assert [(a.state, a.created_ns, a.started_ns, a.finished_ns, a.exit_code) for a in info.apps] == [
        ("running", 7, 8, None, None), ("exited", 8, 9, 10, 0), ("created", None, None, None, None)]
    assert podinfo.supervisor_pid(pod) == 77
    with pytest.raises(PodError) as caught:
        info.exit_status()
    assert str(caught.value) == f'pod "{UUID}" is running, it has no exit status (--wait waits for it)'


def test_the_status_of_a_pod_is_that_of_the_app_that_failed_first(pod: Pod) -> None:
    pod.write("pod", manifest(app("a"), app("b"), app("c")))
    pod.move("run")
    pod.unlock()
    for name, code, time_ns in (("a", "143", 30), ("b", "0", 10), ("c", "7", 20)):
        put(pod, f"stage1/rootfs/rkt/status/{name}", code, time_ns)
    put(pod, "stage1/rootfs/rkt/status/a-signal", "15", 30)
    info = podinfo.read(pod)
    assert (info.state, info.ended, info.exit_status()) == ("exited", True, 7)
    assert [(a.exit_code, a.signal) for a in info.apps] == [(143, 15), (0, None), (7, None)]


def test_a_killed_pod_has_no_status(pod: Pod) -> None:
    pod.move("run")
    pod.unlock()
    info = podinfo.read(pod)
    assert [(a.state, a.exit_code) for a in info.apps] == [("exited", None)]
    with pytest.raises(PodError) as caught:
        info.exit_status()
    assert str(caught.value) == f'pod "{UUID}" ended before the exit status of web was known'


def test_volumes(pod: Pod) -> None:
    pod.write("pod", manifest(
        app("web",
            app={"mountPoints": [{"name": "data", "path": "/data", "readOnly": True}, {"name": "tmp", "path": "/own"}]},
            mounts=[{"volume": "data", "path": "/data"}, {"volume": "tmp", "path": "/own"},
                    {"volume": "data", "path": "/again"}, {"volume": "x", "path": "/x", "appVolume": {
                        "name": "x", "kind": "host", "source": "/srv/x", "readOnly": True}}]),
        volumes=[{"name": "data", "kind": "host", "source": "/srv"}, {"name": "tmp", "kind": "empty"}]))
    mounts = podinfo.read(pod).apps[0].mounts
    assert [(m.name, m.container_path, m.host_path, m.read_only) for m in mounts] == [
        ("data", "/data", "/srv", True), ("tmp", "/own", f"{pod.path}/sharedVolumes/tmp", False),
        ("data", "/again", "/srv", False), ("x", "/x", "/srv/x", True)]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"apps": 3}', '{"apps": [{"name": "x"}]}', '{"apps": [3]}'])
def test_a_manifest_that_power_loss_left_in_pieces(pod: Pod, text: str) -> None:
    pod.write("pod", text)
    with pytest.raises(PodError, match=f"manifest of pod {UUID}"):
        podinfo.read(pod)


def test_a_pod_without_a_manifest_has_no_apps(pod: Pod) -> None:
    os.unlink(f"{pod.path}/pod")
    assert podinfo.read(pod).apps == ()
