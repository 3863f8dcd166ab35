"""rkt image rm: removes images from the store."""
from __future__ import annotations

from stage0.store.layout import StoreError
from stage0.store.store import Store
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, images: tuple[str, ...]) -> int:
    """Remove each image and print its ID; what one image refuses does not keep the others."""
    store = Store(ctx.data_dir)
    removed: list[str] = []
    failed = 0
    for word in images:
        try:
            image_id = store.resolve(word)
            store.remove(image_id)
        except (RktError, OSError) as err:
            ctx.note(errors.line(err))
            failed += 1
        else:
            ctx.say(f'successfully removed aci for image: "{image_id}"')
            removed.append(image_id)
    if removed:
        ctx.note(f"{len(removed)} image(s) successfully removed")
    if failed:
        raise StoreError(f"{failed} image(s) cannot be removed")
    return 0
