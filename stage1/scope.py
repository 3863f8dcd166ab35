"""The pod's place in the cgroup tree: a transient scope, the caller's service, or a cgroup of its own.

`request` asks systemd for the scope as soon as the arguments are known; the kernel takes
some 10 ms to move the process, while the pod is prepared. `wait` sees it through.
"""
from __future__ import annotations

import os
import time

from stage1 import cgroups
from stage2.errors import RktError
from stage2.value import Value

_WAIT_S = 10.0
_CLEAR_S = 2.0
_TRANSIENT = "/run/systemd/transient"
_BYTES = ("MemoryMax", "MemoryHigh", "MemoryLow", "MemoryMin", "MemorySwapMax", "TasksMax")
_NUMBERS = ("CPUWeight", "IOWeight", "StartupCPUWeight", "StartupIOWeight")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_INFINITY = (1 << 64) - 1


class ScopeError(RktError):
    """The pod cannot get the cgroup it was to live in."""


class Scope(Value):
    """Where the pod is going to live. `unit` is the scope asked for, None if there is none.

    `keeps_unit` tells that systemd knows the unit, so that the pod can be registered.
    `caller` is where this process was before.
    """

    path: str
    unit: str | None
    keeps_unit: bool
    caller: str


def request(uuid: str, slice_name: str | None = None, properties: tuple[str, ...] = (), debug: bool = False) -> Scope:
    """Decide from the caller's cgroup where the pod lives, and ask systemd for it where it has to.

    A session gets a scope in its slice; a service keeps the pod; below a delegated unit
    and without systemd the pod gets a cgroup of its own, made by us, where that is
    possible (docs/architecture.md, "Where the pod lives").

    Raises ScopeError: systemd refused, or a property is malformed.
    """
    words = [word for text in properties for word in unit_property(text)]
    here = cgroups.place(cgroups.path_of())
    if not os.path.exists("/run/systemd/system"):
        own = here.path.rstrip("/") + f"/rkt-{uuid}" if here.kind == "delegated" else _beside(here.path, uuid)
        return _own(own, here.path, "no systemd", words, debug)
    if slice_name is None and not properties:
        if here.kind == "service":
            return Scope(here.path, None, True, here.path)
        if here.kind == "delegated":
            return _own(f"{here.path}/rkt-{uuid}", here.path, f"below {here.unit}", words, debug)
    unit = f"rkt-{uuid}.scope"
    _start(unit, slice_name or here.slice, uuid, words)
    return Scope(unit, unit, True, here.path)


def wait(scope: Scope) -> str:
    """Wait until this process is in its cgroup; returns its path.

    Raises ScopeError if systemd did not move it in time.
    """
    if scope.unit is None:
        return scope.path
    deadline = time.monotonic() + _WAIT_S
    while not (path := cgroups.path_of()).endswith("/" + scope.unit):
        if time.monotonic() > deadline:
            raise ScopeError(f"{scope.unit}: systemd did not start it within {_WAIT_S:.0f} s")
        time.sleep(0.0005)
    return path


def remove_after(scope: Scope) -> None:
    """See to it that a cgroup that we made goes when this process ends, however it ends.

    systemd does that for its units; without it a process of ours waits for the end.
    """
    if scope.unit is not None or scope.path == scope.caller:
        return
    from stage1 import background
    background.after_the_pod(scope.caller, lambda: cgroups.remove_when_empty(scope.path))


def abandon(scope: Scope) -> None:
    """After a failed start: leave the cgroup that we made, and remove it.

    A scope goes with its processes, so this waits until systemd has put us into it.
    """
    if scope.unit is not None:
        try:
            wait(scope)
        except ScopeError:
            pass
    elif scope.path != scope.caller:
        cgroups.enter_own(scope.caller)
        cgroups.remove(scope.path)


def clear(uuid: str) -> None:
    """End the scope of a pod that has no process any more, if systemd still has it.

    A process that is killed while systemd moves it never was in the cgroup, which then
    never becomes empty: such a scope would stay until the next boot.
    """
    path = f"{_TRANSIENT}/rkt-{uuid}.scope"
    if not os.path.exists(path):
        return
    from stage1 import bus
    try:
        bus.call_manager("StopUnit", [bus.string(f"rkt-{uuid}.scope"), bus.string("replace")])
    except bus.BusError:
        pass  # it ended by itself, or we may not: then it is not ours
    deadline = time.monotonic() + _CLEAR_S
    while os.path.exists(path) and time.monotonic() < deadline:
        time.sleep(0.002)


def unit_property(text: str) -> list[tuple[int, object]]:
    """A resource property as systemd spells it, `MemoryMax=1G`, for a message.

    Raises ScopeError: not a property of scopes, or its value is malformed.
    """
    from stage1 import bus
    name, equals, value = text.partition("=")
    if not equals or not value:
        raise ScopeError(f"--property={text}: not of the form NAME=VALUE")
    if name in _BYTES:
        return bus.variant(name, "t", (ord("t"), _bytes(text, value)))
    if name in _NUMBERS:
        return bus.variant(name, "t", (ord("t"), _whole(text, value)))
    if name == "CPUQuota" and value.endswith("%"):
        return bus.variant("CPUQuotaPerSecUSec", "t", (ord("t"), _whole(text, value[:-1], 10_000)))
    if name in ("Description", "OOMPolicy"):
        return bus.variant(name, "s", bus.string(value))
    known = ", ".join((*_BYTES, *_NUMBERS, "CPUQuota", "Description", "OOMPolicy"))
    raise ScopeError(f"--property={text}: not one of {known}")


def _bytes(text: str, value: str) -> int:
    if value == "infinity":
        return _INFINITY
    suffix = value[-1] if value[-1] in _UNITS else ""
    return _whole(text, value[:len(value) - len(suffix)], _UNITS[suffix])


def _whole(text: str, digits: str, factor: int = 1) -> int:
    if not digits.isascii() or not digits.isdigit():
        raise ScopeError(f"--property={text}: {digits or 'nothing'} is not a whole number")
    if len(digits) > 20 or int(digits) * factor >= _INFINITY:
        raise ScopeError(f"--property={text}: too large")
    return int(digits) * factor


def _start(unit: str, slice_name: str, uuid: str, words: list[tuple[int, object]]) -> None:
    from stage1 import bus
    properties = [
        *bus.variant("Description", "s", bus.string(f"rkt pod {uuid}")),
        *bus.variant("PIDs", "au", *bus.array("u", (ord("u"), os.getpid()))),
        *bus.variant("Delegate", "b", (ord("b"), True)),
        *bus.variant("CollectMode", "s", bus.string("inactive-or-failed")),
        *(bus.variant("Slice", "s", bus.string(slice_name)) if slice_name else []),
        *words,
    ]
    try:
        bus.call_manager("StartTransientUnit", [
            bus.string(unit), bus.string("fail"), *bus.array("(sv)", *properties), *bus.array("(sa(sv))")])
    except bus.BusError as err:
        raise ScopeError(f"scope {unit}") from err


def _beside(path: str, uuid: str) -> str:
    return os.path.dirname(path.rstrip("/")).rstrip("/") + f"/rkt-{uuid}"


def _own(path: str, caller: str, why: str, words: list[tuple[int, object]], debug: bool) -> Scope:
    if words:
        raise ScopeError(f"--property: {why} that could enforce it")
    made = cgroups.enter_own(path)
    if debug:
        os.write(2, f"stage1: {why}: the pod lives in {path if made else caller}\n".encode())
    return Scope(path if made else caller, None, False, caller)
