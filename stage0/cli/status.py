"""rkt status: the state of a pod and how its apps ended."""
from __future__ import annotations

from stage0 import podinfo
from stage0 import pods as states
from stage0.cli import output
from stage0.pods import Pod, PodError, Pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context
    from stage0.podinfo import PodInfo


def command(ctx: Context, *, uuid: str, wait: float | None, wait_ready: float | None, format: str | None,
            exit_status: bool) -> int:
    """Print what is known of a pod, after waiting for it if told to."""
    with Pods(ctx.data_dir).find(uuid) as pod:
        if wait_ready is not None and not pod.wait_ready(wait_ready):
            raise PodError(f'pod "{pod.uuid}" is not ready after {wait_ready:g} s')
        if wait is not None and not pod.wait_ended(wait):
            raise PodError(f'pod "{pod.uuid}" has not ended after {wait:g} s')
        info = podinfo.read(pod)
        if format:
            from stage0.cli import podview

            ctx.say(output.json(podview.pod_object(info), format))
        else:
            for line in _lines(pod, info):
                ctx.say(line)
    return info.exit_status() if exit_status else 0


def _lines(pod: Pod, info: PodInfo) -> list[str]:
    lines = [f"state={info.state}"]
    if info.created_ns is not None:
        lines.append(f"created={output.absolute(info.created_ns)}")
    if info.started_ns is not None:
        lines.append(f"started={output.absolute(info.started_ns)}")
    running = info.state == states.RUNNING
    if running or info.ended:
        lines.append("networks=")
        pid = podinfo.payload_pid(pod) if running else None
        pid = podinfo.supervisor_pid(pod) if pid is None else pid
        if pid is not None:
            lines.append(f"pid={pid}")
        lines.append(f"exited={'false' if running else 'true'}")
    if not running:
        lines += [f"app-{app.name}={app.exit_code}" for app in info.apps if app.exit_code is not None]
    if info.name is not None:
        lines.append(f"name={info.name}")
    return lines
