"""rkt image export: writes an image to a file."""
from __future__ import annotations

import os

from stage0.store.layout import StoreError
from stage0.store.store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, image: str, output: str, overwrite: bool) -> int:
    """Write the uncompressed archive, which has the same image ID."""
    from stage0.store import copies

    if not output.endswith(".aci"):
        raise StoreError(f"{output}: the name of an image file ends in .aci")
    store = Store(ctx.data_dir)
    copies.write_archive(store, store.resolve(image), os.path.abspath(output), overwrite=overwrite)
    return 0
