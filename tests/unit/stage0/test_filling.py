"""What is written into a pod directory."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stage0 import filling
from stage0.filling import AppTree
from stage0.pods import Pod, Pods
from stage1.appc import pod as podschema
from stage1.appc.image import App
from stage1.appc.pod import PodManifest, RuntimeApp, RuntimeImage
from stage1.appc.types import Volume

UUID = "12345678-1234-4234-8234-123456789abc"
ID = "sha512-" + "ab" * 64
OWNER = (os.getuid(), os.getgid())


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pods(str(tmp_path)).create(UUID)


@pytest.fixture
def tree(tmp_path: Path) -> AppTree:
    rootfs = tmp_path / "tree"
    (rootfs / "etc").mkdir(parents=True)
    (rootfs / "etc/passwd").write_text("root:x:0:0:::\n")
    (rootfs / "etc").chmod(0o711)
    rootfs.chmod(0o1755)
    return AppTree(ID, b"{image manifest}", "deps-sha512-1", str(rootfs))


def manifest(*names: str, volumes: tuple[Volume, ...] = ()) -> PodManifest:
    return PodManifest("0.8.11", tuple(
        RuntimeApp(name, RuntimeImage(ID, f"example.com/{name}"), App(("/x",), "0", "0")) for name in names), volumes)


def mode(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def test_files_of_a_pod(pod: Pod, tree: AppTree) -> None:
    made = manifest("web", "log")
    filling.fill(pod, made, {"web": tree, "log": tree}, overlay=True)
    assert podschema.loads(pod.read("pod")) == made
    assert mode(f"{pod.path}/pod") == 0o640
    assert pod.read("pod-created") == pod.read("overlay-prepared") == b""
    for name in ("web", "log"):
        assert pod.read(f"appsinfo/{name}/manifest") == b"{image manifest}"
        assert pod.read(f"appsinfo/{name}/imageID") == ID.encode()
        assert pod.read(f"appsinfo/{name}/treeStoreID") == b"deps-sha512-1"
        assert os.listdir(f"{pod.path}/stage1/rootfs/opt/stage2/{name}/rootfs") == []
        assert os.listdir(f"{pod.path}/overlay/deps-sha512-1/work/{name}") == []


def test_the_upper_layer_begins_like_the_root_of_the_image(pod: Pod, tree: AppTree) -> None:
    filling.fill(pod, manifest("web"), {"web": tree}, overlay=True)
    upper = f"{pod.path}/overlay/deps-sha512-1/upper/web"
    assert mode(upper) == 0o1755
    assert os.listdir(upper) == ["etc"]
    assert mode(f"{upper}/etc") == 0o711
    assert os.readlink(f"{upper}/etc/mtab") == "../proc/self/mounts"


@pytest.mark.parametrize("given", ["mtab", "no etc", "a link"])
def test_mtab_is_left_alone_where_it_is_or_cannot_be(pod: Pod, tree: AppTree, given: str) -> None:
    etc = Path(tree.rootfs, "etc")
    if given == "mtab":
        (etc / "mtab").symlink_to("/nowhere")
    else:
        (etc / "passwd").unlink()
        etc.rmdir()
        if given == "a link":
            etc.symlink_to("/tmp")
    filling.fill(pod, manifest("web"), {"web": tree}, overlay=True)
    assert os.listdir(f"{pod.path}/overlay/deps-sha512-1/upper/web") == []


def test_without_overlay_the_tree_is_copied(pod: Pod, tree: AppTree) -> None:
    filling.fill(pod, manifest("web"), {"web": tree}, overlay=False)
    rootfs = f"{pod.path}/stage1/rootfs/opt/stage2/web/rootfs"
    assert mode(rootfs) == 0o1755
    assert Path(rootfs, "etc/passwd").read_text() == "root:x:0:0:::\n"
    assert os.readlink(f"{rootfs}/etc/mtab") == "../proc/self/mounts"
    assert not os.path.lexists(f"{tree.rootfs}/etc/mtab")
    assert not os.path.lexists(f"{pod.path}/overlay") and not os.path.lexists(f"{pod.path}/overlay-prepared")


def test_empty_volumes(pod: Pod, tree: AppTree) -> None:
    volumes = (Volume("plain", "empty", uid=OWNER[0], gid=OWNER[1]),
               Volume("shared", "empty", mode="1777", uid=OWNER[0], gid=OWNER[1]), Volume("srv", "host", "/srv"))
    filling.fill(pod, manifest("web", volumes=volumes), {"web": tree}, overlay=True)
    directory = f"{pod.path}/sharedVolumes"
    assert sorted(os.listdir(directory)) == ["plain", "shared"]
    assert [mode(path) for path in (directory, f"{directory}/plain", f"{directory}/shared")] == [0o755, 0o755, 0o1777]


def test_apps_do_not_inherit_the_group_of_the_pods(pod: Pod, tree: AppTree) -> None:
    os.chmod(pod.path, 0o2750)
    volumes = (Volume("plain", "empty", uid=OWNER[0], gid=OWNER[1]),)
    filling.fill(pod, manifest("web", volumes=volumes), {"web": tree}, overlay=True)
    for top in ("stage1", "overlay", "sharedVolumes"):
        for path, _, _ in os.walk(f"{pod.path}/{top}"):
            assert not mode(path) & stat.S_ISGID, path
