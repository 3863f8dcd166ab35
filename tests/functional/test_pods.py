"""Pods on disk, with a real rkt: what is prepared, what a failed start leaves, names, copies, removal."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.lib import images
from tests.lib.host import Host
from tests.lib.machine import together

PODS = "/var/lib/rkt/pods"
UNSIGNED = "--insecure-options=image"


def on_disk(host: Host) -> str:
    """All pod directories and names."""
    return host.run("find", PODS, "-mindepth", "2", "-maxdepth", "2").stdout


@pytest.mark.parametrize("words", [
    ["--net=nowhere", "IMAGE"],
    ["--name=failing", "IMAGE", "--user=nobody-such"],
    ["--volume=data,kind=host,source=/no/such", "IMAGE"],
    ["IMAGE", "IMAGE"],
    ["/no/such.aci"],
    ["--slice=no.such", "IMAGE"],
    ["--pod-manifest=/no/such"],
])
def test_a_failed_start_leaves_nothing(host: Host, busybox: Path, words: list[str]) -> None:
    before = on_disk(host)
    uuid_file = host.file("uuid")
    failed = host.rkt(UNSIGNED, "run", f"--uuid-file-save={uuid_file}",
                      *(busybox if word == "IMAGE" else word for word in words))
    assert (failed.returncode, failed.stdout) == (254, "")
    assert failed.stderr.startswith("run: ") and failed.stderr.count("\n") == 1
    assert on_disk(host) == before
    assert not uuid_file.exists()
    assert host.run("systemctl", "list-units", "--plain", "--no-legend", "rkt-*.scope").stdout == ""


def test_the_uuid_can_go_to_a_pipe(host: Host, busybox: Path) -> None:
    shown = host.rkt(UNSIGNED, "run", "--uuid-file-save=/dev/stdout", busybox, "--exec=/bin/true").ok()
    assert host.state(shown.stdout)["app-busybox"] == "0"


def test_a_name_goes_from_pod_to_pod(host: Host, busybox: Path) -> None:
    first = host.shell(busybox, "exit 1", "--name=service")
    second = host.shell(busybox, "exit 2", "--name=service")
    assert host.state("service")["app-busybox"] == "2"
    host.rkt("rm", first.uuid).ok()
    assert host.state("service")["app-busybox"] == "2"
    assert host.rkt("rm", "service").stdout == f'"{second.uuid}"\n'
    assert host.rkt("status", "service").stderr == 'status: no matches found for "service"\n'


def test_one_of_many_gets_a_name(host: Host, busybox: Path) -> None:
    host.rkt(UNSIGNED, "fetch", busybox).ok()
    started = [host.start_shell(busybox, "sleep 1", "--name=wanted") for _ in range(6)]
    done = together(started)
    assert sorted(pod.returncode for pod in done) == [0, 254, 254, 254, 254, 254]
    assert all('the name "wanted" is taken by pod' in pod.stderr for pod in done if pod.returncode)
    host.rkt("rm", "wanted").ok()


def test_a_prepared_pod_without_overlay_keeps_its_copy(host: Host, busybox: Path) -> None:
    uuid = host.rkt(UNSIGNED, "prepare", "--quiet", "--no-overlay", busybox, "--exec=/bin/sh", "--",
                    "-c", "echo new >/new; rm /etc/group; readlink /etc/mtab").ok().stdout.strip()
    rootfs = f"{PODS}/prepared/{uuid}/stage1/rootfs/opt/stage2/busybox/rootfs"
    assert host.run("stat", "-c", "%a %h", f"{rootfs}/tmp", f"{rootfs}/bin/busybox").stdout == "1777 2\n755 1\n"
    assert host.rkt("run-prepared", uuid).ok().stdout == "../proc/self/mounts\n"
    image = host.file("copy").with_suffix(".aci")
    host.rkt("export", uuid, image).ok()
    listed = host.run("tar", "tzf", image).stdout.splitlines()
    assert {"rootfs/new", "rootfs/etc/passwd", "manifest"} < set(listed)
    assert "rootfs/etc/group" not in listed


def test_a_pod_manifest(host: Host, busybox: Path) -> None:
    image_id = host.rkt(UNSIGNED, "fetch", "--full", busybox).ok().stdout.strip()
    path = host.file("pod-manifest")
    app = {"exec": ["/bin/sh", "-c", "cat /data/in; echo $WHO"], "user": "0", "group": "0",
           "environment": [{"name": "WHO", "value": "manifest"}]}
    path.write_text(json.dumps({
        "acKind": "PodManifest", "acVersion": "0.8.11", "userLabels": {"team": "a"},
        "apps": [{"name": "own", "image": {"id": image_id[:20]}, "app": app,
                  "mounts": [{"volume": "data", "path": "/data"}]}],
        "volumes": [{"name": "data", "kind": "host", "source": str(host.file("x").parent)}],
    }))
    (host.file("x").parent / "in").write_text("from the host\n")
    pod = host.rkt("run", "--net=host", f"--pod-manifest={path}").ok()
    assert pod.stdout == "from the host\nmanifest\n"
    written = json.loads(host.rkt("cat-manifest", pod.uuid).stdout)
    assert written["apps"][0]["image"] == {"id": image_id, "name": "example.com/busybox", "labels": images.labels()}
    assert json.loads(host.rkt("status", "--format=json", pod.uuid).stdout)["user_labels"] == {"team": "a"}
    both = host.rkt(UNSIGNED, "run", f"--pod-manifest={path}", busybox)
    assert (both.returncode, both.stderr) == (254, "run: --pod-manifest and images exclude each other\n")


@pytest.mark.parametrize(("content", "complaint"), [
    ("{", "line 1"),
    ('{"acKind": "PodManifest", "acVersion": "0.8.11", "apps": [{"name": "A"}]}', "apps[0].name"),
])
def test_a_pod_manifest_that_is_wrong(host: Host, content: str, complaint: str) -> None:
    path = host.file("pod-manifest")
    path.write_text(content)
    failed = host.rkt("run", f"--pod-manifest={path}")
    assert failed.returncode == 254
    assert failed.stderr.startswith(f"run: pod manifest {path}: ") and complaint in failed.stderr


def test_a_mount_point_without_a_volume_gets_an_empty_one(host: Host, shared: Path) -> None:
    image = images.build(shared / "points.aci", images.manifest("example.com/points", app={
        "mountPoints": [{"name": "data", "path": "/data"}]}))
    pod = host.shell(image, "grep -c ' /data ' /proc/self/mountinfo; echo kept >/data/file")
    assert (pod.returncode, pod.stdout) == (0, "1\n")
    assert pod.stderr == "run: app points: no volume for mount point data (/data), it gets an empty one\n"
    assert host.run("cat", f"{PODS}/run/{pod.uuid}/sharedVolumes/points-data/file").stdout == "kept\n"
    mounts = json.loads(host.rkt("status", "--format=json", pod.uuid).stdout)["apps"][0]["mounts"]
    assert mounts == [{"name": "points-data", "container_path": "/data", "read_only": False,
                       "host_path": f"{PODS}/run/{pod.uuid}/sharedVolumes/points-data"}]


def test_an_image_for_another_machine_is_refused(host: Host, shared: Path) -> None:
    labels = [{"name": "os", "value": "linux"}, {"name": "arch", "value": "armv7b"}]
    image = images.build(shared / "other.aci", images.manifest("example.com/other", labels=labels))
    refused = host.shell(image, "true")
    assert refused.returncode == 254
    assert refused.stderr.startswith("run: image example.com/other: is for linux/armv7b, this is linux/")


def test_rm_takes_mounts_below_a_pod_away_and_nothing_else(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "mkdir /left").ok()
    upper = host.run("sh", "-c", f"echo {PODS}/run/{pod.uuid}/overlay/*/upper/busybox").stdout.strip()
    host.run("sh", "-c", f"mkdir -p /srv/kept; touch /srv/kept/file; mount --bind /srv/kept {upper}/left; "
                         f"touch {upper}/file; mount --bind /srv/kept/file {upper}/file").ok()
    removed = host.rkt("rm", pod.uuid)
    assert (removed.returncode, removed.stdout, removed.stderr) == (0, f'"{pod.uuid}"\n', "")
    assert host.run("ls", "/srv/kept").stdout == "file\n"
    assert host.traces(pod.uuid) == []


def test_nobody_waits_for_a_pod_in_other_hands(host: Host, busybox: Path) -> None:
    pod = host.shell(busybox, "true").ok()
    directory = f"{PODS}/run/{pod.uuid}"
    holder = host.start("flock", "--exclusive", directory, "sh", "-c", "echo held; sleep 30")
    holder.until_line("held")
    assert host.state(pod.uuid)["state"] == "running"
    assert pod.uuid not in host.rkt("gc", "--grace-period=0s").ok().stdout
    assert host.rkt("rm", pod.uuid).returncode == 254
    holder.kill()
    holder.popen.communicate()
    host.run("pkill", "-f", "^sleep 30$")
    host.rkt("rm", pod.uuid).ok()
