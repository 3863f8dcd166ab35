"""actool patch-manifest: a copy of an image with a changed manifest."""
from __future__ import annotations

import os

from stage0.aci import writer
from stage0.actool import checks, imagefile
from stage0.actool.edits import edited
from stage0.actool.options import EDITS
from stage0.actool.output import OutputError, check_name, chosen_compression
from stage2 import files, jsontext
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage0.actool.main import Context
    from stage1.appc.image import ImageManifest

DESCRIPTION = """\
Copies INPUT.aci to OUTPUT.aci, or with --replace changes it in place. All members keep their place
and their bytes; only the manifest becomes another, checked before it is written.
Lists of mounts, ports and isolators are separated by colons, what belongs to one by commas; %3A
and %2C stand for these characters in a value."""


class PatchError(RktError):
    """A manifest cannot be changed as asked."""


def command(ctx: Context, *, source: str, output: str | None, manifest: str | None, overwrite: bool, replace: bool,
            compression: str | None, no_compression: bool, **edits: Any) -> int:
    """Write the image; a failure leaves no file, or the old one."""
    asked = chosen_compression(compression, no_compression)
    target = _target(source, output, replace, overwrite)
    given = [key for key in EDITS if edits[key] not in (None, ())]
    if manifest is not None and given:
        raise PatchError(f"--manifest and --{given[0].replace('_', '-')} exclude each other")
    scan = imagefile.scan(source)
    if scan.manifest is None or scan.violations:
        raise PatchError(f"{source} is no valid image: {'; '.join(scan.violations)}")
    data = _from_file(manifest) if manifest is not None else _from_edits(source, scan.manifest, edits)
    temporary = f".actool-tmp.{os.path.basename(source)}-" if replace else ""
    like = os.stat(source) if replace else None
    with writer.creating(target, overwrite=overwrite or replace, prefix=temporary, like=like) as file, \
            writer.ACIWriter(file, asked or (scan.compression if replace else "gzip")) as aci:
        imagefile.copy(source, scan, aci, data)
    return 0


def _target(source: str, output: str | None, replace: bool, overwrite: bool) -> str:
    if replace and output is not None:
        raise OutputError("--replace and OUTPUT.aci exclude each other")
    if replace and overwrite:
        raise OutputError("--replace and --overwrite exclude each other")
    target = source if replace else output
    if target is None:
        raise OutputError("OUTPUT.aci is missing (--replace changes INPUT.aci itself)")
    check_name(target)
    return target


def _from_file(path: str) -> bytes:
    data = files.read(path, imagefile.MAX_MANIFEST_BYTES)
    _checked(f"manifest {path}", data)
    return data


def _from_edits(source: str, data: bytes, edits: dict[str, Any]) -> bytes:
    """The changed manifest of an image in the spelling of the schema."""
    old, violations = checks.parse_image(data)
    if old is None:
        raise PatchError(f"manifest of {source}: {'; '.join(violations)} (--manifest=FILE replaces all of it)")
    new = _checked("changed manifest", jsontext.dumps(edited(old.to_json(), edits)).encode())
    return jsontext.dumps(new.to_json()).encode()


def _checked(what: str, data: bytes) -> ImageManifest:
    manifest, violations = checks.parse_image(data)
    if manifest is None:
        raise PatchError(f"{what}: {'; '.join(violations)}")
    return manifest
