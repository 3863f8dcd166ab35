"""The root that an app sees: its mounts, made in a mount namespace of its own.

The tree below comes from an image and is hostile: every target is opened with
RESOLVE_IN_ROOT and mounted on by descriptor, so that no link in it leads out.
image-format.md section 5 lists what an app is promised (the App Container Executor).
"""
from __future__ import annotations

import os

from stage2 import paths, syscalls
from stage2.errors import RktError
from stage2.syscalls import MS_BIND, MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REC

TYPE_CHECKING = False
if TYPE_CHECKING:
    from stage2.record import App, Mount

# name: major, minor
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
         "ptmx": "pts/ptmx"}
HOSTS = """\
127.0.0.1 localhost localhost.domain localhost4 localhost4.localdomain4
::1 ip6-localhost ip6-loopback localhost6 localhost6.localdomain6
fe00::0 ip6-localnet
ff00::0 ip6-mcastprefix
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
ff02::3 ip6-allhosts
"""
_SAFE = MS_NOSUID | MS_NODEV | MS_NOEXEC
_INSIDE = syscalls.RESOLVE_IN_ROOT | syscalls.RESOLVE_NO_MAGICLINKS


class RootError(RktError):
    """The root of an app cannot be made."""


class Root:
    """The root of an app while it is made; `fd` is its directory."""

    def __init__(self, rootfs: str) -> None:
        self.path = rootfs
        self.fd = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int = os.O_PATH) -> int:
        """Open a path as the app would see it; links stay inside the root."""
        return syscalls.openat2(self.fd, path, flags, 0, _INSIDE)

    def directory(self, path: str, mode: int = 0o755) -> int:
        """A descriptor of the directory, made with its parents if it is missing.

        Where a link leads nowhere, what it names is made.
        """
        try:
            return self.open(path, os.O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            above, name = os.path.split(path.rstrip("/"))
            parent = self.directory(above or ".")
        try:
            os.mkdir(name, mode, dir_fd=parent)
            os.chmod(name, mode, dir_fd=parent)  # whatever the umask
        except FileExistsError:
            os.close(self.directory(os.path.join(above, os.readlink(name, dir_fd=parent)), mode))
        finally:
            os.close(parent)
        return self.open(path, os.O_PATH | os.O_DIRECTORY)

    def file(self, path: str, content: str = "") -> int:
        """A descriptor of the file, made with its parents if it is missing."""
        try:
            return self.open(path)
        except FileNotFoundError:
            os.close(self.directory(os.path.dirname(path)))
        fd = syscalls.openat2(self.fd, path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o644, _INSIDE)
        try:
            os.write(fd, content.encode())
        finally:
            os.close(fd)
        return self.open(path)

    def mount(self, mount: Mount) -> None:
        """Mount on a target below the root."""
        bind = mount.kind in ("directory", "file")
        target = self.file(mount.target) if mount.kind == "file" else self.directory(mount.target)
        try:
            if bind:
                # A bind takes only MS_REC; what else is asked for takes a remount of the new mount.
                syscalls.mount(mount.source, _by_fd(target), None, MS_BIND | mount.flags & MS_REC)
            else:
                syscalls.mount(mount.source, _by_fd(target), mount.kind, mount.flags, mount.data)
        except OSError as err:
            raise RootError(f"mount of {mount.source} on {mount.target}") from err
        finally:
            os.close(target)
        if bind and mount.flags & MS_RDONLY:
            self.protect(mount.target, bool(mount.flags & MS_REC))

    def protect(self, path: str, recursive: bool = False) -> None:
        """Make the mount on a path read-only."""
        fd = self.open(path)
        try:
            flags = syscalls.AT_EMPTY_PATH | (syscalls.AT_RECURSIVE if recursive else 0)
            syscalls.mount_setattr(fd, "", flags, syscalls.MOUNT_ATTR_RDONLY)
        finally:
            os.close(fd)

    def mask(self, path: str) -> None:
        """Hide a path: a directory behind an empty read-only one, a file behind the null device."""
        try:
            fd = self.open(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            if os.path.isdir(_by_fd(fd)):
                syscalls.mount("tmpfs", _by_fd(fd), "tmpfs", _SAFE | MS_RDONLY, "size=0,nr_inodes=2,mode=0755")
            else:
                syscalls.mount("/dev/null", _by_fd(fd), None, MS_BIND)
        finally:
            os.close(fd)

    def make_read_only(self, path: str) -> None:
        """Make what stands at a path read-only, if it is there."""
        try:
            fd = self.open(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            syscalls.mount(_by_fd(fd), _by_fd(fd), None, MS_BIND | MS_REC)
        finally:
            os.close(fd)
        self.protect(path, recursive=True)


def _by_fd(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def enter(app: App, terminal: bool) -> None:
    """Give the calling process the root of an app, in a new mount namespace.

    `terminal`: the pod's console becomes the app's /dev/console. Mounts of the host
    still arrive in volumes, nothing goes back. Raises RootError or OSError; the
    process is then good for nothing but its end.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    syscalls.mount(None, "/", None, MS_REC | syscalls.MS_SLAVE)
    rootfs = paths.app_rootfs(app.name)
    syscalls.mount(rootfs, rootfs, None, MS_BIND | MS_REC)
    root = Root(rootfs)
    _system(root, terminal)
    for mount in app.mounts:
        root.mount(mount)
    for path in app.masked_paths:
        root.mask(path)
    for path in app.read_only_paths:
        root.make_read_only(path)
    if app.read_only_rootfs:
        root.protect("/")
    os.fchdir(root.fd)
    syscalls.pivot_root(".", ".")
    syscalls.umount2(".", syscalls.MNT_DETACH)
    os.chdir("/")
    os.close(root.fd)


def _system(root: Root, terminal: bool) -> None:
    """/proc, /sys, /dev and the few files that every app has."""
    from stage2.record import Mount
    os.close(root.directory("/tmp", 0o1777))
    os.close(root.directory("/run"))
    root.mount(Mount("proc", "/proc", "proc", _SAFE))
    root.mount(Mount("sysfs", "/sys", "sysfs", _SAFE | MS_RDONLY))
    _devices(root, terminal)
    for path, content in (("/etc/hosts", HOSTS), ("/etc/hostname", "")):
        os.close(root.file(path, content))
    root.mount(Mount("/proc/sys/kernel/hostname", "/etc/hostname", "file"))
    etc = root.directory("/etc")
    try:
        os.symlink("../proc/self/mounts", "mtab", dir_fd=etc)
    except FileExistsError:
        pass
    finally:
        os.close(etc)


def _devices(root: Root, terminal: bool) -> None:
    """A /dev of the app's own: the nodes every app may use, and what the pod's apps share."""
    dev = root.directory("/dev")
    try:
        syscalls.mount("tmpfs", _by_fd(dev), "tmpfs", MS_NOSUID | syscalls.MS_STRICTATIME, "mode=0755,size=64k")
    finally:
        os.close(dev)
    dev = root.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name, (major, minor) in DEVICES.items():
            os.mknod(name, 0o020666, os.makedev(major, minor), dir_fd=dev)
            os.chmod(name, 0o666, dir_fd=dev)
        for name, target in LINKS.items():
            os.symlink(target, name, dir_fd=dev)
        for name in ("pts", "shm", "mqueue", "net"):
            os.mkdir(name, dir_fd=dev)
        if os.path.exists("/dev/net/tun"):
            os.mknod("net/tun", 0o020666, os.makedev(10, 200), dir_fd=dev)
            os.chmod("net/tun", 0o666, dir_fd=dev)
        for name in ("pts", "shm"):
            syscalls.mount(f"/dev/{name}", f"{_by_fd(dev)}/{name}", None, MS_BIND | MS_REC)
        syscalls.mount("mqueue", f"{_by_fd(dev)}/mqueue", "mqueue", _SAFE)
        # A pod without a terminal has no console; what is written there goes nowhere.
        os.mknod("console", 0o020600, os.makedev(1, 3), dir_fd=dev)
        if terminal:
            syscalls.mount("/dev/console", f"{_by_fd(dev)}/console", None, MS_BIND)
    finally:
        os.close(dev)
