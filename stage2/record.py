"""The run record: all that stage1 decided for each app. stage2 decides nothing.

A JSON file in the pod directory, read by stage2 in the pod and by `rkt enter` on the
host. It is written by stage1 alone, so reading it checks no more than its version.
"""
from __future__ import annotations

from stage2 import files, jsontext
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

VERSION = 1


class RecordError(RktError):
    """The run record is of a version that this stage2 does not know."""


class Mount(Value):
    """One mount in an app's root; `target` is resolved below that root and made if missing.

    `kind` says what the source is and what a missing target becomes: "directory" or
    "file" for a bind of the pod's own path `source`, else a file system type.
    """

    source: str
    target: str
    kind: str
    flags: int = 0
    data: str = ""


class App(Value):
    """What an app is started with. Numbers are those of the kernel, paths those of the app's root."""

    name: str
    exec: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str = "/"
    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    umask: int = 0o022
    capabilities: int = 0                      # bounding set, a mask
    no_new_privileges: bool = False
    seccomp: tuple[str, ...] = ()              # names of its filters, see paths.seccomp_filter
    read_only_rootfs: bool = False
    mounts: tuple[Mount, ...] = ()
    masked_paths: tuple[str, ...] = ()
    read_only_paths: tuple[str, ...] = ()
    pre_start: tuple[str, ...] = ()
    post_stop: tuple[str, ...] = ()
    stop_signal: int = 15
    notify: bool = False                       # the app says itself when it is ready
    listen_ports: tuple[int, ...] = ()         # of its socketActivated ports


class Record(Value):
    """What stage2 needs to know of a pod."""

    uuid: str
    apps: tuple[App, ...]
    interactive: bool = False
    prefix: bool = True                        # with several apps: lines start with `APP[PID]: `
    stop_timeout_s: float = 10.0
    debug: bool = False

    def app(self, name: str) -> App | None:
        """The app of that name, if there is one."""
        return next((app for app in self.apps if app.name == name), None)


def write(path: str, record: Record) -> None:
    """Write the record of a pod."""
    files.replace(path, jsontext.dumps({"version": VERSION, **_plain(record)}) + "\n", 0o644)


def read(path: str) -> Record:
    """Read the record of a pod. Raises RecordError if a later release wrote it."""
    found: dict[str, Any] = jsontext.loads(files.read(path))
    if found.pop("version") != VERSION:
        raise RecordError(f"{path}: not a record of version {VERSION}")
    return Record(apps=tuple(_app(app) for app in found.pop("apps")), **found)


def _app(found: dict[str, Any]) -> App:
    return App(**{**_tuples(found), "mounts": tuple(Mount(**mount) for mount in found["mounts"])})


def _plain(value: Any) -> Any:
    """The JSON form of a value: its fields by name."""
    if isinstance(value, Value):
        return {field: _plain(getattr(value, field)) for field in type(value)._fields}
    return [_plain(member) for member in value] if isinstance(value, tuple) else value


def _tuples(found: Any) -> Any:
    """JSON lists as tuples, at every depth below an object's members."""
    if isinstance(found, dict):
        return {name: _tuples(member) for name, member in found.items()}
    return tuple(_tuples(member) for member in found) if isinstance(found, list) else found
