"""Socket activation: inherited sockets, and the apps that listen on them (sd_listen_fds(3))."""
from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage2.record import App

_FIRST = 3
_ASIDE = 1 << 8  # above any number that the sockets get


class Inherited:
    """A socket that the pod was given."""

    def __init__(self, fd: int, name: str) -> None:
        self.fd, self.name = fd, name


def inherited() -> list[Inherited]:
    """The sockets handed to this process; takes the variables that announce them out of the environment."""
    count = int(os.environ.pop("LISTEN_FDS", "0") or "0")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    owner = os.environ.pop("LISTEN_PID", "")
    if owner and int(owner) != os.getpid():
        return []
    names += ["unknown"] * (count - len(names))
    for fd in range(_FIRST, _FIRST + count):
        os.set_inheritable(fd, False)
    return [Inherited(_FIRST + number, names[number] or "unknown") for number in range(count)]


def hand_over(sockets: list[Inherited], app: App, single: bool, environment: dict[str, str]) -> int:
    """Put the sockets of an app where it expects them; returns the first descriptor it does not get.

    An app gets a socket if one of its socketActivated ports is the socket's; the only
    app of a pod gets all.
    """
    import fcntl
    own = [held for held in sockets if app.listen_ports and (single or _port(held.fd) in app.listen_ports)]
    aside = [fcntl.fcntl(held.fd, fcntl.F_DUPFD, _ASIDE) for held in own]
    for number, fd in enumerate(aside):
        os.dup2(fd, _FIRST + number)
        os.close(fd)
    if own:
        environment["LISTEN_FDS"] = str(len(own))
        environment["LISTEN_PID"] = str(os.getpid())
        environment["LISTEN_FDNAMES"] = ":".join(held.name for held in own)
    return _FIRST + len(own)


def _port(fd: int) -> int:
    """The local port of a socket, 0 if it has none."""
    import _socket
    address = _socket.socket(fileno=os.dup(fd)).getsockname()
    return int(address[1]) if isinstance(address, tuple) else 0
