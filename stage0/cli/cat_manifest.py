"""rkt cat-manifest: prints the manifest of a pod."""
from __future__ import annotations

from stage0.pods import PodError, Pods
from stage1 import poddir
from stage2 import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, uuid: str, pretty_print: bool) -> int:
    """Print the pod manifest, indented by tabs or on one line."""
    with Pods(ctx.data_dir).find(uuid) as pod:
        try:
            manifest = jsontext.loads(pod.read(poddir.MANIFEST))
        except (OSError, ValueError) as err:
            raise PodError(f"manifest of pod {pod.uuid}") from err
    ctx.say(jsontext.dumps(manifest, "\t" if pretty_print else None))
    return 0
