"""What build and patch-manifest have in common: the file they write, and its compression."""
from __future__ import annotations

from stage2.errors import RktError


class OutputError(RktError):
    """An image cannot be written as asked."""


def check_name(path: str) -> None:
    """Raise OutputError unless an image may have this name."""
    if not path.endswith(".aci"):
        raise OutputError(f"{path}: the name of an image ends in .aci")


def chosen_compression(name: str | None, none: bool) -> str | None:
    """The compression that the flags ask for, None if they do not."""
    if none and name not in (None, "none"):
        raise OutputError(f"--no-compression and --compression={name} exclude each other")
    return "none" if none else name
