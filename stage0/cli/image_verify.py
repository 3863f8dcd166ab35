"""rkt image verify: checks the rendered trees of images."""
from __future__ import annotations

from stage0.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, images: tuple[str, ...]) -> int:
    """Compare each image's tree with the hash recorded at its making; make anew what differs."""
    from stage0.store import collecting

    ctx.require_root()  # trees hold files of any owner and mode
    store = Store(ctx.data_dir)
    for word in images:
        image_id = store.resolve(word)
        check = collecting.verify(store, image_id)
        if not check.is_rendered:
            ctx.note(f'image "{word}" ("{image_id}") is not rendered, there is nothing to verify')
            continue
        if check.reason is not None:
            ctx.note(f"tree cache verification failed for image {word}: {check.reason}; rebuilt")
        ctx.say(f'successfully verified checksum for image: "{word}" ("{image_id}")')
    return 0
