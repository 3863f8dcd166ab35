"""rkt prepare: makes a pod ready to be started later."""
from __future__ import annotations

from stage0 import pods as states
from stage0.cli import podline, starting
from stage0.pods import Pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.cli.context import Context


def command(ctx: Context, **values: Any) -> int:
    """Make the pod and print its UUID; with --quiet nothing else is said."""
    ctx.require_root()
    line = podline.read("prepare", values)
    with Pods(ctx.data_dir).begin(states.new_uuid()) as pod:
        try:
            podline.make(ctx, line, pod, states.IN_PREPARED, durable=True, quiet=values["quiet"])
        except BaseException:
            starting.drop(pod, line.uuid_file)
            raise
        ctx.say(pod.uuid)
    return 0
