"""Garbage collection: what goes when, and what stays."""
from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0 import entrypoints, gc, podnames
from stage0.pods import DIRECTORIES, Pod, PodError, Pods
from stage2.errors import RktError

NUMBERS = {directory: f"{n}0000000-0000-4000-8000-000000000000" for n, directory in enumerate(DIRECTORIES, 1)}


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pods:
    """One unlocked pod in each directory."""
    monkeypatch.setattr(entrypoints, "gc", lambda pod: 0)
    pods = Pods(str(tmp_path))
    for directory, uuid in NUMBERS.items():
        os.mkdir(f"{pods.directory(directory)}/{uuid}")
    return pods


def where(pods: Pods) -> dict[str, list[str]]:
    """The directories that hold pods, by the directory each was made in."""
    names = {uuid: directory for directory, uuid in NUMBERS.items()}
    found = {directory: sorted(names[uuid] for uuid in pods.uuids(directory)) for directory in DIRECTORIES}
    return {directory: uuids for directory, uuids in found.items() if uuids}


def collect(pods: Pods, expire_s: float = 3600, grace_s: float = 3600) -> tuple[list[str], list[str], int]:
    said: list[str] = []
    noted: list[str] = []
    gc.mark(pods, noted.append)
    gc.expire(pods, expire_s, noted.append)
    return said, noted, gc.sweep(pods, grace_s, said.append, noted.append)


def test_marking_removes_nothing(pods: Pods) -> None:
    noted: list[str] = []
    gc.mark(pods, noted.append)
    assert where(pods) == {"prepared": ["prepared"], "exited-garbage": ["exited-garbage", "run"],
                           "garbage": ["embryo", "garbage", "prepare"]}
    assert sorted(noted) == [f'moving pod "{NUMBERS[d]}" to garbage' for d in ("embryo", "prepare", "run")]


def test_young_pods_stay_and_what_never_ran_goes(pods: Pods) -> None:
    said, _, failed = collect(pods)
    assert where(pods) == {"prepared": ["prepared"], "exited-garbage": ["exited-garbage", "run"]}
    assert sorted(said) == [f'Garbage collecting pod "{NUMBERS[d]}"' for d in ("embryo", "prepare", "garbage")]
    assert failed == 0


def test_without_grace_all_goes(pods: Pods) -> None:
    said, noted, failed = collect(pods, 0, 0)
    assert (where(pods), len(said), failed) == ({}, 6, 0)
    assert f'moving expired prepared pod "{NUMBERS["prepared"]}" to garbage' in noted


@pytest.mark.parametrize("directory", DIRECTORIES)
def test_a_busy_pod_is_left_alone(pods: Pods, directory: str) -> None:
    pod = pods.open(NUMBERS[directory])
    assert pod is not None and pod.lock()
    collect(pods, 0, 0)
    assert where(pods) == {directory: [directory]}


def test_stage1_cleans_up_after_each_pod(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr(entrypoints, "gc", lambda pod: called.append(pod.uuid) or 0)
    collect(pods, 0, 0)
    assert sorted(called) == sorted(NUMBERS.values())


def fail(_pod: Pod) -> int:
    raise RktError("no such network")


@pytest.mark.parametrize(("broken", "text"), [(fail, "no such network"), (lambda _: 3, "with status 3")])
def test_a_failing_clean_up_is_told_and_the_pod_goes(
        pods: Pods, monkeypatch: pytest.MonkeyPatch, broken: Callable[[Pod], int], text: str) -> None:
    monkeypatch.setattr(entrypoints, "gc", broken)
    _, noted, failed = collect(pods, 0, 0)
    assert (where(pods), failed) == ({}, 0)
    assert [line for line in noted if text in line and NUMBERS["run"] in line]


def test_a_pod_that_cannot_be_deleted_is_counted(pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pod: Pod) -> None:
        if pod.uuid == NUMBERS["garbage"]:
            raise PermissionError(1, "Operation not permitted", "stubborn")

    monkeypatch.setattr(Pod, "remove", refuse)
    _, noted, failed = collect(pods, 0, 0)
    assert failed == 1
    assert f'pod "{NUMBERS["garbage"]}": stubborn: operation not permitted' in noted


def test_names_of_no_pod_go(pods: Pods) -> None:
    for name, directory in (("lost", "none"), ("kept", "prepared")):
        os.symlink(NUMBERS.get(directory, "f" * 36), f"{pods.directory('names')}/{name}")
    collect(pods)
    assert podnames.all_names(pods.directory("names")) == {"kept": NUMBERS["prepared"]}


@pytest.mark.parametrize(("directory", "message"), [
    ("run", "is running (rkt stop ends it)"),
    ("prepare", "is preparing"),
    ("embryo", "is embryo"),
    ("exited-garbage", "is being deleted by another process"),
    ("prepared", "is in the hands of another process"),
])
def test_what_cannot_be_taken(pods: Pods, directory: str, message: str) -> None:
    owner, other = pods.open(NUMBERS[directory]), pods.open(NUMBERS[directory])
    assert owner is not None and other is not None and owner.lock()
    with pytest.raises(PodError) as caught:
        gc.take(other)
    assert str(caught.value) == f'pod "{NUMBERS[directory]}" {message}'
