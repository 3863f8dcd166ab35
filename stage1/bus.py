"""Synchronous calls to systemd over D-Bus, by pystemd's binding of sd-bus.

Only its extension module is loaded: the package around it pulls in an XML parser and
costs every start 30 ms, the extension alone 3.
"""
from __future__ import annotations

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
    if "pystemd" not in sys.modules:
        kind = type(sys)
        for entry in sys.path:
            package = kind("pystemd")
            package.__path__ = [f"{entry}/pystemd"]
            # pprint is wanted for one error message and would bring dataclasses along
            printing = kind("pprint")
            printing.pformat = repr  # type: ignore[attr-defined]
            own_pprint = "pprint" not in sys.modules
            if own_pprint:
                sys.modules["pprint"] = printing
            sys.modules["pystemd"] = package
            try:
                import pystemd.dbuslib
                return pystemd.dbuslib
            except ImportError:
                continue
            finally:
                del sys.modules["pystemd"]
                if own_pprint:
                    del sys.modules["pprint"]
    import pystemd.dbuslib
    return pystemd.dbuslib


def call_manager(method: str, words: list[Word]) -> None:
    """A call of systemd's own manager, over its private socket: no message bus needed.

    Raises BusError with systemd's words.
    """
    library = _extension()
    bus = library.DBusAddress(_PRIVATE_SOCKET, True)
    _call(library, bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
          "org.freedesktop.systemd1.Manager", method, words)


def call_machined(method: str, words: list[Word]) -> None:
    """A call of systemd-machined, over the system bus, which starts it if need be."""
    library = _extension()
    _call(library, library.DBus(), "org.freedesktop.machine1", "/org/freedesktop/machine1",
          "org.freedesktop.machine1.Manager", method, words)


def _call(library: Any, bus: Any, destination: str, path: str, interface: str, method: str,
          words: list[Word]) -> None:
    try:
        bus.open()
        bus.call_method(destination.encode(), path.encode(), interface.encode(), method.encode(), words)
    except library.DBusError as err:
        reason = err.args[-1] if err.args else err
        raise BusError(f"{method}: {reason.decode() if isinstance(reason, bytes) else reason}") from None
    finally:
        bus.close()
