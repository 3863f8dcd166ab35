"""rkt run-prepared: starts a prepared pod, in the foreground."""
from __future__ import annotations

from stage0 import entrypoints, faultpoints, prepare
from stage0 import pods as states
from stage0.cli import starting
from stage0.pods import PodError, Pods
from stage1 import poddir, scope
from stage1.appc import pod as podschema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.cli.context import Context


def command(ctx: Context, *, uuid: str, **values: Any) -> int:
    """Become the supervisor of the pod. What can be checked is checked while it still is prepared."""
    ctx.require_root()
    arguments = starting.stage1_arguments(ctx, values)
    pod = Pods(ctx.data_dir).find(uuid)
    if pod.state != states.PREPARED or not pod.lock() or pod.directory != states.IN_PREPARED:
        pod.unlock()
        raise PodError(f'pod "{pod.uuid}" is {pod.state}, not prepared')
    manifest = podschema.loads(pod.read(poddir.MANIFEST))
    starting.check_interactive(values, len(manifest.apps))
    prepare.check_volumes(manifest)
    scope.clear(pod.uuid)  # of a start that was killed before it came to run
    with starting.Place(ctx, pod, values) as place:
        ctx.step("scope asked for")
        faultpoints.reach("run-prepared-locked")
        pod.move(states.IN_RUN)
        faultpoints.reach("run-prepared-hand-over")
        entrypoints.run(pod, arguments, place)
