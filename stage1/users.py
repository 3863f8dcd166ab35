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
            fd = _open(root_fd, text, os.O_PATH)
        except OSError as err:
            raise UserError(f"{kind} {text}: owner of that path") from err
        try:
            found = os.fstat(fd)
        finally:
            os.close(fd)
        return found.st_uid if kind == "user" else found.st_gid
    for line in _lines(root_fd, database):
        fields = line.split(b":")
        if len(fields) > 2 and fields[0] == os.fsencode(text) and fields[2].isdigit():
            return _number(fields[2].decode(), kind, text)
    if text.isascii() and text.isdigit():
        return _number(text, kind, text)
    raise UserError(f"{kind} {text}: not in {database} of the image")


def _lines(root_fd: int, database: str) -> list[bytes]:
    """The lines of a database; none if the image has no such file, or something else in its place."""
    try:
        fd = _open(root_fd, database, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    try:
        return os.read(fd, _FILE_LIMIT_BYTES).splitlines()
    except OSError:
        return []
    finally:
        os.close(fd)


def _number(digits: str, kind: str, text: str) -> int:
    significant = digits.lstrip("0") or "0"
    if len(significant) > len(str(_LARGEST)) or int(significant) > _LARGEST:
        raise UserError(f"{kind} {text}: {significant[:20]} is above {_LARGEST}")
    return int(significant)


def _open(root_fd: int, path: str, flags: int) -> int:
    return syscalls.openat2(root_fd, path, flags, 0, syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS)
