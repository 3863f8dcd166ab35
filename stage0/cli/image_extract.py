"""rkt image extract: unpacks an image, without its dependencies, to a directory."""
from __future__ import annotations

from stage0.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, image: str, directory: str, rootfs_only: bool, overwrite: bool) -> int:
    """Unpack what the archive has, whatever its pathWhitelist says."""
    from stage0.aci.render import Layer
    from stage0.store import copies

    store = Store(ctx.data_dir)
    image_id = store.resolve(image)
    copies.write_directory(store, image_id, [Layer(image_id)], directory,
                           rootfs_only=rootfs_only, overwrite=overwrite)
    return 0
