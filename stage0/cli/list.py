"""rkt list: the pods and their apps."""
from __future__ import annotations

from stage0 import podinfo
from stage0.cli import output
from stage0.pods import PodGone, Pods
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context
    from stage0.podinfo import PodInfo

SHORT_UUID = 8
SHORT_ID = len("sha512-") + 12


def command(ctx: Context, *, no_legend: bool, full: bool, format: str | None) -> int:
    """Print a line for each app, or a JSON array of the pods; those that ended long ago come first."""
    found: list[PodInfo] = []
    unreadable = []
    for pod in Pods(ctx.data_dir).all():
        try:
            found.append(podinfo.read(pod, details=format is not None))
        except PodGone:
            continue
        except (RktError, OSError) as err:
            unreadable.append(errors.line(err))
    found.sort(key=lambda info: info.created_ns or 0)
    if format:
        from stage0.cli import podview

        ctx.say(output.json([podview.pod_object(info) for info in found], format))
    else:
        rows = [row for info in found for row in _rows(info, full)]
        if not no_legend:
            rows.insert(0, ["UUID", "APP", "IMAGE NAME", *(["IMAGE ID"] if full else []),
                            "STATE", "CREATED", "STARTED", "NETWORKS", "NAME"])
        if not any(info.name for info in found):
            rows = [row[:-1] for row in rows]
        if rows:
            ctx.say(output.table(rows)[:-1])
    for line in unreadable:
        ctx.note(line)
    return 0


def _rows(info: PodInfo, full: bool) -> list[list[str]]:
    """The lines of a pod; what is the pod's own stands on the first only."""
    told = output.absolute if full else output.when
    uuid = info.uuid if full else info.uuid[:SHORT_UUID]
    pod = [info.state, *("" if time is None else told(time) for time in (info.created_ns, info.started_ns)),
           "", info.name or ""]
    rows = []
    for app in info.apps:
        rows.append([uuid, app.name, app.image_name or "--", *([app.image_id[:SHORT_ID]] if full else []), *pod])
        uuid, pod = "", [""] * len(pod)
    return rows or [[uuid, "-", "-", *(["-"] if full else []), *pod]]
