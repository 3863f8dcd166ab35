"""actool validate: whether images, layouts and manifests are as the specification wants them."""
from __future__ import annotations

import os

from stage0.actool import checks, imagefile
from stage0.actool.checks import Checked, CheckError
from stage2 import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage0.actool.main import Context

IMAGE, LAYOUT, MANIFEST = "appimage", "layout", "manifest"
DESCRIPTION = """\
FILE is an image of any compression, a directory with `manifest` and `rootfs/`, or an image or pod
manifest. Silent if all is well, else all that is wrong with each FILE, a line each, and exit status
1. A FILE that cannot be read, or be told what it is, ends the command. Signatures are not checked."""


def command(ctx: Context, *, files: tuple[str, ...], type: str | None) -> int:
    """Check each file; 1 if one is not valid."""
    status = 0
    for path in files:
        checked = _check(path, type)
        for text in (*checked.violations, *checked.warnings):
            ctx.note(f"{path}: {text}")
        if checked.violations:
            status = 1
        else:
            ctx.debug_note(f"{path}: valid {checked.kind}")
    return status


def _check(path: str, kind: str | None) -> Checked:
    if os.path.isdir(path):
        if kind not in (None, LAYOUT):
            raise CheckError(f"{path} is a directory, no {kind} (--type=layout)")
        checked = checks.layout(path)
        # An image file of an old version may be of use; a layout is about to become a new one.
        return checked.replace(violations=checked.violations + checked.warnings, warnings=())
    if kind is None:
        kind = imagefile.detect(path)
    if kind == LAYOUT:
        raise CheckError(f"{path} is no directory, so no layout")
    if kind == IMAGE:
        return checks.archive(path)
    return checks.manifest(files.read(path, imagefile.MAX_MANIFEST_BYTES))
