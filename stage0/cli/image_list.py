"""rkt image list: the images in the store."""
from __future__ import annotations

from stage0.cli import output
from stage0.store.layout import StoreError
from stage0.store.store import ImageInfo, Store
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from stage0.cli.context import Context


class Column(Value):
    """A column: its title, its text in short and in full, and what it is sorted by."""

    title: str
    short: Callable[[ImageInfo], str]
    full: Callable[[ImageInfo], str]
    key: Callable[[ImageInfo], Any]


COLUMNS = {
    "id": Column("ID", lambda image: image.id[:19], lambda image: image.id, lambda image: image.id),
    "name": Column("NAME", lambda image: image.title, lambda image: image.title, lambda image: image.title),
    "size": Column("SIZE", lambda image: output.size(image.size_bytes), lambda image: str(image.size_bytes),
                   lambda image: image.size_bytes),
    "importtime": Column("IMPORT TIME", lambda image: output.when(image.imported_ns),
                         lambda image: output.absolute(image.imported_ns), lambda image: image.imported_ns),
    "lastused": Column("LAST USED", lambda image: output.when(image.used_ns),
                       lambda image: output.absolute(image.used_ns), lambda image: image.used_ns),
}


def command(ctx: Context, *, fields: str, sort: str, order: str, no_legend: bool, full: bool,
            format: str | None) -> int:
    """Print a table of the images, or JSON."""
    chosen = [_column(field.strip()) for field in fields.split(",")]
    images = sorted(Store(ctx.data_dir).images(), key=COLUMNS[sort].key, reverse=order == "desc")
    if format is not None:
        ctx.say(output.json([_json(image) for image in images], format))
        return 0
    rows = [] if no_legend else [[column.title for column in chosen]]
    rows += [[(column.full if full else column.short)(image) for column in chosen] for image in images]
    if rows:
        ctx.say(output.table(rows).removesuffix("\n"))
    return 0


def _column(field: str) -> Column:
    try:
        return COLUMNS[field]
    except KeyError:
        raise StoreError(f'--fields: there is no column "{field}", only {", ".join(COLUMNS)}') from None


def _json(image: ImageInfo) -> dict[str, Any]:
    return {"id": image.id, "name": image.title, "import_time": image.imported_ns,
            "last_used_time": image.used_ns, "size": image.size_bytes}
