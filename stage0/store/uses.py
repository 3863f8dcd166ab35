"""What the pods of a data directory need from the store."""
from __future__ import annotations

import os

from stage0.pods import IN_RUN, VISIBLE, Pods
from stage1 import poddir
from stage2.value import Value


class Uses(Value):
    """Images and trees that some pod needs, by full IDs."""

    images: frozenset[str]
    trees: frozenset[str]


def of_pods(data_dir: str) -> Uses:
    """What the pods need that are being prepared, are prepared, run, or ended and are not yet being deleted.

    Complete while the caller holds the prepare lock exclusively: a pod that takes a tree writes that
    down under the shared lock. A pod that moves on meanwhile is met in the directory it moves to.
    """
    images: set[str] = set()
    trees: set[str] = set()
    for directory in VISIBLE:  # in the order in which pods move
        for pod in _entries(f"{data_dir}/pods/{directory}"):
            path = f"{data_dir}/pods/{directory}/{pod}"
            for app in _entries(f"{path}/appsinfo"):
                images.update(_words(f"{path}/{poddir.app_image_id(app)}"))
                trees.update(_words(f"{path}/{poddir.app_tree_id(app)}"))
    return Uses(frozenset(images), frozenset(trees))


def running_on(data_dir: str, tree: str) -> list[str]:
    """The UUIDs of the running pods that are stacked on a tree."""
    pods = Pods(data_dir)
    stacked = [uuid for uuid in pods.uuids(IN_RUN) if os.path.isdir(f"{pods.root}/{IN_RUN}/{uuid}/overlay/{tree}")]
    found = []
    for uuid in stacked:
        pod = pods.open(uuid, (IN_RUN,))
        if pod is not None:
            with pod:
                found += [uuid] if pod.is_held() else []
    return found


def _entries(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if name[:1] != "."]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read().split()
    except (FileNotFoundError, NotADirectoryError):
        return []
