"""Capabilities: their numbers, and what an app may have at most."""
from __future__ import annotations

import pytest

from stage1 import capabilities
from stage1.appc.isolators import CapabilitiesRemove, CapabilitiesRetain, CPUShares
from stage1.capabilities import CapabilityError, bounding_set, mask, names


@pytest.mark.parametrize(("name", "number"), [
    ("CAP_CHOWN", 0), ("CAP_SETPCAP", 8), ("CAP_NET_ADMIN", 12), ("CAP_SYS_ADMIN", 21), ("CAP_MKNOD", 27),
    ("CAP_SETFCAP", 31), ("CAP_AUDIT_READ", 37), ("CAP_CHECKPOINT_RESTORE", 40)])
def test_numbers(name: str, number: int) -> None:
    assert mask((name,)) == 1 << number
    assert names(1 << number) == (name,)


def test_the_names_are_those_of_the_running_kernel() -> None:
    with open("/proc/sys/kernel/cap_last_cap", encoding="ascii") as file:
        assert int(file.read()) < len(capabilities.NAMES) == len(set(capabilities.NAMES))


def test_masks_and_names_are_inverse() -> None:
    assert mask(()) == 0
    assert names(0) == ()
    assert mask(capabilities.NAMES) == capabilities.ALL == (1 << 41) - 1
    assert names(mask(capabilities.DEFAULT)) == tuple(
        name for name in capabilities.NAMES if name in capabilities.DEFAULT)


def test_the_default_set() -> None:
    assert len(capabilities.DEFAULT) == 14
    assert bounding_set(()) == bounding_set((CPUShares(1024),)) == mask(capabilities.DEFAULT) == 0xA80425FB


def test_retained_ones_are_the_whole_set() -> None:
    assert names(bounding_set((CapabilitiesRetain(("CAP_SYS_ADMIN", "CAP_CHOWN")),))) == ("CAP_CHOWN", "CAP_SYS_ADMIN")


def test_removed_ones_are_taken_from_the_default_set() -> None:
    found = bounding_set((CapabilitiesRemove(("CAP_KILL", "CAP_SYS_ADMIN")),))
    assert set(capabilities.DEFAULT) - set(names(found)) == {"CAP_KILL"}
    assert len(names(found)) == 13


def test_of_several_the_last_one_counts() -> None:
    assert bounding_set((CapabilitiesRetain(("CAP_KILL",)), CapabilitiesRetain(("CAP_CHOWN",)))) == 1


def test_both_kinds_exclude_each_other() -> None:
    with pytest.raises(CapabilityError) as caught:
        bounding_set((CapabilitiesRemove(("CAP_KILL",)), CapabilitiesRetain(("CAP_CHOWN",))))
    assert str(caught.value) == ("os/linux/capabilities-retain-set and os/linux/capabilities-remove-set exclude each "
                                 "other, the app has both")


@pytest.mark.parametrize("isolator", [
    CapabilitiesRetain(("CAP_KILL", "CAP_MAGIC")), CapabilitiesRemove(("CAP_MAGIC",))])
def test_a_capability_that_does_not_exist(isolator: CapabilitiesRetain) -> None:
    with pytest.raises(CapabilityError) as caught:
        bounding_set((isolator,))
    assert str(caught.value) == "CAP_MAGIC is not a capability of Linux"
