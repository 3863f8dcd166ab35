"""Isolators: each kind, the rules of a list, and those that are not known."""
from __future__ import annotations

from typing import Any

import pytest

from stage1.appc import isolators, node
from stage1.appc.isolators import (
    CPU,
    AppArmorProfile,
    BlockBandwidth,
    BlockIOPS,
    CapabilitiesRemove,
    CapabilitiesRetain,
    CPUShares,
    Isolator,
    Memory,
    NetworkBandwidth,
    NoNewPrivileges,
    OOMScoreAdj,
    SeccompRemove,
    SeccompRetain,
    SELinuxContext,
    Sysctl,
    Unknown,
)
from stage1.appc.node import ManifestError
from stage1.appc.quantity import TITLE, Quantity
from stage1.appc.types import AC_IDENTIFIER

LINUX = "os/linux/"


def parse(*found: Any) -> tuple[Isolator, ...]:
    return node.from_json({"isolators": list(found)}, lambda it: isolators.parse(it["isolators"]))


def violations(*found: Any) -> tuple[str, ...]:
    with pytest.raises(ManifestError) as caught:
        parse(*found)
    return caught.value.violations


@pytest.mark.parametrize(("name", "value", "isolator"), [
    ("resource/cpu", {"request": "250m", "limit": "500m"}, CPU(Quantity.of("250m"), Quantity.of("500m"))),
    ("resource/memory", {"limit": "1G"}, Memory(limit=Quantity.of("1G"))),
    ("resource/memory", {}, Memory()),
    ("resource/block-bandwidth", {"default": True, "limit": "2M"}, BlockBandwidth(limit=Quantity.of("2M"))),
    ("resource/block-iops", {"default": True, "limit": "1k"}, BlockIOPS(limit=Quantity.of("1k"))),
    ("resource/network-bandwidth", {"default": True, "limit": "1G"}, NetworkBandwidth(limit=Quantity.of("1G"))),
    (LINUX + "capabilities-retain-set", {"set": ["CAP_KILL", "CAP_CHOWN"]},
     CapabilitiesRetain(("CAP_KILL", "CAP_CHOWN"))),
    (LINUX + "capabilities-remove-set", {"set": ["CAP_KILL"]}, CapabilitiesRemove(("CAP_KILL",))),
    (LINUX + "seccomp-retain-set", {"set": ["@appc.io/all"]}, SeccompRetain(("@appc.io/all",))),
    (LINUX + "seccomp-remove-set", {"set": ["sync", "reboot"], "errno": "ENOTSUP"},
     SeccompRemove(("sync", "reboot"), "ENOTSUP")),
    (LINUX + "no-new-privileges", True, NoNewPrivileges(True)),
    (LINUX + "cpu-shares", 2, CPUShares(2)),
    (LINUX + "cpu-shares", 262144, CPUShares(262144)),
    (LINUX + "oom-score-adj", -1000, OOMScoreAdj(-1000)),
    (LINUX + "selinux-context", {"user": "u", "role": "r", "type": "t", "level": "s0:c1,c2"},
     SELinuxContext("u", "r", "t", "s0:c1,c2")),
    (LINUX + "apparmor-profile", {"profile": "app //x"}, AppArmorProfile("app //x")),
    ("os/unix/sysctl", {"net.ipv4.ip_forward": "1"}, Sysctl((("net.ipv4.ip_forward", "1"),))),
    ("example.com/mine", {"B": [1, {"x": None}], "a": "é"},
     Unknown("example.com/mine", '{"B":[1,{"x":null}],"a":"é"}')),
    ("example.com/mine", None, Unknown("example.com/mine", "null")),
])
def test_each_kind(name: str, value: Any, isolator: Isolator) -> None:
    found = {"name": name, "value": value}
    assert parse(found) == (isolator,)
    assert isolator.name == name
    assert isolator.to_json() == found


def test_every_kind_of_the_specification_is_known() -> None:
    assert len(isolators.KINDS) == 15
    assert all(kind.NAME == name for name, kind in isolators.KINDS.items())


@pytest.mark.parametrize(("name", "value", "violation"), [
    ("resource/cpu", None, "isolators[0].value: missing, must be an object"),
    ("resource/cpu", "1", 'isolators[0].value: "1" is not an object'),
    ("resource/cpu", {"limit": "1 core"}, f'isolators[0].value.limit: "1 core" is not {TITLE}'),
    ("resource/memory", {"request": "-1"}, 'isolators[0].value.request: "-1" is not a quantity of 0 or more'),
    ("resource/memory", {"default": True},
     "isolators[0].value.default: true is not allowed in resource/memory, only false"),
    ("resource/memory", {"default": 0}, "isolators[0].value.default: 0 is not true or false"),
    ("resource/block-iops", {"limit": "1"},
     "isolators[0].value.default: missing, must be true, the only value in resource/block-iops"),
    ("resource/block-bandwidth", {"limit": "1", "default": False},
     "isolators[0].value.default: false is not true, the only value in resource/block-bandwidth"),
    ("resource/network-bandwidth", {"request": "1", "default": True},
     'isolators[0].value.request: "1" is not allowed in resource/network-bandwidth'),
    (LINUX + "capabilities-retain-set", {"set": []},
     "isolators[0].value.set: the list is empty, must be a list of at least 1 text"),
    (LINUX + "capabilities-remove-set", {}, "isolators[0].value.set: missing, must be a list of texts"),
    (LINUX + "capabilities-remove-set", {"set": ["CAP_KILL", "CAP CHOWN"]},
     'isolators[0].value.set[1]: "CAP CHOWN" is not a name without blanks'),
    (LINUX + "seccomp-retain-set", {"set": []},
     "isolators[0].value.set: the list is empty, must be a list of at least 1 text"),
    (LINUX + "seccomp-remove-set", {"set": ["sync"], "errno": "eperm"},
     'isolators[0].value.errno: "eperm" is not the name of an error, such as "EPERM", or empty'),
    (LINUX + "seccomp-remove-set", {"set": ["sync"], "errno": "1"},
     'isolators[0].value.errno: "1" is not the name of an error, such as "EPERM", or empty'),
    (LINUX + "no-new-privileges", "true", 'isolators[0].value: "true" is not true or false'),
    (LINUX + "cpu-shares", 1, "isolators[0].value: 1 is not a whole number from 2 to 262144"),
    (LINUX + "cpu-shares", 262145, "isolators[0].value: 262145 is not a whole number from 2 to 262144"),
    (LINUX + "oom-score-adj", 1001, "isolators[0].value: 1001 is not a whole number from -1000 to 1000"),
    (LINUX + "oom-score-adj", None, "isolators[0].value: missing, must be a whole number from -1000 to 1000"),
    (LINUX + "selinux-context", {"user": "u:x"}, 'isolators[0].value.user: "u:x" is not text without ":"'),
    (LINUX + "apparmor-profile", {"profile": ""}, 'isolators[0].value.profile: "" is not the name of a profile'),
    ("os/unix/sysctl", {"a": 1}, 'isolators[0].value["a"]: 1 is not Unicode text'),
    ("os/unix/sysctl", None, "isolators[0].value: missing, must be an object of texts"),
    ("Mine", 1, f'isolators[0].name: "Mine" is not {AC_IDENTIFIER.title}'),
    (["x"], 1, f"isolators[0].name: a list is not {AC_IDENTIFIER.title}"),
])
def test_values_that_are_wrong(name: Any, value: Any, violation: str) -> None:
    assert violations({"name": name, "value": value}) == (violation,)


MEMORY = {"name": "resource/memory", "value": {"limit": "1G"}}
SHARES = {"name": LINUX + "cpu-shares", "value": 2}
MINE = {"name": "example.com/mine", "value": 1}


def test_of_several_resources_the_last_one_counts() -> None:
    found = parse(MEMORY, {"name": "resource/memory", "value": {"limit": "2G"}}, MINE, MINE)
    assert isolators.last(found, Memory) == Memory(limit=Quantity.of("2G"))
    assert isolators.last(found, CPU) is None
    assert len(found) == 4


@pytest.mark.parametrize("name", ["cpu-shares", "oom-score-adj"])
def test_some_kinds_may_stand_once(name: str) -> None:
    found = {"name": LINUX + name, "value": 2}
    assert violations(found, MEMORY, found) == (f"isolators: os/linux/{name} stands 2 times, allowed is once",)


@pytest.mark.parametrize("what", ["capabilities", "seccomp"])
def test_retain_and_remove_exclude_each_other(what: str) -> None:
    found = [{"name": f"os/linux/{what}-{kind}-set", "value": {"set": ["x"]}} for kind in ("retain", "remove")]
    assert violations(*found) == (f"isolators: os/linux/{what}-remove-set and os/linux/{what}-retain-set exclude each "
                                  "other, allowed is one of them",)


def test_an_unknown_one_is_kept_as_it_stands() -> None:
    text = '{"isolators":[{"name":"x","value":{"z":1,"A":[true,1.5,"\\u00e9"],"a":12345678901234567890}}]}'
    found = node.loads(text, lambda it: isolators.parse(it["isolators"]))
    assert found[0].to_json() == {"name": "x", "value": {"z": 1, "A": [True, 1.5, "é"], "a": 12345678901234567890}}
    assert list(found[0].to_json()["value"]) == ["z", "A", "a"]
    assert hash(found)


def test_an_unknown_one_is_bounded() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = {"x": deep}
    assert violations({"name": "x", "value": deep}) == (
        "isolators[0].value: nested more than 64 deep, which is not allowed",)
    long = {"name": "x", "value": "y" * (1 << 20)}
    assert violations(long)[0].endswith("has 1048578 characters, 1048576 are allowed")
