"""Pods: states, look-ups, names, and what other processes see."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stage0 import pods as podstore
from stage0.podnames import PodNameError
from stage0.pods import PodError, Pods

UUID = "12345678-1234-4234-8234-123456789abc"
OTHER = "12345678-ffff-4234-8234-123456789abc"


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(str(tmp_path))


def state(pods: Pods, uuid: str = UUID) -> str:
    """The state as another descriptor, like another process, sees it."""
    pod = pods.open(uuid)
    assert pod is not None
    with pod:
        return pod.state


def make(pods: Pods, uuid: str = UUID, directory: str = podstore.IN_PREPARE, name: str | None = None) -> None:
    """A pod in a directory, unlocked."""
    with pods.create(uuid, name) as pod:
        if directory != podstore.IN_PREPARE:
            pod.move(directory)


def test_a_new_uuid_is_one() -> None:
    uuid = podstore.new_uuid()
    assert len(uuid) == 36 and uuid[14] == "4" and uuid[19] in "89ab" and uuid == uuid.lower()
    assert uuid != podstore.new_uuid()


@pytest.mark.parametrize(("directory", "unlocked", "locked"), [
    ("prepare", "aborted prepare", "preparing"),
    ("prepared", "prepared", "prepared"),
    ("run", "exited", "running"),
    ("exited-garbage", "exited garbage", "exited deleting"),
    ("garbage", "garbage", "deleting"),
])
def test_the_state_is_the_directory_and_the_lock(pods: Pods, directory: str, unlocked: str, locked: str) -> None:
    with pods.create(UUID) as pod:
        if directory != "prepare":
            pod.move(directory)
        assert pod.state == locked
        assert state(pods) == locked
        pod.unlock()
        assert state(pods) == unlocked


def test_a_pod_directory_is_0750(pods: Pods, tmp_path: Path) -> None:
    make(pods)
    assert (tmp_path / "pods/prepare" / UUID).stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "pods/prepare").stat().st_mode & 0o7777 == 0o2750


def test_a_moved_pod_is_found_again(pods: Pods) -> None:
    make(pods, directory="run")
    pod = pods.open(UUID)
    assert pod is not None
    os.rename(pod.path, f"{pods.directory('exited-garbage')}/{UUID}")
    assert pod.state == "exited garbage"
    assert pod.path.endswith(f"/exited-garbage/{UUID}")
    os.rmdir(pod.path)
    with pytest.raises(PodError, match=f"pod {UUID} is gone"):
        assert pod.state


def test_a_locked_pod_cannot_be_locked_again(pods: Pods) -> None:
    with pods.create(UUID):
        second = pods.open(UUID)
        assert second is not None and not second.lock()
    assert second.lock()


def test_a_reader_does_not_keep_a_pod_from_its_owner(pods: Pods) -> None:
    import fcntl
    make(pods)
    reader = os.open(f"{pods.root}/prepare/{UUID}", os.O_RDONLY)
    fcntl.flock(reader, fcntl.LOCK_SH)
    threading.Timer(0.05, os.close, [reader]).start()
    pod = pods.open(UUID)
    assert pod is not None and pod.lock()


@pytest.mark.parametrize("word", [UUID, UUID.upper(), UUID.replace("-", ""), "12345678-1", " 12345678-1\n"])
def test_find_by_uuid_and_prefix(pods: Pods, word: str) -> None:
    make(pods)
    make(pods, OTHER)
    assert pods.find(word).uuid == UUID


@pytest.mark.parametrize("word", ["", " ", "ff", "web", "../prepare", "12345678-1234-4234-8234-000000000000"])
def test_no_match(pods: Pods, word: str) -> None:
    make(pods)
    with pytest.raises(PodError) as caught:
        pods.find(word)
    assert str(caught.value) == f'no matches found for "{word}"'


def test_an_ambiguous_prefix(pods: Pods) -> None:
    make(pods)
    make(pods, OTHER, directory="run")
    with pytest.raises(PodError) as caught:
        pods.find("12")
    assert str(caught.value) == "ambiguous uuid, 2 matches"


@pytest.mark.parametrize("directory", ["embryo", "garbage"])
def test_what_never_ran_and_goes_is_not_found(pods: Pods, directory: str) -> None:
    os.mkdir(f"{pods.directory(directory)}/{UUID}")
    for word in (UUID, "1234"):
        with pytest.raises(PodError, match="no matches found"):
            pods.find(word)
    assert list(pods.all()) == []


def test_a_name_leads_to_its_pod(pods: Pods) -> None:
    make(pods, directory="prepared", name="web")
    assert pods.find("web").uuid == UUID
    assert pods.find("web").name() == "web"


def test_a_name_goes_before_a_prefix(pods: Pods) -> None:
    make(pods, name="1234")
    make(pods, OTHER)
    assert pods.find("1234").uuid == UUID


@pytest.mark.parametrize("directory", ["prepared", "run", "prepare"])
def test_a_name_is_unique_among_live_pods(pods: Pods, directory: str) -> None:
    with pods.create(UUID, "web") as pod:
        if directory != "prepare":
            pod.move(directory)
        with pytest.raises(PodNameError) as caught:
            pods.create(OTHER, "web")
        assert str(caught.value) == f'the name "web" is taken by pod {UUID}'
    assert pods.open(OTHER) is None
    assert pods.find("web").uuid == UUID


@pytest.mark.parametrize("directory", ["run", "prepare"])
def test_the_name_of_a_dead_pod_can_be_given_again(pods: Pods, directory: str) -> None:
    make(pods, directory=directory, name="web")
    make(pods, OTHER, name="web")
    assert pods.find("web").uuid == OTHER
    with pods.find(UUID) as pod:
        assert pod.lock()
        pod.remove()
    assert pods.find("web").uuid == OTHER


def test_a_name_of_no_pod_is_replaced(pods: Pods) -> None:
    os.symlink(OTHER, f"{pods.directory('names')}/web")
    os.symlink(OTHER, f"{pods.directory('names')}/.new")
    make(pods, name="web")
    assert pods.find("web").uuid == UUID


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-a", "a b", "x" * 65, UUID, "é"])
def test_what_is_no_name(pods: Pods, name: str) -> None:
    with pytest.raises(PodNameError, match=r"^pod name "):
        pods.create(UUID, name)
    assert pods.open(UUID) is None


def test_removing_a_pod_frees_its_name_and_leaves_nothing(pods: Pods, tmp_path: Path) -> None:
    with pods.create(UUID, "web") as pod:
        os.makedirs(f"{pod.path}/stage1/rootfs/deep/down")
        os.makedirs(f"{pod.path}/overlay/x/upper")
        pod.remove()
    assert [path for path in tmp_path.rglob("*") if path.is_symlink() or not path.is_dir()] == []
    assert list((tmp_path / "pods").glob("*/*")) == []


@pytest.fixture
def runner(pods: Pods) -> Iterator[subprocess.Popen[str]]:
    """Another process that owns a pod in run/ until its stdin is closed."""
    code = ("import sys; from stage0.pods import Pods; pod = Pods(sys.argv[1]).create(sys.argv[2]); pod.move('run');"
            " print('there', flush=True); sys.stdin.read()")
    with subprocess.Popen([sys.executable, "-c", code, pods.data_dir, UUID], cwd=Path(__file__).parents[3],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "there\n"
        yield process


def test_a_killed_owner_leaves_an_exited_pod(pods: Pods, runner: subprocess.Popen[str]) -> None:
    assert state(pods) == "running"
    runner.kill()
    runner.wait()
    assert state(pods) == "exited"


def test_waiting_for_the_end(pods: Pods, runner: subprocess.Popen[str]) -> None:
    pod = pods.find(UUID)
    start = time.monotonic()
    assert not pod.wait_ended(0.1)
    assert 0.1 <= time.monotonic() - start < 1
    threading.Timer(0.1, runner.kill).start()
    assert pod.wait_ended(10)
    assert pod.state == "exited"
    assert pod.wait_ended(0)


def test_waiting_until_ready(pods: Pods, runner: subprocess.Popen[str]) -> None:
    pod = pods.find(UUID)
    assert not pod.wait_ready(0.05)
    os.makedirs(f"{pod.path}/stage1/rootfs/rkt")
    threading.Timer(0.05, os.symlink, ["ready", f"{pod.path}/stage1/rootfs/rkt/supervisor-status"]).start()
    assert pod.wait_ready(10)


def test_a_pod_that_ends_before_it_is_ready(pods: Pods) -> None:
    make(pods, directory="run")
    with pytest.raises(PodError) as caught:
        pods.find(UUID).wait_ready()
    assert str(caught.value) == f'pod "{UUID}" is exited and never was ready'


def test_a_pod_that_is_held_cannot_be_locked_and_shows_its_state(pods: Pods) -> None:
    make(pods, directory="run")
    with pods.find(UUID) as pod:
        assert pod.hold()
        other = pods.find(UUID)
        assert not other.lock()
        assert other.state == "exited"
    assert other.lock()
