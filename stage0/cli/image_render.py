"""rkt image render: unpacks an image and all it depends on to a directory."""
from __future__ import annotations

from stage0.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, image: str, directory: str, rootfs_only: bool, overwrite: bool) -> int:
    """Unpack what an app of the image sees as its root."""
    from stage0.store import copies

    store = Store(ctx.data_dir)
    image_id = store.resolve(image)
    copies.write_directory(store, image_id, store.layers(image_id), directory,
                           rootfs_only=rootfs_only, overwrite=overwrite)
    return 0
