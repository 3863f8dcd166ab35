"""rkt run: starts a pod of one or more images, in the foreground."""
from __future__ import annotations

from stage0 import entrypoints, faultpoints
from stage0 import pods as states
from stage0.cli import starting
from stage0.pods import Pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.cli.context import Context


def command(ctx: Context, **values: Any) -> int:
    """Make the pod and become its supervisor; a failed start leaves nothing behind."""
    ctx.require_root()
    arguments = starting.stage1_arguments(ctx, values)
    pod = Pods(ctx.data_dir).begin(states.new_uuid())
    try:
        with starting.Place(ctx, pod, values) as scope:
            ctx.step("scope asked for")
            from stage0.cli import podline  # late: while the kernel moves us into the scope

            line = podline.read("run", values)
            starting.check_interactive(values, line.apps)
            ctx.step("modules, options")
            podline.make(ctx, line, pod, states.IN_RUN)
            faultpoints.reach("run-hand-over")
            entrypoints.run(pod, arguments, scope)
    except BaseException:
        starting.drop(pod, values["uuid_file_save"])
        raise
