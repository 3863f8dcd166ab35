"""Socket activation: which sockets came, and which app gets them."""
from __future__ import annotations

import os
import socket
import stat

import pytest

from stage2 import listening
from stage2.listening import Inherited
from stage2.record import App
from tests.lib.forked import forked


def app(*ports: int) -> App:
    return App("web", ("/web",), (), listen_ports=ports)


def announced(monkeypatch, **variables: str) -> None:
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


def inherited_by_a_child() -> list[tuple[int, str, bool]]:
    """What `inherited` finds where 3 and 4 are open; the variables have to be gone."""
    def look() -> list[tuple[int, str, bool]]:
        null = os.open("/dev/null", os.O_RDONLY)
        for fd in (3, 4):
            os.dup2(null, fd)
        if os.environ.get("LISTEN_PID") == "own":
            os.environ["LISTEN_PID"] = str(os.getpid())
        found = listening.inherited()
        assert not [name for name in os.environ if name.startswith("LISTEN_")]
        return [(held.fd, held.name, os.get_inheritable(held.fd)) for held in found]

    return forked(look)


@pytest.mark.parametrize("variables, found", [
    ({}, []),
    ({"LISTEN_FDS": ""}, []),
    ({"LISTEN_FDS": "0"}, []),
    ({"LISTEN_FDS": "2"}, [(3, "unknown", False), (4, "unknown", False)]),
    ({"LISTEN_FDS": "2", "LISTEN_PID": "own"}, [(3, "unknown", False), (4, "unknown", False)]),
    ({"LISTEN_FDS": "2", "LISTEN_PID": "1"}, []),
    ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}, [(3, "http", False)]),
    ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": "http"}, [(3, "http", False), (4, "unknown", False)]),
    ({"LISTEN_FDS": "2", "LISTEN_FDNAMES": ":tls"}, [(3, "unknown", False), (4, "tls", False)]),
    ({"LISTEN_FDS": "1", "LISTEN_FDNAMES": "http:more"}, [(3, "http", False)]),
])
def test_the_sockets_that_are_announced(monkeypatch, variables: dict[str, str], found: list[tuple[int, str, bool]]
                                        ) -> None:
    announced(monkeypatch, **variables)
    assert inherited_by_a_child() == found


def handed_over(count: int, single: bool, *wanted: int, hold: int | None = None
                ) -> tuple[int, dict[str, str], list[int], int]:
    """What a child gets of `count` TCP sockets: first free descriptor, variables, numbers of its sockets, its PID.

    `wanted` are places of the sockets whose ports the app declares; the numbers are
    places too. `hold` is a descriptor that has to stay as it was.
    """
    def hand() -> tuple[int, dict[str, str], list[int], int]:
        sockets = []
        for _ in range(count):
            made = socket.socket()
            made.bind(("127.0.0.1", 0))
            sockets.append(made)
        ports = [made.getsockname()[1] for made in sockets]
        fds = [os.dup2(made.detach(), 100 + place) for place, made in enumerate(sockets)]
        for place, fd in enumerate(fds):
            os.dup2(fd, 3 + place)
        if hold is not None:
            os.dup2(os.open("/dev/zero", os.O_RDONLY), hold)
        environment: dict[str, str] = {}
        first_free = listening.hand_over(
            [Inherited(3 + place, f"s{place}") for place in range(count)],
            app(*(ports[place] for place in wanted)), single, environment)
        if hold is not None:
            assert os.fstat(hold).st_rdev == os.makedev(1, 5)
        got = []
        for fd in range(3, first_free):
            assert stat.S_ISSOCK(os.fstat(fd).st_mode) and os.get_inheritable(fd)
            got.append(ports.index(socket.socket(fileno=os.dup(fd)).getsockname()[1]))
        return first_free, environment, got, os.getpid()

    return forked(hand)


def test_an_app_gets_the_sockets_of_its_ports_in_order_from_3_on() -> None:
    first_free, environment, got, pid = handed_over(3, False, 2, 1)
    assert (first_free, got) == (5, [1, 2])
    assert environment == {"LISTEN_FDS": "2", "LISTEN_PID": str(pid), "LISTEN_FDNAMES": "s1:s2"}


def test_the_only_app_of_a_pod_gets_all_sockets_once_it_listens_on_one() -> None:
    first_free, environment, got, pid = handed_over(2, True, 0)
    assert (first_free, got) == (5, [0, 1])
    assert environment == {"LISTEN_FDS": "2", "LISTEN_PID": str(pid), "LISTEN_FDNAMES": "s0:s1"}


@pytest.mark.parametrize("single", [True, False])
def test_an_app_without_socket_activated_ports_gets_none_and_no_variable(single: bool) -> None:
    first_free, environment, got, _pid = handed_over(2, single)
    assert (first_free, environment, got) == (3, {}, [])


def test_descriptors_of_others_stay_as_they_are() -> None:
    for held in (64, 256):
        first_free, _environment, got, _pid = handed_over(1, True, 0, hold=held)
        assert (first_free, got) == (4, [0])


def test_a_unix_socket_has_no_port() -> None:
    def hand() -> int:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        return listening.hand_over([Inherited(os.dup2(made.fileno(), 3), "u")], app(80), False, {})

    assert forked(hand) == 3
