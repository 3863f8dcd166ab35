"""Synchronous calls to systemd over D-Bus, by pystemd's binding of sd-bus.

Only its extension module is loaded: the package around it pulls in an XML parser and
costs every start 30 ms, the extension alone 3.
"""
from __future__ import annotations

import os
import sys

from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PRIVATE_SOCKET = b"unix:path=/run/systemd/private"

# A word of a message: the code of its D-Bus type with the value; a container with its
# content's signature, or END to close it.
Word = tuple[int, object]
END: Word = (-1, None)


class BusError(RktError):
    """A call over D-Bus failed."""


def string(value: str) -> Word:
    """A D-Bus string."""
    return ord("s"), value.encode()


def variant(name: str, signature: str, *words: Word) -> list[Word]:
    """A member of an a(sv): a name and its value."""
    return [(ord("r"), b"sv"), string(name), (ord("v"), signature.encode()), *words, END, END]


def array(signature: str, *words: Word) -> list[Word]:
    """An array of elements of one signature."""
    return [(ord("a"), signature.encode()), *words, END]


def _extension() -> Any:
    """The module pystemd.dbuslib, loaded past its package.

    It takes two names from Python modules at its top: `pformat`, for the text of one
    error, and `x2char_star`, which makes bytes of text. Words hold bytes already.
    """
    loaded = sys.modules.get("pystemd.dbuslib")
    if loaded is not None:
        return loaded
    module = type(sys)
    package, utils, printing = module("pystemd"), module("pystemd.utils"), module("pprint")
    package.__path__ = [f"{entry}/pystemd" for entry in sys.path]
    utils.x2char_star = _same  # type: ignore[attr-defined]
    printing.pformat = repr  # type: ignore[attr-defined]
    stand_ins = {"pystemd": package, "pystemd.utils": utils, "pprint": printing}
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    try:
        from pystemd import dbuslib
        return dbuslib
    except ImportError as err:
        raise BusError("D-Bus: pystemd cannot be loaded") from err
    finally:
        for name, held in before.items():
            if held is None:
                del sys.modules[name]
            else:
                sys.modules[name] = held


def _same(value: object, convert_all: bool = False) -> object:
    return value


def call_manager(method: str, words: list[Word]) -> None:
    """A call of systemd's own manager, over its private socket: no message bus needed.

    Raises BusError with systemd's words.
    """
    library = _extension()
    bus = library.DBusAddress(_PRIVATE_SOCKET, True)
    _call(bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
          "org.freedesktop.systemd1.Manager", method, words)


def call_machined(method: str, words: list[Word]) -> None:
    """A call of systemd-machined, over the system bus, which starts it if need be."""
    library = _extension()
    _call(library.DBus(), "org.freedesktop.machine1", "/org/freedesktop/machine1",
          "org.freedesktop.machine1.Manager", method, words)


def _call(bus: Any, destination: str, path: str, interface: str, method: str,
          words: list[Word]) -> None:
    try:
        bus.open()
        bus.call_method(destination.encode(), path.encode(), interface.encode(), method.encode(), words)
    except sys.modules["pystemd.dbusexc"].DBusBaseError as err:  # library.DBusError only makes one
        reason = err.err_message or os.strerror(abs(err.errno))
        raise BusError(f"{method}: {reason.decode() if isinstance(reason, bytes) else reason}") from None
    finally:
        bus.close()
