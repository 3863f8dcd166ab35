"""The capabilities of Linux by name and number, and those that an app may have at most."""
from __future__ import annotations

from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from stage1.appc.isolators import Isolator

# capabilities(7); the place of a name is its number.
NAMES = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST", "CAP_NET_ADMIN",
    "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO", "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE", "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE", "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM", "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE")
ALL = (1 << len(NAMES)) - 1

DEFAULT = (
    "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_KILL", "CAP_MKNOD",
    "CAP_NET_RAW", "CAP_NET_BIND_SERVICE", "CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETFCAP", "CAP_SYS_CHROOT")


class CapabilityError(RktError):
    """A capability that Linux does not have, or capability isolators that exclude each other."""


def mask(names: Iterable[str]) -> int:
    """The set of these capabilities as the kernel takes it. Raises CapabilityError for a name that is none."""
    made = 0
    for name in names:
        if name not in NAMES:
            raise CapabilityError(f"{name} is not a capability of Linux")
        made |= 1 << NAMES.index(name)
    return made


def names(mask: int) -> tuple[str, ...]:
    """The names of the capabilities of a set, by number."""
    return tuple(name for number, name in enumerate(NAMES) if mask >> number & 1)


def bounding_set(isolators: Iterable[Isolator]) -> int:
    """The capabilities that an app with these isolators may have at most, as a mask.

    Those that it retains, or the default ones without those that it removes; of several
    isolators of a kind the last one counts. Raises CapabilityError for both kinds together.
    """
    isolators = tuple(isolators)
    if not isolators:
        return mask(DEFAULT)
    from stage1.appc.isolators import CapabilitiesRemove, CapabilitiesRetain, last  # late: most apps have none

    retain, remove = last(isolators, CapabilitiesRetain), last(isolators, CapabilitiesRemove)
    if retain and remove:
        raise CapabilityError(f"{retain.name} and {remove.name} exclude each other, the app has both")
    if retain:
        return mask(retain.set)
    return mask(DEFAULT) & ~mask(remove.set if remove else ())
