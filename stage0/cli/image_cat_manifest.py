"""rkt image cat-manifest: prints the manifest of an image."""
from __future__ import annotations

from stage0.store.layout import StoreError
from stage0.store.store import Store
from stage2 import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.cli.context import Context


def command(ctx: Context, *, image: str, pretty_print: bool) -> int:
    """Print the image manifest, indented by tabs or on one line."""
    store = Store(ctx.data_dir)
    image_id = store.resolve(image)
    try:
        manifest = jsontext.loads(store.manifest_bytes(image_id))
    except ValueError as err:
        raise StoreError(f"manifest of image {image_id}") from err
    ctx.say(jsontext.dumps(manifest, "\t" if pretty_print else None))
    return 0
