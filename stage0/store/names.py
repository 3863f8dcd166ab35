"""Image names as they are typed, `NAME[:VERSION][,LABEL=VALUE]…`, and how well an image fits one. Pure."""
from __future__ import annotations

import os

from stage0.store.layout import StoreError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.appc.image import ImageManifest

# The values of the label arch for what other tools call them.
_ALIASES = {"x86_64": "amd64", "386": "i386", "arm64": "aarch64", "arm": "armv6l"}


class ImageName(Value):
    """An image by its name and some of its labels."""

    name: str
    labels: dict[str, str]

    def __str__(self) -> str:
        listed = ", ".join(f"{name}={value}" for name, value in sorted(self.labels.items()))
        return f'name: "{self.name}" and labels: [{listed}]'


def parse(text: str) -> ImageName:
    """The name and the labels of a text; values may be URL-escaped. Raises StoreError."""
    from stage1.appc.types import check_ac_identifier
    from stage2.errors import RktError

    head, *parts = text.split(",")
    name, colon, version = head.partition(":")
    labels: dict[str, str] = {"version": _unescape(version)} if colon else {}
    if colon and not version:
        raise StoreError(f'image name "{text}": there is no version behind the colon')
    if ":" in version:
        raise StoreError(f'image name "{text}": a second colon')
    for part in parts:
        label, equals, value = part.partition("=")
        if not label or not equals or not value:
            raise StoreError(f'image name "{text}": "{part}" is not LABEL=VALUE')
        if label == "name" or label in labels:
            raise StoreError(f'image name "{text}": ' + (
                'a label cannot be called "name"' if label == "name" else f"the label {label} is given twice"))
        labels[label] = _unescape(value)
    for checked in (name, *labels):
        try:
            check_ac_identifier(checked)
        except RktError as err:
            raise StoreError(f'image name "{text}"') from err
    if labels.get("arch") in _ALIASES and labels.get("os", "linux") == "linux":
        labels["arch"] = _ALIASES[labels["arch"]]
    return ImageName(name, labels)


def has_labels(manifest: ImageManifest, labels: dict[str, str]) -> bool:
    """Whether an image has all of these labels."""
    return all(manifest.label(name) == value for name, value in labels.items())


def is_for_host(manifest: ImageManifest) -> bool:
    """Whether an image says that it runs here."""
    from stage0.prepare import PrepareError, check_platform
    try:
        check_platform(manifest, os.uname().machine)
    except PrepareError:
        return False
    return True


def _unescape(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote_plus
    return unquote_plus(text)
