"""Extended attributes as libarchive writes them into PAX records: name in percent escapes, value in base 64."""
from __future__ import annotations

from binascii import Error, a2b_base64
from urllib.parse import unquote_to_bytes

from stage0.aci.limits import ArchiveError, shown


def libarchive_xattr(key: bytes, value: bytes, name: str) -> tuple[str, bytes]:
    """Name and value of the attribute; base 64 may lack its padding."""
    try:
        data = a2b_base64(value + b"=" * (-len(value) % 4))
    except Error as err:
        raise ArchiveError(f"{shown(name)}: the extended attribute {shown(key.decode(errors='replace'))} is broken") \
            from err
    return unquote_to_bytes(key).decode("utf-8", "surrogateescape"), data
