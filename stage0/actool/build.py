"""actool build: a layout becomes an image."""
from __future__ import annotations

import os

from stage0.aci import writer
from stage0.actool import checks
from stage0.actool.output import check_name, chosen_compression
from stage2 import jsontext
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.actool.main import Context

DESCRIPTION = """\
DIRECTORY holds the file `manifest` and the directory `rootfs`, and nothing else. All of rootfs goes
into the image with owners, modes, times, extended attributes, hard links and holes; sockets do not.
The same DIRECTORY gives the same bytes. With SOURCE_DATE_EPOCH in the environment no file in the
image is younger than that."""


class BuildError(RktError):
    """A layout cannot become an image."""


def command(ctx: Context, *, directory: str, output: str, overwrite: bool, owner_root: bool,
            compression: str | None, no_compression: bool) -> int:
    """Write the image; a failure leaves no file, or the old one."""
    name = chosen_compression(compression, no_compression) or "gzip"
    check_name(output)
    layout = checks.layout(directory)
    if layout.manifest is None or layout.violations:
        raise BuildError(f"{directory} is no valid layout: {'; '.join(layout.violations)}")
    for warning in layout.warnings:
        ctx.note(f"{directory}: {warning}")
    data = jsontext.dumps(layout.manifest.to_json()).encode()
    epoch = writer.source_date_epoch()
    fd = os.open(os.path.join(directory, "rootfs"), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        with writer.creating(output, overwrite=overwrite) as file, \
                writer.ACIWriter(file, name, owner_root=owner_root, epoch=epoch) as aci:
            aci.add_tree(fd)
            aci.add_manifest(data)
    finally:
        os.close(fd)
    ctx.debug_note(f"{output}: {os.path.getsize(output)} bytes, {name}")
    return 0
