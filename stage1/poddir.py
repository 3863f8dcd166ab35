"""The name of every file in a pod directory, as the host sees it (docs/on-disk-format.md).

A pod directory is DATA/pods/STATE/UUID; it moves from state to state by rename, and
everything in it is named relative to it. The names are those of rkt 1.30.
"""
from __future__ import annotations

import os

MANIFEST = "pod"
CREATED = "pod-created"                   # empty; its mtime is the time of creation
NAME = "name"                             # the --name of the pod; absent if it has none
OVERLAY_PREPARED = "overlay-prepared"     # empty; there if the apps' trees are stacked by overlay
RUNTIME_CONFIG = "runtime-config"         # JSON: the options of the run, for later commands
SUBCGROUP = "subcgroup"                   # cgroup of the pod's payload, without the leading slash
PPID = "ppid"                             # PID of the supervisor; its mtime is the time of the start
SHARED_VOLUMES = "sharedVolumes"          # volumes of kind empty, by name
STAGE1_ROOTFS = "stage1/rootfs"

STATUS = STAGE1_ROOTFS + "/rkt/status"
RECORD = STAGE1_ROOTFS + "/rkt/record.json"
SUPERVISOR_STATUS = STAGE1_ROOTFS + "/rkt/supervisor-status"   # link to "ready" once the apps started


def app_manifest(app: str) -> str:
    """The image manifest of an app."""
    return f"appsinfo/{app}/manifest"


def app_image_id(app: str) -> str:
    """The full image ID of an app."""
    return f"appsinfo/{app}/imageID"


def app_tree_id(app: str) -> str:
    """The key of the app's rendered tree in the tree store."""
    return f"appsinfo/{app}/treeStoreID"


def app_rootfs(app: str) -> str:
    """Where the app's root is: a copied tree, or the mount point of its overlay."""
    return f"{STAGE1_ROOTFS}/opt/stage2/{app}/rootfs"


def overlay(tree_id: str, app: str, layer: str) -> str:
    """The `upper` or `work` directory of an app's overlay."""
    return f"overlay/{tree_id}/{layer}/{app}"


def status(app: str) -> str:
    """The exit status of an app, decimal, 128+N after signal N; its mtime is the end of the app."""
    return f"{STATUS}/{app}"


def status_signal(app: str) -> str:
    """The number of the signal that ended an app; absent if it exited by itself."""
    return f"{STATUS}/{app}-signal"


def status_created(app: str) -> str:
    """Empty; its mtime is when the app was set up."""
    return f"{STATUS}/{app}-created"


def status_started(app: str) -> str:
    """Empty; its mtime is when the app's program was started."""
    return f"{STATUS}/{app}-started"


def data_dir(pod: str) -> str:
    """The data directory that the pod directory DATA/pods/STATE/UUID stands in."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(pod))))


def tree_rootfs(data: str, tree_id: str) -> str:
    """The root of a rendered image in the tree store."""
    return f"{data}/cas/tree/{tree_id}/rootfs"
