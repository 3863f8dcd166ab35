"""The types that image and pod manifests share (App Container specification 0.8.11, "AC Types")."""
from __future__ import annotations

from stage1.appc.node import TEXT, WORD, Form, ManifestError, compact, is_word, shown
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from stage1.appc.node import Node

_DIGITS = frozenset("0123456789")
_HEX = frozenset("0123456789abcdef")
_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz")
_ALNUM = _LOWER | _DIGITS
_NAME = _ALNUM | {"-"}
_IDENTIFIER = _ALNUM | frozenset("-._~/")
_LETTERS = _LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_VARIABLE = _LETTERS | _DIGITS | frozenset("_.-")
_SEMVER = _LETTERS | _DIGITS | {"-"}

# The values of the label arch by those of the label os.
PLATFORMS = {
    "linux": ("amd64", "i386", "aarch64", "aarch64_be", "armv6l", "armv7l", "armv7b", "ppc64", "ppc64le", "s390x"),
    "freebsd": ("amd64", "i386", "arm"),
    "darwin": ("x86_64", "i386"),
}


# --- forms of text ----------------------------------------------------------------------------------


def _is_ac_name(text: str) -> bool:
    return _NAME.issuperset(text) and text[:1] in _ALNUM and text[-1:] in _ALNUM


def _is_ac_identifier(text: str) -> bool:
    # The specification wants single separators; published images have doubled ones, and rkt took them.
    return _IDENTIFIER.issuperset(text) and text[:1] in _ALNUM and text[-1:] in _ALNUM


def _is_variable(text: str) -> bool:
    return _VARIABLE.issuperset(text) and (text[:1] in _LETTERS or text[:1] == "_")


def _is_image_id(text: str) -> bool:
    digits = text[7:]
    return text.startswith("sha512-") and 2 <= len(digits) <= 128 and _HEX.issuperset(digits)


def _is_version(text: str) -> bool:
    rest, plus, build = text.partition("+")
    core, dash, pre_release = rest.partition("-")
    numbers = core.split(".")
    return (len(numbers) == 3 and all(map(_is_number, numbers)) and any(number != "0" for number in numbers)
            and (not dash or all(_is_number(part) or (not _DIGITS.issuperset(part) and _SEMVER.issuperset(part))
                                 for part in pre_release.split(".")))
            and (not plus or all(part and _SEMVER.issuperset(part) for part in build.split("."))))


def _is_number(text: str) -> bool:
    return text != "" and _DIGITS.issuperset(text) and (text[0] != "0" or text == "0")


def _is_date(text: str) -> bool:
    """RFC 3339, section 5.6; `T` and `Z` in capitals."""
    date, t, time = text.partition("T")
    if time.endswith("Z"):
        clock = time[:-1]
    else:
        clock, offset = time[:-6], time[-6:]
        if offset[:1] not in ("+", "-") or not _in_ranges(offset[1:], ":", ((2, 0, 23), (2, 0, 59))):
            return False
    clock, dot, fraction = clock.partition(".")
    if not t or (dot and not (fraction and _DIGITS.issuperset(fraction))):
        return False
    if not (_in_ranges(date, "-", ((4, 0, 9999), (2, 1, 12), (2, 1, 31)))
            and _in_ranges(clock, ":", ((2, 0, 23), (2, 0, 59), (2, 0, 60)))):
        return False
    year, month, day = map(int, date.split("-"))
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return day <= (29 if is_leap else 28) if month == 2 else day <= 30 + (month + month // 8) % 2


def _in_ranges(text: str, separator: str, ranges: tuple[tuple[int, int, int], ...]) -> bool:
    """Whether a text is numbers of these widths and ranges."""
    parts = text.split(separator)
    return len(parts) == len(ranges) and all(
        len(part) == width and _DIGITS.issuperset(part) and lowest <= int(part) <= highest
        for part, (width, lowest, highest) in zip(parts, ranges))


def _is_url(text: str) -> bool:
    scheme, separator, rest = text.partition("://")
    host = rest.split("/", 1)[0]
    return separator != "" and scheme.lower() in ("http", "https") and host != "" and " " not in host \
        and text.isprintable()


def _is_ipv4(text: str) -> bool:
    parts = text.split(".")
    return len(parts) == 4 and all(len(part) <= 3 and _is_number(part) and int(part) < 256 for part in parts)


def _is_path(text: str) -> bool:
    return text != "" and is_word(text)


def _is_absolute(text: str) -> bool:
    return text[:1] == "/" and is_word(text)


MAX_PATH = 4095
# A name becomes the name of files, with a suffix: it stays below the 255 bytes of file systems.
AC_NAME = Form("an AC name (lower-case letters, digits, - between them)", _is_ac_name, 240)
AC_IDENTIFIER = Form("an AC identifier (lower-case letters, digits, - . _ ~ / between them)", _is_ac_identifier, 1024)
IMAGE_ID = Form("an image ID (sha512- and 2 to 128 hexadecimal digits)", _is_image_id)
VERSION = Form("a version other than 0.0.0 (MAJOR.MINOR.PATCH, semver.org)", _is_version, 256)
DATE = Form("a date of RFC 3339 (2006-01-02T15:04:05Z)", _is_date, 64)
URL = Form("an http or https URL", _is_url, 1 << 16)
IPV4 = Form("an IPv4 address", _is_ipv4)
PATH = Form("a path", _is_path, MAX_PATH)
ABSOLUTE_PATH = Form("an absolute path", _is_absolute, MAX_PATH)
VARIABLE = Form("the name of a variable (letters, digits, _ . -, a letter or _ first)", _is_variable, 1 << 16)
IDENTITY = Form("a user or group (a name, a number, or an absolute path)", _is_path, MAX_PATH)


def check_ac_name(text: str) -> str:
    """The text, an AC name. Raises ManifestError."""
    return AC_NAME.check(text)


def check_ac_identifier(text: str) -> str:
    """The text, an AC identifier. Raises ManifestError."""
    return AC_IDENTIFIER.check(text)


def check_image_id(text: str) -> str:
    """The text, a whole or shortened image ID. Raises ManifestError."""
    return IMAGE_ID.check(text)


def check_version(text: str) -> str:
    """The text, a version of SemVer 2.0.0 other than 0.0.0. Raises ManifestError."""
    return VERSION.check(text)


def sanitize_ac_name(text: str) -> str:
    """The nearest AC name. Raises ManifestError if nothing of the text can be kept."""
    return _sanitize(text, _NAME, AC_NAME)


def sanitize_ac_identifier(text: str) -> str:
    """The nearest AC identifier. Raises ManifestError if nothing of the text can be kept."""
    return _sanitize(text, _IDENTIFIER, AC_IDENTIFIER)


def _sanitize(text: str, allowed: frozenset[str], form: Form) -> str:
    made = "".join(char if char in allowed else "-" for char in text.lower()).strip("-._~/")
    made = made[:form.limit].strip("-._~/")
    if not made:
        raise ManifestError((f"{shown(text)} cannot be made {form.title}",))
    return made


def parse_uuid(text: str) -> str:
    """A UUID of 32 hexadecimal digits, with or without dashes, as it is printed. Raises ManifestError."""
    digits = text.lower()
    if len(text) == 36 and all(text[place] == "-" for place in (8, 13, 18, 23)):
        digits = digits.replace("-", "")
    if len(digits) != 32 or not _HEX.issuperset(digits):
        raise ManifestError((f"{shown(text)} is not a UUID (32 hexadecimal digits, dashed 8-4-4-4-12 or not at all)",))
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


# --- values -----------------------------------------------------------------------------------------


class Label(Value):
    """A label of an image, such as version, os, arch."""

    name: str
    value: str

    @classmethod
    def parse(cls, node: Node) -> Label:
        name = node["name"].text(AC_IDENTIFIER)
        if name == "name":
            node["name"].note('"name" is reserved, allowed is any other AC identifier')
        return cls(name, node["value"].text())

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value}


def parse_labels(node: Node) -> tuple[Label, ...]:
    """The labels of an image; os and arch have to name a platform that there is."""
    labels = node.objects(Label.parse, unique="name")
    given = {label.name: label.value for label in labels}
    system, arch = given.get("os"), given.get("arch")
    if system is None:
        return labels  # arch says nothing without os
    if system not in PLATFORMS:
        node.note(f"os {shown(system)} is none of {', '.join(PLATFORMS)}")
    elif arch is not None and arch not in PLATFORMS[system]:
        node.note(f"arch {shown(arch)} is none of {', '.join(PLATFORMS[system])}, those of os {system}")
    return labels


class Annotation(Value):
    """A note on an image, an app or a pod."""

    name: str
    value: str

    @classmethod
    def parse(cls, node: Node) -> Annotation:
        name = node["name"].text(AC_IDENTIFIER)
        return cls(name, node["value"].text(_ANNOTATION_FORMS.get(name, TEXT)))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value}


_ANNOTATION_FORMS = {"created": DATE, "homepage": URL, "documentation": URL}


def parse_annotations(node: Node) -> tuple[Annotation, ...]:
    """Annotations, each name once."""
    return node.objects(Annotation.parse, unique="name")


class EnvironmentVariable(Value):
    """A variable of an app's environment; nothing in it is substituted."""

    name: str
    value: str

    @classmethod
    def parse(cls, node: Node) -> EnvironmentVariable:
        return cls(node["name"].text(VARIABLE), node["value"].text(WORD))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "value": self.value}


class MountPoint(Value):
    """A path of an app where a volume belongs."""

    name: str
    path: str
    read_only: bool = False

    @classmethod
    def parse(cls, node: Node) -> MountPoint:
        return cls(node["name"].text(AC_NAME), node["path"].text(PATH), node["readOnly"].boolean(False))

    def to_json(self) -> dict[str, Any]:
        return compact({"name": self.name, "path": self.path, "readOnly": self.read_only or None})


class Port(Value):
    """A port that an app listens on, or a range of `count` ports."""

    name: str
    protocol: str
    port: int
    count: int = 1
    socket_activated: bool = False

    @classmethod
    def parse(cls, node: Node) -> Port:
        port = node["port"].integer(1, 65535)
        return cls(node["name"].text(AC_NAME), node["protocol"].text(WORD, default="tcp"), port,
                   node["count"].integer(1, 65536 - port, default=1), node["socketActivated"].boolean(False))

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "protocol": self.protocol, "port": self.port, "count": self.count,
                "socketActivated": self.socket_activated}


class Volume(Value):
    """Files for the apps of a pod: a path of the host, or an empty directory that lives as long as the pod.

    `source` belongs to kind host; `mode` (octal text), `uid` and `gid` to kind empty,
    where None means 0755, 0 and 0. `read_only` None leaves it to the mount point, `recursive`
    None to the executor.
    """

    name: str
    kind: str
    source: str | None = None
    read_only: bool | None = None
    recursive: bool | None = None
    mode: str | None = None
    uid: int | None = None
    gid: int | None = None

    @classmethod
    def parse(cls, node: Node) -> Volume:
        name, kind = node["name"].text(AC_NAME), node["kind"].one_of("empty", "host")
        read_only, recursive = (None if node[key].is_missing() else node[key].boolean()
                                for key in ("readOnly", "recursive"))
        for key in {"host": ("mode", "uid", "gid"), "empty": ("source",), "": ()}[kind]:
            if node[key].value not in (None, ""):
                node[key].note(f"{shown(node[key].value)} is not allowed in a volume of kind {kind}")
        if kind == "host":
            return cls(name, kind, node["source"].text(ABSOLUTE_PATH), read_only, recursive)
        return cls(name, kind, None, read_only, recursive, node["mode"].text(MODE, default="0755"),
                   node["uid"].integer(0, MAX_ID, default=0), node["gid"].integer(0, MAX_ID, default=0))

    def to_json(self) -> dict[str, Any]:
        made: dict[str, Any] = {"name": self.name, "kind": self.kind, "source": self.source,
                                "readOnly": self.read_only, "recursive": self.recursive}
        if self.kind == "empty":
            made |= {"mode": self.mode or "0755", "uid": self.uid or 0, "gid": self.gid or 0}
        return compact(made)


MAX_ID = 0xFFFF_FFFE


def _is_mode(text: str) -> bool:
    return text != "" and not text.strip("01234567") and int(text, 8) <= 0o7777


MODE = Form("a file mode in octal (0755)", _is_mode, 16)


class Mount(Value):
    """A volume of the pod, or one of this mount alone, at a path of an app."""

    volume: str
    path: str
    app_volume: Volume | None = None

    @classmethod
    def parse(cls, node: Node) -> Mount:
        return cls(node["volume"].text(AC_NAME), node["path"].text(PATH),
                   node["appVolume"].optional_object(Volume.parse))

    def to_json(self) -> dict[str, Any]:
        return compact({"volume": self.volume, "path": self.path,
                        "appVolume": self.app_volume and self.app_volume.to_json()})
