"""The vendor's, the administrator's and the user's directories → one frozen Config.

Each directory may hold auth.d, paths.d and stage1.d with files *.json; a later directory wins
over an earlier one, host by host and field by field. docs/commands/config.md.
"""
from __future__ import annotations

import os

from stage2 import files, jsontext
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

KINDS = {"auth.d": ("auth", "dockerAuth"), "paths.d": ("paths",), "stage1.d": ("stage1",)}
_SCHEMES = ("file", "docker", "http", "https")
HIDDEN = "********"


class ConfigError(RktError):
    """A configuration file that cannot be read, or says what makes no sense."""


class Auth(Value):
    """The account of a host that images come from; `type` is basic, oauth or aws."""

    host: str
    type: str
    credentials: tuple[tuple[str, str], ...]     # with the names of the file

    def to_json(self) -> dict[str, Any]:
        return {"rktKind": "auth", "rktVersion": "v1", "domains": [self.host], "type": self.type,
                "credentials": dict(self.credentials)}


class DockerAuth(Value):
    """The account of a registry."""

    registry: str
    user: str
    password: str

    def to_json(self) -> dict[str, Any]:
        return {"rktKind": "dockerAuth", "rktVersion": "v1", "registries": [self.registry],
                "credentials": {"user": self.user, "password": self.password}}


class Paths(Value):
    """Directories; "" is the default."""

    data: str = ""
    stage1_images: str = ""

    def to_json(self) -> dict[str, Any]:
        named = {"data": self.data, "stage1-images": self.stage1_images}
        return {"rktKind": "paths", "rktVersion": "v1", **{key: path for key, path in named.items() if path}}


class Stage1(Value):
    """The stage1 image that pods get; "" is the built-in one."""

    name: str = ""
    version: str = ""
    location: str = ""

    def to_json(self) -> dict[str, Any]:
        named = {"name": self.name, "version": self.version, "location": self.location}
        return {"rktKind": "stage1", "rktVersion": "v1", **{key: text for key, text in named.items() if text}}


class Config(Value):
    """What all configuration files say together."""

    auth: tuple[Auth, ...] = ()
    docker_auth: tuple[DockerAuth, ...] = ()
    paths: Paths = Paths()
    stage1: Stage1 = Stage1()

    def to_json(self, *, show_secrets: bool = True) -> dict[str, Any]:
        """One object an entry, in the syntax of the files; without secrets they read `********`."""
        entries = [entry.to_json() for entry in self.auth] + [entry.to_json() for entry in self.docker_auth]
        if self.paths != Paths():
            entries.append(self.paths.to_json())
        if self.stage1 != Stage1():
            entries.append(self.stage1.to_json())
        if not show_secrets:
            for entry in entries:
                shown = entry.get("credentials", {})
                shown.update({key: HIDDEN for key in shown if key in ("password", "token", "secretAccessKey")})
        return {"stage0": entries}


def load(directories: Iterable[str]) -> Config:
    """The configuration of these directories, the weakest first.

    Raises ConfigError, which names the file and the field.
    """
    found = _read(directories, KINDS)
    return Config(
        tuple(made for (kind, _), made in found.items() if kind == "auth"),
        tuple(made for (kind, _), made in found.items() if kind == "dockerAuth"),
        _paths(found), Stage1(**_fields(found, "stage1")))


def paths(directories: Iterable[str]) -> Paths:
    """The directories alone: reads paths.d and nothing else."""
    return _paths(_read(directories, ("paths.d",)))


Settings = dict[tuple[str, str], "Any"]     # (kind, host or field): value


def _paths(found: Settings) -> Paths:
    return Paths(**_fields(found, "paths"))


def _fields(found: Settings, kind: str) -> dict[str, str]:
    return {key: value for (of, names), values in found.items() if of == kind
            for key, value in zip(names.split(), values)}


def _read(directories: Iterable[str], below: Iterable[str]) -> Settings:
    """The settings of some sub-directories, those of later directories in the place of earlier ones."""
    merged: Settings = {}
    for directory in directories:
        for name in below:
            own: dict[tuple[str, str], str] = {}     # setting: the file that has it
            for path in _files(os.path.join(directory, name)):
                for setting, value in _parse(path, KINDS[name]).items():
                    if setting in own:
                        raise ConfigError(f"{path}: {' '.join(setting)} is set in {own[setting]} already")
                    own[setting] = path
                    merged[setting] = value
    return merged


def _files(directory: str) -> list[str]:
    """The configuration files in a directory: *.json, no links; none if there is no such directory."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entry.path for entry in entries
                          if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _parse(path: str, kinds: tuple[str, ...]) -> Settings:
    try:
        value = jsontext.loads(files.read(path))
    except ValueError as err:
        raise ConfigError(f"{path}: not JSON: {err}") from None
    except OSError as err:
        raise ConfigError("reading the configuration") from err
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: not a JSON object")
    node = _Node(path, value)
    kind = node.text("rktKind")
    if kind not in kinds:
        node.fail("rktKind", f"{kind} is not {' or '.join(kinds)}, which this directory is for")
    if (version := node.text("rktVersion")) != "v1":
        node.fail("rktVersion", f"{version} is not v1")
    return _PARSERS[kind](node)


class _Node:
    """An object of a configuration file, and where it stands."""

    def __init__(self, path: str, value: dict[str, Any], field: str = "") -> None:
        self.path, self.value, self.field = path, value, field

    def fail(self, name: str, reason: str) -> None:
        raise ConfigError(f"{self.path}: {self.field}{name}: {reason}")

    def text(self, name: str, default: str | None = None) -> str:
        """A string that is not empty; `default`, if given, when it is absent or empty."""
        found = self.value.get(name, "")
        if not isinstance(found, str):
            self.fail(name, "not a string")
        if not found and default is None:
            self.fail(name, "empty" if name in self.value else "missing")
        return str(found or default or "")

    def texts(self, name: str) -> list[str]:
        """A list of strings, none empty, at least one."""
        found = self.value.get(name)
        if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
            self.fail(name, "not a list of one or more names" if name in self.value else "missing")
            return []
        for text in found:
            if found.count(text) > 1:
                self.fail(name, f"{text} stands twice")
        return found

    def node(self, name: str) -> _Node:
        found = self.value.get(name)
        if not isinstance(found, dict):
            self.fail(name, "not an object" if name in self.value else "missing")
            return self
        return _Node(self.path, found, f"{self.field}{name}.")


def _parse_auth(node: _Node) -> Settings:
    hosts, kind, given = node.texts("domains"), node.text("type"), node.node("credentials")
    credentials: dict[str, str] = {}
    if kind == "basic":
        credentials = {"user": given.text("user"), "password": given.text("password", "")}
    elif kind == "oauth":
        credentials = {"token": given.text("token")}
    elif kind == "aws":
        credentials = {key: given.text(key) for key in ("accessKeyID", "secretAccessKey")}
        credentials |= {"awsRegion": region} if (region := given.text("awsRegion", "")) else {}
    else:
        node.fail("type", f"{kind} is none of basic, oauth, aws")
    return {("auth", host): Auth(host, kind, tuple(credentials.items())) for host in hosts}


def _parse_docker_auth(node: _Node) -> Settings:
    given = node.node("credentials")
    user, password = given.text("user"), given.text("password", "")
    return {("dockerAuth", host): DockerAuth(host, user, password) for host in node.texts("registries")}


def _parse_paths(node: _Node) -> Settings:
    found: Settings = {}
    for name in ("data", "stage1-images"):
        if path := node.text(name, ""):
            if not path.startswith("/"):
                node.fail(name, f"{path} is not an absolute path")
            found["paths", name.replace("-", "_")] = (path,)
    return found


def _parse_stage1(node: _Node) -> Settings:
    name, version, location = (node.text(key, "") for key in ("name", "version", "location"))
    if bool(name) != bool(version):
        node.fail("version" if name else "name", "missing: name and version go together")
    scheme = location.partition(":")[0]
    if location and not location.startswith("/") and scheme not in _SCHEMES:
        node.fail("location", f"{location} is neither an absolute path nor a URL ({', '.join(_SCHEMES)})")
    found: Settings = {}
    if name:
        found["stage1", "name version"] = (name, version)
    if location:
        found["stage1", "location"] = (location,)
    return found


_PARSERS: dict[str, Callable[[_Node], Settings]] = {
    "auth": _parse_auth, "dockerAuth": _parse_docker_auth, "paths": _parse_paths, "stage1": _parse_stage1}
