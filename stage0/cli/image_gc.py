"""rkt image gc: removes what no pod uses and was not used for a while."""
from __future__ import annotations

from stage0.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, grace_period: float) -> int:
    """Remove trees that no pod uses, then images; say what was removed and why the others stay."""
    from stage0.store import collecting

    found = collecting.collect(Store(ctx.data_dir), grace_period)
    for tree in found.trees:
        ctx.note(f'removed treestore "{tree}"')
    for image_id in found.images:
        ctx.say(f'successfully removed aci for image: "{image_id}"')
    stays = [f"{count} {why}" for count, why in (
        (found.used_by_pods, "used by pods"), (found.used_lately, "used within the grace period"),
        (found.needed_by_images, "needed by other images")) if count]
    ctx.note(f"{len(found.images)} image(s) removed" + (f", kept: {', '.join(stays)}" if stays else ""))
    return 0
