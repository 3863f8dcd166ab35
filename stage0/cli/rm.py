"""rkt rm: removes pods that do not run."""
from __future__ import annotations

from stage0 import faultpoints
from stage0.pods import PodError, Pods
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, uuids: tuple[str, ...]) -> int:
    """Remove each pod and print its UUID; what one pod refuses does not keep the others."""
    from stage0 import gc

    ctx.require_root()
    pods = Pods(ctx.data_dir)
    failed = 0
    for word in uuids:
        try:
            with pods.find(word) as pod:
                gc.take(pod)
                faultpoints.reach("rm-locked")
                gc.delete(pod, ctx.note)
                ctx.say(f'"{pod.uuid}"')
        except (RktError, OSError) as err:
            ctx.note(errors.line(err))
            failed += 1
    if failed:
        raise PodError(f"failed to remove {failed} pod(s)")
    return 0
