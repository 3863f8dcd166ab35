"""Whether the apps' trees can be stacked by overlayfs on this host and in this data directory."""
from __future__ import annotations

import os

from stage2 import files

# File systems that are known to do for the upper layer, and those that are known not to.
_GOOD = frozenset({"ext4", "ext3", "tmpfs", "btrfs", "f2fs", "bcachefs"})
_BAD = frozenset({"aufs", "zfs", "overlay"})


def unusable(data_dir: str, *, filesystems: str = "/proc/filesystems", mountinfo: str = "/proc/self/mountinfo",
             ) -> str | None:
    """Why overlay cannot be used, or None if it can. The data directory must exist."""
    if not _known(filesystems):
        _load_module()
        if not _known(filesystems):
            return "the kernel has no overlay file system"
    kind = filesystem(data_dir, mountinfo)
    if kind in _BAD:
        return f"{data_dir} is on {kind}"
    if kind not in _GOOD and not _has_entry_types(data_dir):
        return f"directory entries in {data_dir} carry no type (d_type)"
    return None


def filesystem(path: str, mountinfo: str = "/proc/self/mountinfo") -> str | None:
    """The kind of file system that a path is on, if the list of mounts tells."""
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}".encode()
    for line in files.read(mountinfo).splitlines():
        if line.split(b" ", 3)[2] == wanted:
            return line.partition(b" - ")[2].split(b" ", 1)[0].decode()
    return None


def _known(filesystems: str) -> bool:
    return b"\toverlay\n" in files.read(filesystems)


def _load_module() -> None:
    import subprocess
    try:
        subprocess.run(["modprobe", "overlay"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
    except OSError:
        pass  # no modprobe: the check that follows tells


def _has_entry_types(directory: str) -> bool:
    """Python tells a directory entry's type without asking again only if the entry carried it."""
    probe = f"{directory}/.types-{os.urandom(8).hex()}"
    os.makedirs(f"{probe}/below")
    try:
        with os.scandir(probe) as entries:
            entry = next(entries)
        os.rmdir(f"{probe}/below")
        return entry.is_dir(follow_symlinks=False)
    finally:
        os.rmdir(probe)
