"""Whether layouts, archives and manifests are valid: all that is wrong with one at once."""
from __future__ import annotations

import os
import stat

from stage0.actool import imagefile
from stage0.actool.imagefile import MANIFEST, MAX_MANIFEST_BYTES, ROOTFS
from stage0.version import APPC_VERSION
from stage1.appc import image
from stage1.appc.manifest import loads as manifest_of_any_kind
from stage1.appc.node import ManifestError
from stage1.appc.pod import PodManifest
from stage2 import files
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.appc.image import ImageManifest



class CheckError(RktError):
    """Something cannot be checked."""


class Checked(Value):
    """What a check found: the kind of the thing in words, its manifest if that is valid, all that is wrong."""

    kind: str
    manifest: ImageManifest | None = None
    violations: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def layout(path: str) -> Checked:
    """The check of a directory with `manifest` and `rootfs/`. Raises OSError."""
    violations = []
    names = sorted(os.listdir(path))
    manifest = None
    if MANIFEST not in names:
        violations.append("manifest is missing")
    elif not stat.S_ISREG(os.stat(os.path.join(path, MANIFEST)).st_mode):
        violations.append("manifest is not a file")
    else:
        manifest, found = parse_image(files.read(os.path.join(path, MANIFEST), MAX_MANIFEST_BYTES))
        violations += found
    if ROOTFS not in names:
        violations.append("rootfs is missing")
    elif not stat.S_ISDIR(os.lstat(os.path.join(path, ROOTFS)).st_mode):
        violations.append("rootfs is not a directory")
    violations += [f"{name} is neither manifest nor rootfs" for name in names if name not in (MANIFEST, ROOTFS)]
    warnings = age(manifest.ac_version) if manifest else ()
    return Checked("image layout", manifest, tuple(violations), warnings)


def archive(path: str) -> Checked:
    """The check of an image file, of any compression. Raises OSError."""
    scan = imagefile.scan(path)
    manifest, found = (None, ()) if scan.manifest is None else parse_image(scan.manifest)
    warnings = age(manifest.ac_version) if manifest else ()
    return Checked("app container image", manifest, (*scan.violations, *found), warnings)


def manifest(data: bytes) -> Checked:
    """The check of a manifest file: `acKind` decides which schema."""
    try:
        return Checked("PodManifest" if isinstance(manifest_of_any_kind(data), PodManifest) else "ImageManifest")
    except ManifestError as err:
        return Checked("manifest", violations=err.violations)


def parse_image(data: bytes) -> tuple[ImageManifest | None, tuple[str, ...]]:
    """An image manifest, or None and all that is wrong with it."""
    try:
        return image.loads(data), ()
    except ManifestError as err:
        return None, err.violations


def age(ac_version: str) -> tuple[str, ...]:
    """A complaint about an image made for an older major version of the specification."""
    if int(ac_version.partition(".")[0]) < int(APPC_VERSION.partition(".")[0]):
        return (f"acVersion: {ac_version} is too old, of a major version before that of {APPC_VERSION}",)
    return ()
