"""The names of pods: DATA/pods/names/NAME is a link to the UUID of the pod that has the name."""
from __future__ import annotations

import fcntl
import os

from stage0 import faultpoints
from stage2 import files
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 64
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")
_HEX = frozenset("0123456789abcdef")


class PodNameError(RktError):
    """A name that no pod can have, or that another pod has."""


def full_uuid(word: str) -> str | None:
    """The UUID that a word is, with dashes; None if it is none. Letters have to be lower-case."""
    digits = word.replace("-", "")
    if len(digits) != 32 or not _HEX.issuperset(digits):
        return None
    uuid = dashed(digits)
    return uuid if word in (digits, uuid) else None


def dashed(digits: str) -> str:
    """The 32 digits of a UUID with dashes between them."""
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def check(name: str) -> None:
    """Raise PodNameError if no pod can have that name."""
    if not name[:1].isalnum() or not _CHARACTERS.issuperset(name) or len(name) > MAX_LENGTH:
        raise PodNameError(f'pod name "{name}": letters, digits, "-", "_" and "." are allowed, the first a letter or '
                           f"digit, at most {MAX_LENGTH} of them")
    if full_uuid(name.lower()):
        raise PodNameError(f'pod name "{name}": looks like a UUID')


def holder(directory: str, name: str) -> str | None:
    """The UUID that a name leads to; the pod may be gone."""
    if not name or not _CHARACTERS.issuperset(name) or name[0] == ".":
        return None
    try:
        return os.readlink(f"{directory}/{name}")
    except OSError:
        return None


def all_names(directory: str) -> dict[str, str]:
    """The names that are taken, with the UUIDs they lead to; some of the pods may be gone."""
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {}
    return {name: uuid for name in names if (uuid := holder(directory, name))}


def reserve(directory: str, name: str, uuid: str, lives: Callable[[str], bool]) -> None:
    """Let a name lead to a pod. Raises PodNameError if it leads to another one that lives."""
    with _Locked(directory):
        other = holder(directory, name)
        if other is not None and lives(other):
            raise PodNameError(f'the name "{name}" is taken by pod {other}')
        if os.path.lexists(f"{directory}/.new"):
            os.unlink(f"{directory}/.new")  # of a crash
        os.symlink(uuid, f"{directory}/.new")
        faultpoints.reach("name-linked")
        os.rename(f"{directory}/.new", f"{directory}/{name}")
        files.sync_directory(directory)


def release(directory: str, name: str, uuid: str) -> None:
    """Free a name, unless it leads to another pod by now."""
    with _Locked(directory):
        if holder(directory, name) == uuid:
            os.unlink(f"{directory}/{name}")


class _Locked:
    """A lock on a directory, for the length of a block."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> None:
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def __exit__(self, *_error: object) -> None:
        os.close(self.fd)
