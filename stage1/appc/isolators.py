"""Isolators: what an app or a pod may use and do (App Container specification, "Isolator Types").

Known ones are checked. An executor may ignore the others, so those are kept as they stand.
"""
from __future__ import annotations

from stage1.appc.node import WORD, Form, compact, is_word, shown
from stage1.appc.quantity import Quantity
from stage1.appc.types import AC_IDENTIFIER
from stage2 import jsontext
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self, TypeVar

    from stage1.appc.node import Node

    T = TypeVar("T", bound="Isolator")


class Isolator(Value):
    """An isolator of one kind. Where `several` may stand in a list, the last one counts."""

    NAME = ""
    SEVERAL = False
    EXCLUDES = ""

    @property
    def name(self) -> str:
        """The name of its kind."""
        return self.NAME

    @classmethod
    def parse(cls, node: Node) -> Self:
        """The isolator whose value stands at the node."""
        raise NotImplementedError

    def value_to_json(self) -> Any:
        """The JSON of its value alone."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value_to_json()}


# --- resources --------------------------------------------------------------------------------------


class Resource(Isolator):
    """A resource with a limit, and what is asked for at least: as much, unless `request` says otherwise."""

    SEVERAL = True
    request: Quantity | None = None
    limit: Quantity | None = None

    @classmethod
    def parse(cls, node: Node) -> Self:
        return node.object(cls._parse_members)

    @classmethod
    def _parse_members(cls, node: Node) -> Self:
        cls._check_default(node)
        request, limit = node["request"], node["limit"]
        return cls(None if request.is_missing() else Quantity.parse(request),
                   None if limit.is_missing() else Quantity.parse(limit))

    @classmethod
    def _check_default(cls, node: Node) -> None:
        if node["default"].boolean(False):
            node["default"].note(f"true is not allowed in {cls.NAME}, only false")

    def value_to_json(self) -> Any:
        return compact({"request": self.request and str(self.request), "limit": self.limit and str(self.limit)})


class CPU(Resource):
    """CPU cores, in thousandths at the finest."""

    NAME = "resource/cpu"


class Memory(Resource):
    """Bytes of memory."""

    NAME = "resource/memory"


class _DefaultResource(Resource):
    """A resource whose limit holds for each device alike: `default` is true, and nothing is requested."""

    @classmethod
    def _check_default(cls, node: Node) -> None:
        if node["default"].value is not True:
            node["default"].wrong(f"true, the only value in {cls.NAME}")
        if not node["request"].is_missing():
            node["request"].note(f"{shown(node['request'].value)} is not allowed in {cls.NAME}")

    def value_to_json(self) -> Any:
        return {"default": True, **super().value_to_json()}


class BlockBandwidth(_DefaultResource):
    """Bytes a second to and from each block device."""

    NAME = "resource/block-bandwidth"


class BlockIOPS(_DefaultResource):
    """Operations a second on each block device."""

    NAME = "resource/block-iops"


class NetworkBandwidth(_DefaultResource):
    """Bytes a second on each network interface but the loopback."""

    NAME = "resource/network-bandwidth"


# --- Linux ------------------------------------------------------------------------------------------

_MEMBER = Form("a name without blanks", lambda text: text != "" and is_word(text) and len(text.split()) == 1, 256)
_ERRNO = Form('the name of an error, such as "EPERM", or empty', lambda text: text == "" or (
    len(text) > 1 and text[0] == "E" and text.isascii() and text.isalnum() and text == text.upper()), 64)


class CapabilitiesRetain(Isolator):
    """The capabilities that an app keeps."""

    NAME = "os/linux/capabilities-retain-set"
    SEVERAL = True
    EXCLUDES = "os/linux/capabilities-remove-set"
    set: tuple[str, ...]

    @classmethod
    def parse(cls, node: Node) -> Self:
        return node.object(lambda it: cls(it["set"].texts(_MEMBER, lowest=1)))

    def value_to_json(self) -> Any:
        return {"set": list(self.set)}


class CapabilitiesRemove(CapabilitiesRetain):
    """The capabilities that an app loses of the default ones."""

    NAME = "os/linux/capabilities-remove-set"
    EXCLUDES = "os/linux/capabilities-retain-set"


class SeccompRetain(Isolator):
    """The system calls that an app may make. Others fail with `errno`, or kill it where that is empty."""

    NAME = "os/linux/seccomp-retain-set"
    EXCLUDES = "os/linux/seccomp-remove-set"
    set: tuple[str, ...]
    errno: str = ""

    @classmethod
    def parse(cls, node: Node) -> Self:
        return node.object(lambda it: cls(it["set"].texts(_MEMBER, lowest=1), it["errno"].text(_ERRNO, default="")))

    def value_to_json(self) -> Any:
        return compact({"set": list(self.set), "errno": self.errno or None})


class SeccompRemove(SeccompRetain):
    """The system calls that an app may not make."""

    NAME = "os/linux/seccomp-remove-set"
    EXCLUDES = "os/linux/seccomp-retain-set"


class NoNewPrivileges(Isolator):
    """Whether an execve of the app can never gain privileges."""

    NAME = "os/linux/no-new-privileges"
    SEVERAL = True
    value: bool

    @classmethod
    def parse(cls, node: Node) -> Self:
        return cls(node.boolean())

    def value_to_json(self) -> Any:
        return self.value


class _Number(Isolator):
    """A whole number of a range."""

    RANGE = (0, 0)
    value: int

    @classmethod
    def parse(cls, node: Node) -> Self:
        return cls(node.integer(*cls.RANGE))

    def value_to_json(self) -> Any:
        return self.value


class CPUShares(_Number):
    """The weight of the app where apps compete for CPUs; 1024 is the usual one."""

    NAME = "os/linux/cpu-shares"
    RANGE = (2, 262144)


class OOMScoreAdj(_Number):
    """How readily the kernel kills the app when memory is short."""

    NAME = "os/linux/oom-score-adj"
    RANGE = (-1000, 1000)


_PROFILE = Form("the name of a profile", lambda text: text != "" and is_word(text), 4096)
_LABEL_PART = Form('text without ":"', lambda text: ":" not in text and is_word(text), 4096)


class SELinuxContext(Isolator):
    """The SELinux context of a process."""

    NAME = "os/linux/selinux-context"
    user: str
    role: str
    type: str
    level: str

    @classmethod
    def parse(cls, node: Node) -> Self:
        return node.object(lambda it: cls(
            it["user"].text(_LABEL_PART, default=""), it["role"].text(_LABEL_PART, default=""),
            it["type"].text(_LABEL_PART, default=""), it["level"].text(WORD, default="")))

    def value_to_json(self) -> Any:
        return {"user": self.user, "role": self.role, "type": self.type, "level": self.level}


class AppArmorProfile(Isolator):
    """The AppArmor profile of a process; it has to be loaded."""

    NAME = "os/linux/apparmor-profile"
    profile: str

    @classmethod
    def parse(cls, node: Node) -> Self:
        return node.object(lambda it: cls(it["profile"].text(_PROFILE)))

    def value_to_json(self) -> Any:
        return {"profile": self.profile}


class Sysctl(Isolator):
    """Kernel parameters of the pod."""

    NAME = "os/unix/sysctl"
    values: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, node: Node) -> Self:
        if node.is_missing():
            node.wrong("an object of texts")
        return cls(node.map())

    def value_to_json(self) -> Any:
        return dict(self.values)


class Unknown(Isolator):
    """An isolator that the specification does not have: its name, and the JSON text of its value."""

    kind: str
    json: str

    @property
    def name(self) -> str:
        return self.kind

    def value_to_json(self) -> Any:
        return jsontext.loads(self.json)


KINDS: dict[str, type[Isolator]] = {kind.NAME: kind for kind in (
    CPU, Memory, BlockBandwidth, BlockIOPS, NetworkBandwidth, CapabilitiesRetain, CapabilitiesRemove, SeccompRetain,
    SeccompRemove, NoNewPrivileges, CPUShares, OOMScoreAdj, SELinuxContext, AppArmorProfile, Sysctl)}


def parse(node: Node) -> tuple[Isolator, ...]:
    """The isolators of a list, of an app or a pod."""
    found = node.objects(_parse_one)
    names = [isolator.name for isolator in found]
    for isolator in {isolator.name: isolator for isolator in found}.values():
        kind = type(isolator)
        if kind is not Unknown and not kind.SEVERAL and names.count(kind.NAME) > 1:
            node.note(f"{kind.NAME} stands {names.count(kind.NAME)} times, allowed is once")
        if kind.EXCLUDES in names and kind.NAME < kind.EXCLUDES:
            node.note(f"{kind.NAME} and {kind.EXCLUDES} exclude each other, allowed is one of them")
    return found


def _parse_one(node: Node) -> Isolator:
    name = node["name"].text(AC_IDENTIFIER)
    kind = KINDS.get(name)
    return Unknown(name, node["value"].verbatim()) if kind is None else kind.parse(node["value"])


def last(isolators: Iterable[Isolator], kind: type[T]) -> T | None:
    """The isolator of a kind that counts: the last of them, None if there is none."""
    found = [isolator for isolator in isolators if type(isolator) is kind]
    return found[-1] if found else None
