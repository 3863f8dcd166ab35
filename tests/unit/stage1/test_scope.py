"""Where a pod comes to live."""
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stage1 import bus, cgroups, scope
from stage1.scope import Scope, ScopeError
from stage2 import errors

UUID = "12345678-1234-4234-8234-123456789abc"
UNIT = f"rkt-{UUID}.scope"
SESSION = "/user.slice/user-1000.slice/session-2.scope"


class Host:
    """A host that is told what its cgroups are, and notes what is asked of it."""

    def __init__(self, monkeypatch) -> None:
        self.monkeypatch = monkeypatch
        self.calls: list[tuple[str, list[bus.Word]]] = []
        self.entered: list[str] = []
        self.removed: list[str] = []
        self.writable = True
        self.here = ["/"]
        monkeypatch.setattr(cgroups, "path_of", lambda: self.here.pop(0) if len(self.here) > 1 else self.here[0])
        monkeypatch.setattr(cgroups, "enter_own", self._enter)
        monkeypatch.setattr(cgroups, "remove", self.removed.append)
        monkeypatch.setattr(bus, "call_manager", lambda method, words: self.calls.append((method, words)))

    def with_systemd(self, is_there: bool) -> None:
        real = os.path.exists
        self.monkeypatch.setattr(
            os.path, "exists", lambda path: is_there if path == "/run/systemd/system" else real(path))

    def _enter(self, path: str) -> bool:
        self.entered.append(path)
        return self.writable


@pytest.fixture
def host(monkeypatch) -> Host:
    made = Host(monkeypatch)
    made.with_systemd(True)
    return made


def nested(words: Iterator[bus.Word]) -> list[object]:
    """The values of a message up to the end of a container; a container is (signature, its values)."""
    found: list[object] = []
    for kind, value in words:
        if kind == -1:
            break
        found.append((value, *nested(words)) if chr(kind) in "arv" else value)
    return found


def members(words: list[bus.Word]) -> dict[str, object]:
    """The properties of StartTransientUnit by name: their signatures and values."""
    _unit, _mode, (signature, *found), auxiliary = nested(iter(words))  # type: ignore[misc]
    assert (signature, auxiliary) == (b"(sv)", (b"(sa(sv))",))
    return {name.decode(): value for _signature, name, value in found}


# --- with systemd -----------------------------------------------------------------------------------


def test_a_session_gets_a_scope_in_its_slice(host: Host) -> None:
    host.here = [SESSION]
    assert scope.request(UUID) == Scope(UNIT, UNIT, True, SESSION)
    [(method, words)] = host.calls
    assert method == "StartTransientUnit"
    assert words[:2] == [(ord("s"), UNIT.encode()), (ord("s"), b"fail")]
    assert members(words) == {
        "Description": (b"s", f"rkt pod {UUID}".encode()), "PIDs": (b"au", (b"u", os.getpid())),
        "Delegate": (b"b", True), "CollectMode": (b"s", b"inactive-or-failed"), "Slice": (b"s", b"user-1000.slice")}
    assert host.entered == []


def test_outside_of_all_slices_systemd_picks_one(host: Host) -> None:
    scope.request(UUID)
    assert "Slice" not in members(host.calls[0][1])


def test_the_slice_that_is_asked_for_counts(host: Host) -> None:
    host.here = [SESSION]
    scope.request(UUID, "batch.slice", ("MemoryMax=1G", "TasksMax=infinity"))
    found = members(host.calls[0][1])
    assert {name: found[name] for name in ("Slice", "MemoryMax", "TasksMax")} == {
        "Slice": (b"s", b"batch.slice"), "MemoryMax": (b"t", 1 << 30), "TasksMax": (b"t", (1 << 64) - 1)}


def test_a_service_keeps_the_pod(host: Host) -> None:
    host.here = ["/system.slice/web.service"]
    assert scope.request(UUID) == Scope("/system.slice/web.service", None, True, "/system.slice/web.service")
    assert (host.calls, host.entered) == ([], [])


@pytest.mark.parametrize("slice_name, properties, expected", [
    ("batch.slice", (), b"batch.slice"), (None, ("CPUWeight=50",), b"system.slice")])
def test_a_service_with_a_slice_or_properties_gets_a_scope(
        host: Host, slice_name: str | None, properties: tuple[str, ...], expected: bytes) -> None:
    host.here = ["/system.slice/web.service"]
    assert scope.request(UUID, slice_name, properties).unit == UNIT
    assert members(host.calls[0][1])["Slice"] == (b"s", expected)


def test_below_a_delegated_unit_the_pod_gets_a_cgroup_there(host: Host) -> None:
    host.here = ["/system.slice/runner.service/job"]
    own = f"/system.slice/runner.service/job/rkt-{UUID}"
    assert scope.request(UUID) == Scope(own, None, False, "/system.slice/runner.service/job")
    assert (host.calls, host.entered) == ([], [own])


def test_a_refusal_of_systemd_is_told(host: Host, monkeypatch) -> None:
    def refuse(_method: str, _words: object) -> None:
        raise bus.BusError("StartTransientUnit: Unit exists")

    monkeypatch.setattr(bus, "call_manager", refuse)
    with pytest.raises(ScopeError) as caught:
        scope.request(UUID)
    assert errors.line(caught.value) == f"scope {UNIT}: StartTransientUnit: Unit exists"


# --- without systemd --------------------------------------------------------------------------------


@pytest.mark.parametrize("here, own", [
    ("/", f"/rkt-{UUID}"), ("/batch/job", f"/batch/rkt-{UUID}"), ("/job", f"/rkt-{UUID}"),
    ("/ci.service/job", f"/ci.service/job/rkt-{UUID}"),
])
def test_without_systemd_the_pod_gets_a_cgroup_of_its_own(host: Host, here: str, own: str) -> None:
    host.with_systemd(False)
    host.here = [here]
    assert scope.request(UUID) == Scope(own, None, False, here)
    assert (host.calls, host.entered) == ([], [own])


def test_where_no_cgroup_can_be_made_the_pod_stays(host: Host, capfd) -> None:
    host.with_systemd(False)
    host.here, host.writable = ["/job"], False
    assert scope.request(UUID, debug=True) == Scope("/job", None, False, "/job")
    assert capfd.readouterr().err == "stage1: no systemd: the pod lives in /job\n"


def test_without_systemd_properties_cannot_be_had(host: Host) -> None:
    host.with_systemd(False)
    with pytest.raises(ScopeError) as caught:
        scope.request(UUID, None, ("MemoryMax=1G",))
    assert str(caught.value) == "--property: no systemd that could enforce it"
    assert host.entered == []


# --- properties -------------------------------------------------------------------------------------


@pytest.mark.parametrize("text, name, signature, word", [
    ("MemoryMax=1073741824", "MemoryMax", "t", (ord("t"), 1 << 30)),
    ("MemoryHigh=3K", "MemoryHigh", "t", (ord("t"), 3072)),
    ("MemoryLow=2M", "MemoryLow", "t", (ord("t"), 2 << 20)),
    ("MemorySwapMax=0", "MemorySwapMax", "t", (ord("t"), 0)),
    ("MemoryMax=1T", "MemoryMax", "t", (ord("t"), 1 << 40)),
    ("TasksMax=infinity", "TasksMax", "t", (ord("t"), (1 << 64) - 1)),
    ("CPUWeight=200", "CPUWeight", "t", (ord("t"), 200)),
    ("CPUQuota=150%", "CPUQuotaPerSecUSec", "t", (ord("t"), 1_500_000)),
    ("Description=a=b", "Description", "s", (ord("s"), b"a=b")),
    ("OOMPolicy=kill", "OOMPolicy", "s", (ord("s"), b"kill")),
])
def test_a_property_as_systemd_takes_it(text: str, name: str, signature: str, word: bus.Word) -> None:
    assert scope.unit_property(text) == bus.variant(name, signature, word)


_KNOWN = ("not one of MemoryMax, MemoryHigh, MemoryLow, MemoryMin, MemorySwapMax, TasksMax, CPUWeight, IOWeight, "
          "StartupCPUWeight, StartupIOWeight, CPUQuota, Description, OOMPolicy")


@pytest.mark.parametrize("text, fault", [
    ("MemoryMax", "not of the form NAME=VALUE"),
    ("MemoryMax=", "not of the form NAME=VALUE"),
    ("", "not of the form NAME=VALUE"),
    ("MemoryMax=K", "nothing is not a whole number"),
    ("MemoryMax=1.5G", "1.5 is not a whole number"),
    ("MemoryMax=-1", "-1 is not a whole number"),
    ("MemoryMax=50%", "50% is not a whole number"),
    ("MemoryMax=١", "١ is not a whole number"),
    ("MemoryMax=16777216T", "too large"),
    ("TasksMax=" + "9" * 5000, "too large"),
    ("CPUQuota=99999999999999999999%", "too large"),
    ("CPUWeight=infinity", "infinity is not a whole number"),
    ("CPUQuota=%", "nothing is not a whole number"),
    ("CPUQuota=50", _KNOWN),
    ("ExecStart=/bin/sh", _KNOWN),
])
def test_a_malformed_property(text: str, fault: str) -> None:
    with pytest.raises(ScopeError) as caught:
        scope.unit_property(text)
    assert str(caught.value) == f"--property={text}: {fault}"


# --- wait, abandon, clear ---------------------------------------------------------------------------


def test_wait_sees_the_move_through(host: Host) -> None:
    host.here = [SESSION, SESSION, f"/user.slice/user-1000.slice/{UNIT}"]
    assert scope.wait(Scope(UNIT, UNIT, True, SESSION)) == f"/user.slice/user-1000.slice/{UNIT}"


def test_wait_does_not_look_where_no_scope_was_asked_for(host: Host) -> None:
    assert scope.wait(Scope("/job/rkt-1", None, False, "/job")) == "/job/rkt-1"


def test_wait_gives_up_in_the_end(host: Host, monkeypatch) -> None:
    monkeypatch.setattr(scope, "_WAIT_S", 0.01)
    host.here = [f"/other-{UNIT}"]
    with pytest.raises(ScopeError) as caught:
        scope.wait(Scope(UNIT, UNIT, True, SESSION))
    assert str(caught.value) == f"{UNIT}: systemd did not start it within 0 s"


def test_after_a_failed_start_our_cgroup_goes(host: Host) -> None:
    scope.abandon(Scope("/job/rkt-1", None, False, "/job"))
    assert (host.entered, host.removed) == (["/job"], ["/job/rkt-1"])


def test_after_a_failed_start_the_cgroup_of_the_caller_stays(host: Host) -> None:
    scope.abandon(Scope("/job", None, False, "/job"))
    assert (host.entered, host.removed) == ([], [])


def test_after_a_failed_start_a_scope_is_left_to_systemd(host: Host, monkeypatch) -> None:
    monkeypatch.setattr(scope, "_WAIT_S", 0.01)
    host.here = [SESSION]
    scope.abandon(Scope(UNIT, UNIT, True, SESSION))  # even if systemd never moved us
    assert (host.entered, host.removed) == ([], [])


def test_a_scope_that_systemd_still_has_is_stopped(host: Host, monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(scope, "_TRANSIENT", str(tmp_path))
    (tmp_path / UNIT).write_text("")

    def stop(method: str, words: list[bus.Word]) -> None:
        host.calls.append((method, words))
        (tmp_path / UNIT).unlink()

    monkeypatch.setattr(bus, "call_manager", stop)
    scope.clear(UUID)
    scope.clear(UUID)  # is gone by now
    assert host.calls == [("StopUnit", [(ord("s"), UNIT.encode()), (ord("s"), b"replace")])]
