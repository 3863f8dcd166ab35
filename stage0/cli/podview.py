"""A pod as list and status show it: the JSON object."""
from __future__ import annotations

from stage0.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.podinfo import AppInfo, PodInfo


def pod_object(info: PodInfo) -> dict[str, Any]:
    """The JSON object of a pod; what is unknown is left out.

    The keys of rkt 1.30, where `name` is the UUID and pods have seconds but apps have
    nanoseconds, and beside them `pod_name`, `signal` and times by RFC 3339.
    """
    return _known({
        "name": info.uuid,
        "pod_name": info.name,
        "state": info.state,
        "networks": [],
        "app_names": [app.name for app in info.apps],
        "apps": [_app_object(app) for app in info.apps],
        "created_at": info.created_ns and info.created_ns // 10**9,
        "created": info.created_ns and output.rfc3339(info.created_ns),
        "started_at": info.started_ns and info.started_ns // 10**9,
        "started": info.started_ns and output.rfc3339(info.started_ns),
        "user_annotations": info.user_annotations or None,
        "user_labels": info.user_labels or None,
    })


def _app_object(app: AppInfo) -> dict[str, Any]:
    return _known({
        "name": app.name,
        "state": app.state,
        "created_at": app.created_ns,
        "created": app.created_ns and output.rfc3339(app.created_ns),
        "started_at": app.started_ns,
        "started": app.started_ns and output.rfc3339(app.started_ns),
        "finished_at": app.finished_ns,
        "finished": app.finished_ns and output.rfc3339(app.finished_ns),
        "exit_code": app.exit_code,
        "signal": app.signal,
        "image_id": app.image_id,
        "mounts": [{
            "name": mount.name, "container_path": mount.container_path,
            "host_path": mount.host_path, "read_only": mount.read_only,
        } for mount in app.mounts] or None,
        "user_annotations": app.user_annotations or None,
        "user_labels": app.user_labels or None,
    })


def _known(members: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in members.items() if value is not None}
