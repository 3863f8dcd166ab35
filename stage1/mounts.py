"""The stage1 root: directories on disk, and the mounts of a Plan in stage1's own mount namespace.

The namespace goes with the last process of the pod, and all its mounts with it: the
host never sees one of them.
"""
from __future__ import annotations

import os

from stage1 import poddir
from stage2 import syscalls
from stage2.errors import RktError
from stage2.syscalls import MS_BIND, MS_RDONLY, MS_REC, MS_REMOUNT, MS_SLAVE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage1.plan import Bind, Plan

_DIRECTORIES = ("proc", "sys", "dev", "run", "tmp", "etc", "var", "opt", "rkt", "rkt/status", "rkt/lib", "rkt/seccomp",
                "rkt/volumes", "opt/stage2")
# What a merged /usr leaves at the top, linked or, on hosts that are not merged, a directory of its own.
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


class MountError(RktError):
    """A mount of the pod failed."""


def skeleton() -> None:
    """Make the directories of the stage1 root in the pod directory that is the working directory."""
    top = poddir.STAGE1_ROOTFS
    os.makedirs(top, 0o755, exist_ok=True)
    for name in _DIRECTORIES:
        _directory(f"{top}/{name}")
    for name in _TOP:
        if os.path.islink(f"/{name}") and not os.path.lexists(f"{top}/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{top}/{name}")


def separate() -> None:
    """Give this process a mount namespace of its own: mounts of the host come in, none goes out."""
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, MS_REC | MS_SLAVE)


def hide_runtime_directory() -> None:
    """Without systemd: let systemd-nspawn have a runtime directory that goes with the namespace.

    It leaves a directory for mounts to propagate behind, and complains when it removes it.
    """
    place = "/run/systemd" if os.path.isdir("/run/systemd") else "/run"
    syscalls.mount("tmpfs", place, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "mode=0755,size=1m")


def overlay(tree: str, upper: str, work: str, target: str) -> None:
    """Stack an app's own layer on the tree of its image. Raises MountError."""
    options = f"lowerdir={_escaped(tree)},upperdir={_escaped(upper)},workdir={_escaped(work)}"
    try:
        syscalls.mount("overlay", target, "overlay", 0, options)
    except OSError as err:
        raise MountError(f"overlay of {tree}") from err


def apply(plan: Plan) -> None:
    """Do the mounts of a plan. Raises MountError naming the path."""
    top = poddir.STAGE1_ROOTFS
    for bind in plan.binds:
        _bind(bind, f"{top}{bind.pod_path}")
    for name in _TOP:
        if os.path.isdir(f"/{name}") and not os.path.islink(f"/{name}"):
            os.makedirs(f"{top}/{name}", exist_ok=True)
            syscalls.mount(f"/{name}", f"{top}/{name}", None, MS_BIND)
            syscalls.mount(None, f"{top}/{name}", None, MS_BIND | MS_REMOUNT | MS_RDONLY)


def _bind(bind: Bind, target: str) -> None:
    try:
        if bind.is_file:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
        else:
            os.makedirs(target, exist_ok=True)
        syscalls.mount(bind.host_path, target, None, MS_BIND | (MS_REC if bind.recursive else 0))
        if bind.read_only:
            syscalls.mount(None, target, None, MS_BIND | MS_REMOUNT | MS_RDONLY)
    except OSError as err:
        raise MountError(f"mount of {bind.host_path}") from err


def _directory(path: str) -> None:
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        pass


def _escaped(path: str) -> str:
    """A path for the options of an overlay, in which colons, commas and backslashes mean something."""
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")
