"""rkt enter: runs a program in an app of a running pod."""
from __future__ import annotations

from stage0 import podinfo
from stage0 import pods as states
from stage0.pods import Pod, PodError, Pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context

SHELL = "/bin/bash"


def command(ctx: Context, *, uuid: str, command_line: tuple[str, ...], app: str | None) -> int:
    """Run the program; its exit status is ours."""
    import time

    from stage0 import entrypoints

    ctx.require_root()
    with Pods(ctx.data_dir).find(uuid) as pod:
        name = choose_app(pod, app)
        if not command_line:
            ctx.note(f'no command specified, assuming "{SHELL}"')
            command_line = (SHELL,)
        while True:
            if pod.state != states.RUNNING:
                raise PodError(f'pod "{pod.uuid}" is {pod.state}, not running')
            pid = podinfo.payload_pid(pod)
            if pid is not None:
                return entrypoints.enter(pod, pid, name, command_line)
            time.sleep(0.02)  # it is starting: its first process is about to be there


def choose_app(pod: Pod, wanted: str | None) -> str:
    """The name of the app that is meant. Raises PodError if that is not clear."""
    names = [app.name for app in podinfo.read(pod, details=False).apps]
    if wanted is None and len(names) == 1:
        return names[0]
    if wanted in names:
        return str(wanted)
    if wanted is None:
        raise PodError(f'pod "{pod.uuid}" has several apps: {", ".join(names)} (--app=NAME names one)')
    raise PodError(f'pod "{pod.uuid}" has no app {wanted}, only {", ".join(names)}')
