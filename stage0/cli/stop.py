"""rkt stop: ends running pods and waits until they ended."""
from __future__ import annotations

import os

from stage0 import podinfo
from stage0 import pods as states
from stage0.pods import Pod, PodError, Pods
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context

MARGIN_S = 5.0           # what the end of a pod may take once its apps are killed


def command(ctx: Context, *, uuids: tuple[str, ...], force: bool) -> int:
    """Ask each pod to end, all of them before the first is waited for."""
    pods = Pods(ctx.data_dir)
    asked: list[Pod] = []
    failed = 0
    for word in uuids:
        try:
            pod = pods.find(word)
            if _ask(ctx, pod, force):
                asked.append(pod)
        except (RktError, OSError) as err:
            ctx.note(errors.line(err))
            failed += 1
    os.chdir("/")
    for pod in asked:
        try:
            _await(pod, force)
            ctx.say(f'"{pod.uuid}"')
        except RktError as err:
            ctx.note(errors.line(err))
            failed += 1
    if failed:
        raise PodError(f"failed to stop {failed} pod(s)")
    return 0


def _ask(ctx: Context, pod: Pod, force: bool) -> bool:
    """Send the request; False if the pod ended already."""
    from stage0 import entrypoints

    state = pod.state
    if state in (states.EXITED, states.EXITED_GARBAGE, states.EXITED_DELETING):
        ctx.say(f'pod "{pod.uuid}" is already stopped')
        return False
    if state != states.RUNNING:
        raise PodError(f'pod "{pod.uuid}" is {state}, not running')
    status = entrypoints.stop(pod, force=force)
    if status and pod.state == states.RUNNING:
        raise PodError(f'pod "{pod.uuid}": its stop entry point failed with status {status}')
    return True


def _await(pod: Pod, force: bool) -> None:
    limit_s = (0 if force else podinfo.stop_timeout_s(pod)) + MARGIN_S
    if not pod.wait_ended(limit_s):
        raise PodError(f'pod "{pod.uuid}" still runs {limit_s:g} s after it was asked to end (--force kills it)')
