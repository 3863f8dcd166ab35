"""POSIX ACLs: from the text that star and GNU tar put into PAX records to the form the kernel stores."""
from __future__ import annotations

import struct

from stage0.aci.limits import ArchiveError, shown

_HEAD = struct.pack("<I", 2)        # the version of the form
_ENTRY = struct.Struct("<HHI")      # tag, permissions, ID
_NO_ID = 0xFFFFFFFF
_TAGS = {  # kind → its tag without and with an ID
    "user": (0x01, 0x02), "group": (0x04, 0x08), "mask": (0x10, 0x10), "other": (0x20, 0x20),
    "u": (0x01, 0x02), "g": (0x04, 0x08), "m": (0x10, 0x10), "o": (0x20, 0x20),
}
_BITS = {"r": 4, "w": 2, "x": 1, "-": 0}


def from_text(value: bytes, name: str) -> bytes:
    """The value of system.posix_acl_access or _default for `user::rwx,user:1000:r--,…`.

    A named user or group needs its number, as its name or behind the permissions (as star writes it): the
    names of the machine that made the archive mean nothing here.
    """
    text = value.decode("utf-8", "replace")
    entries = []
    for line in text.replace("\n", ",").split(","):
        line = line.partition("#")[0].strip()
        if line:
            entries.append(_entry(line, name))
    return _HEAD + b"".join(_ENTRY.pack(*entry) for entry in sorted(entries, key=lambda entry: (entry[0], entry[2])))


def _entry(line: str, name: str) -> tuple[int, int, int]:
    kind, _, rest = line.partition(":")
    who, _, rest = rest.partition(":")
    permissions, _, id_text = rest.partition(":")
    tags = _TAGS.get(kind)
    bits = [_BITS.get(letter, -1) for letter in permissions.strip()]
    if tags is None or not bits or len(bits) > 3 or min(bits) < 0:
        raise ArchiveError(f"{shown(name)}: the ACL entry {shown(line)} cannot be read")
    if not who:
        return tags[0], sum(bits), _NO_ID
    digits = id_text if id_text else who
    if not (digits.isascii() and digits.isdigit()) or int(digits) >= _NO_ID or tags[0] == tags[1]:
        raise ArchiveError(f"{shown(name)}: the ACL entry {shown(line)} does not say its number")
    return tags[1], sum(bits), int(digits)
