"""User and group of an app, looked up in its own root (runtime.md section 6.2)."""
from __future__ import annotations

import os

from stage2 import syscalls
from stage2.errors import RktError

_LARGEST = (1 << 32) - 2  # the one above means "leave as it is" to the kernel
_FILE_LIMIT_BYTES = 1 << 20


class UserError(RktError):
    """A user or group is not known in the app's root."""


def uid(root_fd: int, text: str) -> int:
    """The number of a user given by number, name, or a path whose owner is meant."""
    return _lookup(root_fd, text, "user", "/etc/passwd")


def gid(root_fd: int, text: str) -> int:
    """The number of a group given by number, name, or a path whose group is meant; 0 if empty."""
    return _lookup(root_fd, text, "group", "/etc/group") if text else 0


def _lookup(root_fd: int, text: str, kind: str, database: str) -> int:
    if text.startswith("/"):
        try:
            found = os.stat(_open(root_fd, text, os.O_PATH))
        except OSError as err:
            raise UserError(f"{kind} {text}: owner of that path") from err
        return found.st_uid if kind == "user" else found.st_gid
    try:
        fd = _open(root_fd, database, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        lines: list[bytes] = []
    else:
        lines = os.read(fd, _FILE_LIMIT_BYTES).splitlines()
        os.close(fd)
    for line in lines:
        fields = line.split(b":")
        if len(fields) > 2 and fields[0] == text.encode() and fields[2].isdigit():
            return _checked(int(fields[2]), kind, text)
    if text.isascii() and text.isdigit():
        return _checked(int(text), kind, text)
    raise UserError(f"{kind} {text}: not in {database} of the image")


def _checked(number: int, kind: str, text: str) -> int:
    if number > _LARGEST:
        raise UserError(f"{kind} {text}: {number} is above {_LARGEST}")
    return number


def _open(root_fd: int, path: str, flags: int) -> int:
    return syscalls.openat2(root_fd, path, flags, 0, syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS)
