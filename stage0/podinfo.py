"""What the files of a pod tell about it, for list, status and all that look.

A pod is read without its owner's help and often, so this goes by descriptors of the pod directory
and takes from the pod manifest, which rkt wrote, only what is shown.
"""
from __future__ import annotations

import os

from stage0 import pods as states
from stage0.pods import Pod, PodError
from stage1 import poddir
from stage2 import jsontext
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CREATED, RUNNING, EXITED, UNKNOWN = "created", "running", "exited", "unknown"

DEFAULT_STOP_TIMEOUT_S = 10.0

_STARTED = (states.RUNNING, states.EXITED, states.EXITED_GARBAGE, states.EXITED_DELETING)


class MountInfo(Value):
    """A volume as an app sees it."""

    name: str
    container_path: str
    host_path: str
    read_only: bool


class AppInfo(Value):
    """One app; times are nanoseconds since 1970."""

    name: str
    image_id: str
    image_name: str | None           # with the version, NAME:VERSION
    user_annotations: dict[str, str]
    user_labels: dict[str, str]
    mounts: tuple[MountInfo, ...] = ()
    state: str = UNKNOWN
    created_ns: int | None = None
    started_ns: int | None = None
    finished_ns: int | None = None
    exit_code: int | None = None
    signal: int | None = None


class PodInfo(Value):
    """One pod; times are nanoseconds since 1970."""

    uuid: str
    name: str | None
    state: str
    created_ns: int | None
    started_ns: int | None
    apps: tuple[AppInfo, ...]
    user_annotations: dict[str, str]
    user_labels: dict[str, str]

    @property
    def ended(self) -> bool:
        """Whether the pod ran and runs no more."""
        return self.state in _STARTED and self.state != states.RUNNING

    def exit_status(self) -> int:
        """The status that `rkt run` had: that of the app that failed first, else 0. Raises PodError."""
        if not self.ended:
            raise PodError(f'pod "{self.uuid}" is {self.state}, it has no exit status (--wait waits for it)')
        failed = [(app.finished_ns, app.exit_code) for app in self.apps if app.exit_code and app.finished_ns]
        if failed:
            return int(min(failed)[1])
        unknown = [app.name for app in self.apps if app.exit_code is None]
        if unknown:
            raise PodError(f'pod "{self.uuid}" ended before the exit status of {", ".join(unknown)} was known')
        return 0


def read(pod: Pod, *, details: bool = True) -> PodInfo:
    """What is known of a pod; without `details` the apps have no state, times and mounts.

    Raises PodGone; PodError if the pod manifest cannot be read, as after a power loss.
    """
    state = pod.state
    manifest: dict[str, Any] = {}
    try:
        manifest = jsontext.loads(pod.read(poddir.MANIFEST), own=True)
        apps = tuple([_app(app, manifest, pod, state if details else None) for app in manifest["apps"]])
    except FileNotFoundError:
        apps = ()
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as err:
        raise PodError(f"manifest of pod {pod.uuid}") from err
    return PodInfo(
        pod.uuid,
        pod.name(),
        state,
        _mtime(pod, poddir.CREATED) or _mtime(pod, poddir.MANIFEST),
        _mtime(pod, poddir.PPID) if state in _STARTED else None,
        apps,
        manifest.get("userAnnotations") or {},
        manifest.get("userLabels") or {},
    )


def _app(found: dict[str, Any], manifest: dict[str, Any], pod: Pod, state: str | None) -> AppInfo:
    """An app; with the state of its pod, its own state, times and mounts too."""
    image, app = found["image"], found.get("app") or {}
    name = found["name"]
    known = (name, image["id"], image_name(image.get("name"), image.get("labels") or ()),
             app.get("userAnnotations") or {}, app.get("userLabels") or {})
    if state is None:
        return AppInfo(*known)
    mounts = tuple([_mount(mount, app, manifest, pod) for mount in found.get("mounts") or ()])
    if state not in _STARTED:
        return AppInfo(*known, mounts, CREATED if state == states.PREPARED else UNKNOWN)
    started = _mtime(pod, poddir.status_started(name))
    code = _number(pod, poddir.status(name))
    if code is not None or state != states.RUNNING:
        now = EXITED
    else:
        now = CREATED if started is None else RUNNING
    return AppInfo(
        *known, mounts, now,
        _mtime(pod, poddir.status_created(name)),
        started,
        None if code is None else _mtime(pod, poddir.status(name)),
        code,
        None if code is None else _number(pod, poddir.status_signal(name)),
    )


def image_name(name: str | None, labels: Any) -> str | None:
    """The name of an image with its version, if it has one: NAME:VERSION."""
    version = next((label["value"] for label in labels if label["name"] == "version"), None)
    return f"{name}:{version}" if name and version else name


def _mount(mount: dict[str, Any], app: dict[str, Any], manifest: dict[str, Any], pod: Pod) -> MountInfo:
    volumes = [volume for volume in manifest.get("volumes") or () if volume["name"] == mount["volume"]]
    volume = mount.get("appVolume") or volumes[0]
    points = [point for point in app.get("mountPoints") or () if point["path"] == mount["path"]]
    read_only = volume.get("readOnly")
    if read_only is None:
        read_only = any(point.get("readOnly") for point in points)
    own = f"{pod.path}/{poddir.SHARED_VOLUMES}/{volume['name']}"
    return MountInfo(volume["name"], mount["path"], volume.get("source") or own, bool(read_only))


def supervisor_pid(pod: Pod) -> int | None:
    """The PID of the process that is, or was, the pod's supervisor."""
    return _number(pod, poddir.PPID)


def payload_pid(pod: Pod) -> int | None:
    """The PID, on the host, of the first process in the container of a running pod."""
    supervisor = supervisor_pid(pod)
    if supervisor is None or not pod.is_held():
        return None
    try:
        with open(f"/proc/{supervisor}/task/{supervisor}/children", encoding="ascii") as file:
            children = file.read().split()
    except OSError:
        return None
    return int(children[0]) if len(children) == 1 else None


def stop_timeout_s(pod: Pod) -> float:
    """How long the apps of a running pod get to end when they are told to."""
    try:
        return float(jsontext.loads(pod.read(poddir.RECORD))["stop_timeout_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return DEFAULT_STOP_TIMEOUT_S


def _mtime(pod: Pod, name: str) -> int | None:
    try:
        return os.stat(name, dir_fd=pod.fd, follow_symlinks=False).st_mtime_ns
    except (FileNotFoundError, NotADirectoryError):
        return None


def _number(pod: Pod, name: str) -> int | None:
    try:
        return int(pod.read(name))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
