"""rkt gc: removes the pods that ended a while ago."""
from __future__ import annotations

from stage0.pods import PodError, Pods

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, grace_period: float, expire_prepared: float, mark_only: bool) -> int:
    """Mark what ended; then, unless only that is wanted, delete what was marked long enough ago."""
    from stage0 import gc

    ctx.require_root()
    pods = Pods(ctx.data_dir)
    gc.mark(pods, ctx.note)
    if mark_only:
        return 0
    gc.expire(pods, expire_prepared, ctx.note)
    failed = gc.sweep(pods, grace_period, ctx.say, ctx.note)
    if failed:
        raise PodError(f"failed to remove {failed} pod(s)")
    return 0
