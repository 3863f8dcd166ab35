"""The root of an app, made in a tree that wants to lead out of it."""
from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stage2 import paths, root, syscalls
from stage2.record import App, Mount
from stage2.root import Root, RootError
from tests.lib.forked import errno_of, forked, needs_root


class Tree:
    """A rootfs beside a directory that nothing may reach."""

    def __init__(self, place: Path) -> None:
        self.rootfs, self.outside = place / "rootfs", place / "outside"
        self.rootfs.mkdir()
        self.outside.mkdir()
        self.root = Root(str(self.rootfs))

    def link(self, name: str, target: str) -> None:
        (self.rootfs / name).parent.mkdir(parents=True, exist_ok=True)
        (self.rootfs / name).symlink_to(target)

    def directory(self, path: str, mode: int = 0o755) -> str:
        """Where the directory came to be, below the rootfs."""
        return self._place(self.root.directory(path, mode))

    def file(self, path: str, content: str = "") -> str:
        """Where the file came to be, below the rootfs."""
        return self._place(self.root.file(path, content))

    def _place(self, fd: int) -> str:
        found = os.readlink(f"/proc/self/fd/{fd}")
        os.close(fd)
        assert os.listdir(self.outside) == []
        return found.removeprefix(str(self.rootfs))


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    made = Tree(tmp_path)
    yield made
    os.close(made.root.fd)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


# --- directories ------------------------------------------------------------------------------------


def test_a_directory_is_made_with_its_parents_whatever_the_umask(tree: Tree) -> None:
    before = os.umask(0o077)
    try:
        assert tree.directory("/a/b/tmp", 0o1777) == "/a/b/tmp"
    finally:
        os.umask(before)
    assert [mode(tree.rootfs / path) for path in ("a", "a/b", "a/b/tmp")] == [0o755, 0o755, 0o1777]


def test_a_directory_that_is_there_stays_as_it_is(tree: Tree) -> None:
    (tree.rootfs / "tmp").mkdir(0o700)
    assert tree.directory("/tmp", 0o1777) == "/tmp"
    assert mode(tree.rootfs / "tmp") == 0o700


@pytest.mark.parametrize("path, place", [("/", ""), ("/a/", "/a"), ("//a//b", "/a/b"), ("a/b", "/a/b")])
def test_a_path_may_be_written_in_several_ways(tree: Tree, path: str, place: str) -> None:
    assert tree.directory(path) == place


@pytest.mark.parametrize("link, place", [
    ("/target", "/target/x"),                     # absolute: from the root of the app
    ("../../../../target", "/target/x"),          # the root is its own parent
    ("deep/er", "/sub/deep/er/x"),
    ("/target/../target", "/target/x"),
    (".", "/sub/x"),
])
def test_a_link_stays_inside(tree: Tree, link: str, place: str) -> None:
    (tree.rootfs / "target").mkdir()
    (tree.rootfs / "sub/deep/er").mkdir(parents=True)
    tree.link("sub/link", link)
    assert tree.directory("/sub/link/x") == place


def test_a_link_to_a_directory_of_the_host_makes_one_inside(tree: Tree) -> None:
    tree.link("etc", str(tree.outside))
    assert tree.directory("/etc/new") == f"{tree.outside}/new"
    assert (tree.rootfs / str(tree.outside)[1:] / "new").is_dir()


@pytest.mark.parametrize("link, place", [
    ("/var/none", "/var/none"), ("none", "/a/none"), ("../../../none/deep", "/none/deep"), ("/hop", "/landed/here"),
])
def test_where_a_link_leads_nowhere_what_it_names_is_made(tree: Tree, link: str, place: str) -> None:
    tree.link("hop", "landed/here")
    tree.link("a/link", link)
    assert tree.directory("/a/link", 0o1777) == place
    assert mode(tree.rootfs / place[1:]) == 0o1777
    assert os.readlink(tree.rootfs / "a/link") == link


@pytest.mark.parametrize("prepare, number", [
    (lambda tree: tree.link("a", "a"), errno.ELOOP),
    (lambda tree: (tree.link("a", "b/x"), tree.link("b", "a/x")), errno.ELOOP),
    (lambda tree: (tree.rootfs / "a").write_text(""), errno.ENOTDIR),
    (lambda tree: os.mkfifo(tree.rootfs / "a"), errno.ENOTDIR),
])
def test_what_cannot_be_a_directory_fails(tree: Tree, prepare: Callable[[Tree], object], number: int) -> None:
    prepare(tree)
    assert errno_of(lambda: tree.directory("/a/c")) == number
    assert errno_of(lambda: tree.file("/a/c")) == number
    assert errno_of(lambda: tree.directory("/a")) == number


def test_links_of_proc_are_not_followed(tmp_path: Path) -> None:
    whole = Root("/")
    try:
        assert errno_of(lambda: whole.open(f"/proc/{os.getpid()}/root")) == errno.ELOOP
        assert errno_of(lambda: whole.open(f"/proc/{os.getpid()}/cwd/x")) == errno.ELOOP
    finally:
        os.close(whole.fd)


# --- files ------------------------------------------------------------------------------------------


def test_a_file_is_made_with_its_parents_and_content(tree: Tree) -> None:
    assert tree.file("/etc/sub/hosts", "::1 localhost\n") == "/etc/sub/hosts"
    assert (tree.rootfs / "etc/sub/hosts").read_text() == "::1 localhost\n"
    assert mode(tree.rootfs / "etc/sub/hosts") == 0o644


def test_a_file_that_is_there_keeps_its_content(tree: Tree) -> None:
    (tree.rootfs / "hosts").write_text("own")
    assert tree.file("/hosts", "new") == "/hosts"
    assert (tree.rootfs / "hosts").read_text() == "own"


def test_a_link_to_a_file_of_the_host_makes_one_inside(tree: Tree) -> None:
    victim = tree.outside.parent / "victim"
    victim.write_text("kept")
    (tree.rootfs / str(tree.outside.parent)[1:]).mkdir(parents=True)
    tree.link("hosts", str(victim))
    assert tree.file("/hosts", "new") == str(victim)
    assert victim.read_text() == "kept"
    assert (tree.rootfs / str(victim)[1:]).read_text() == "new"


def test_a_link_to_a_file_in_no_directory_fails(tree: Tree) -> None:
    tree.link("hosts", "../none/hosts")
    assert errno_of(lambda: tree.file("/hosts", "new")) == errno.ENOENT


def test_a_descriptor_left_open_is_the_one_returned(tree: Tree) -> None:
    before = set(os.listdir("/proc/self/fd"))
    tree.link("loop", "loop")
    tree.directory("/a/b/c")
    tree.file("/a/d")
    assert errno_of(lambda: tree.file("/loop/x")) == errno.ELOOP
    assert set(os.listdir("/proc/self/fd")) == before


# --- mounts -----------------------------------------------------------------------------------------


def in_namespace(tree: Tree, call: Callable[[], object]) -> object:
    """What a call returns in a child with a mount namespace of its own, and the root opened in it."""
    def separate() -> object:
        syscalls.unshare(syscalls.CLONE_NEWNS)
        syscalls.mount(None, "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
        tree.root = Root(str(tree.rootfs))
        return call()

    return forked(separate)


@needs_root
def test_a_volume_lands_inside_however_its_target_is_linked(tree: Tree) -> None:
    source = tree.outside.parent / "source"
    source.mkdir()
    (source / "data").write_text("volume")
    tree.link("data", f"../../../..{tree.outside}")

    def mount() -> tuple[list[str], list[str]]:
        tree.root.mount(Mount(str(source), "/data", "directory"))
        return os.listdir(tree.outside), os.listdir(f"{tree.rootfs}{tree.outside}")

    assert in_namespace(tree, mount) == ([], ["data"])


@pytest.mark.parametrize("flags, top, below", [
    (syscalls.MS_RDONLY | syscalls.MS_REC, errno.EROFS, errno.EROFS),
    (syscalls.MS_RDONLY, errno.EROFS, errno.EROFS),   # what lies below is not there
    (syscalls.MS_REC, 0, 0),
])
@needs_root
def test_a_read_only_volume_is_read_only_to_its_depth(tree: Tree, flags: int, top: int, below: int) -> None:
    source = tree.outside.parent / "source"
    (source / "sub").mkdir(parents=True)

    def mount() -> tuple[int, int, bool]:
        syscalls.mount("t", str(source / "sub"), "tmpfs", 0)
        (source / "sub/mark").write_text("")
        tree.root.mount(Mount(str(source), "/vol", "directory", flags))
        place = tree.rootfs / "vol"
        numbers = [errno_of(lambda made=made: made.write_text("x")) for made in (place / "new", place / "sub/new")]
        (source / "still-writable").write_text("")
        return numbers[0], numbers[1], (place / "sub/mark").exists()

    assert in_namespace(tree, mount) == (top, below, bool(flags & syscalls.MS_REC))


@needs_root
def test_a_file_volume_gets_a_file_as_its_target(tree: Tree) -> None:
    source = tree.outside.parent / "source"
    source.write_text("from the host")

    def mount() -> tuple[str, int]:
        tree.root.mount(Mount(str(source), "/etc/conf/file", "file", syscalls.MS_RDONLY))
        target = tree.rootfs / "etc/conf/file"
        return target.read_text(), errno_of(lambda: target.write_text("x"))

    assert in_namespace(tree, mount) == ("from the host", errno.EROFS)
    assert (tree.rootfs / "etc/conf/file").read_text() == ""


@needs_root
def test_a_mount_that_fails_names_source_and_target(tree: Tree) -> None:
    def mount() -> tuple[str, str]:
        try:
            tree.root.mount(Mount("/nowhere", "/data", "directory"))
        except RootError as err:
            return str(err), str(err.__cause__)
        return "", ""

    text, cause = in_namespace(tree, mount)  # type: ignore[misc]
    assert text == "mount of /nowhere on /data"
    assert cause.startswith("[Errno 2] No such file or directory: '/proc/self/fd/")


@needs_root
def test_masked_paths_are_empty_and_what_is_missing_stays_so(tree: Tree) -> None:
    (tree.rootfs / "directory").mkdir()
    (tree.rootfs / "directory/secret").write_text("s")
    (tree.rootfs / "file").write_text("secret")

    def mask() -> tuple[list[str], int, bytes, list[str]]:
        for path in ("/directory", "/file", "/none", "/file/none"):
            tree.root.mask(path)
        return (os.listdir(tree.rootfs / "directory"), errno_of(lambda: (tree.rootfs / "directory/x").write_text("x")),
                (tree.rootfs / "file").read_bytes(), sorted(os.listdir(tree.rootfs)))

    assert in_namespace(tree, mask) == ([], errno.EROFS, b"", ["directory", "file"])


@needs_root
def test_read_only_paths_can_be_read_only(tree: Tree) -> None:
    (tree.rootfs / "sys").mkdir()
    (tree.rootfs / "sys/value").write_text("1")

    def protect() -> tuple[str, int, int, bool]:
        tree.root.make_read_only("/sys")
        tree.root.make_read_only("/none")
        value = tree.rootfs / "sys/value"
        return (value.read_text(), errno_of(lambda: value.write_text("2")),
                errno_of(lambda: (tree.rootfs / "beside").write_text("x")), (tree.rootfs / "none").exists())

    assert in_namespace(tree, protect) == ("1", errno.EROFS, 0, False)


# --- the whole root ---------------------------------------------------------------------------------


def entered(monkeypatch, rootfs: Path, app: App, look: Callable[[], object]) -> object:
    """What a look from inside the root of an app sees."""
    monkeypatch.setattr(paths, "app_rootfs", lambda _name: str(rootfs))

    def enter() -> object:
        root.enter(app, terminal=False)
        return look()

    return forked(enter)


def device(path: str) -> tuple[int, int, int]:
    found = os.stat(path)
    assert stat.S_ISCHR(found.st_mode)
    return os.major(found.st_rdev), os.minor(found.st_rdev), stat.S_IMODE(found.st_mode)


@needs_root
def test_an_empty_image_gets_what_every_app_is_promised(monkeypatch, tree: Tree) -> None:
    def look() -> dict[str, object]:
        with open("/etc/hosts") as hosts, open("/etc/hostname") as hostname:
            texts = hosts.read(), hostname.read().strip()
        return {
            "top": sorted(os.listdir("/")), "cwd": os.getcwd(), "texts": texts,
            "tmp": oct(os.stat("/tmp").st_mode & 0o7777), "mtab": os.readlink("/etc/mtab"),
            "devices": {name: device(f"/dev/{name}") for name in (*root.DEVICES, "console")},
            "links": {name: os.readlink(f"/dev/{name}") for name in root.LINKS},
            "mounts": {line.split()[1]: line.split()[2] for line in open("/proc/self/mounts")},
            "sys": errno_of(lambda: open("/sys/kernel/uevent_helper", "w")),
            "self": os.path.samefile(f"/proc/{os.getpid()}", "/proc/self"),
        }

    seen = entered(monkeypatch, tree.rootfs, App("web", ("/web",), ()), look)
    assert isinstance(seen, dict)
    assert seen["top"] == ["dev", "etc", "proc", "run", "sys", "tmp"]
    assert seen["cwd"] == "/"
    assert seen["texts"] == (root.HOSTS, os.uname().nodename)
    assert (seen["tmp"], seen["mtab"]) == ("0o1777", "../proc/self/mounts")
    assert seen["devices"] == {"null": (1, 3, 0o666), "zero": (1, 5, 0o666), "full": (1, 7, 0o666),
                               "random": (1, 8, 0o666), "urandom": (1, 9, 0o666), "tty": (5, 0, 0o666),
                               "console": (1, 3, 0o600)}
    assert seen["links"] == {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
                             "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}
    mounts = seen["mounts"]
    assert {path: mounts[path] for path in ("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue")} == {
        "/proc": "proc", "/sys": "sysfs", "/dev": "tmpfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs",
        "/dev/mqueue": "mqueue"}
    assert [path for path in mounts if str(tree.rootfs) in path] == []
    assert seen["sys"] in (errno.EROFS, errno.ENOENT)
    assert seen["self"] is True


@needs_root
def test_volumes_masks_and_a_read_only_root(monkeypatch, tree: Tree) -> None:
    source = tree.outside.parent / "volume"
    source.mkdir()
    app = App("web", ("/web",), (), read_only_rootfs=True, masked_paths=("/proc/kcore", "/proc/scsi"),
              read_only_paths=("/proc/sys",), mounts=(Mount(str(source), "/data", "directory"),))

    def look() -> list[int]:
        with open("/data/written", "w") as written:
            written.write("x")
        assert not os.path.exists("/proc/kcore") or os.path.samefile("/proc/kcore", "/dev/null")
        return [errno_of(lambda: os.mkdir("/new")), errno_of(lambda: open("/tmp/x", "w")),
                errno_of(lambda: open("/proc/sys/kernel/hostname", "w")), errno_of(lambda: open("/dev/shm/..none/x"))]

    assert entered(monkeypatch, tree.rootfs, app, look) == [errno.EROFS] * 3 + [errno.ENOENT]
    assert (source / "written").read_text() == "x"


@needs_root
def test_a_root_full_of_links_leads_nowhere(monkeypatch, tree: Tree) -> None:
    for name in ("run", "proc", "sys", "dev", "etc"):
        tree.link(name, f"../../../..{tree.outside}/{name}")
    look = entered(monkeypatch, tree.rootfs, App("web", ("/web",), ()), lambda: sorted(os.listdir("/etc")))
    assert look == ["hostname", "hosts", "mtab"]
    assert os.listdir(tree.outside) == []


@needs_root
def test_mounts_of_an_app_do_not_reach_the_host(monkeypatch, tree: Tree) -> None:
    with open("/proc/self/mountinfo") as opened:
        before = opened.read()
    entered(monkeypatch, tree.rootfs, App("web", ("/web",), ()), lambda: None)
    with open("/proc/self/mountinfo") as opened:
        assert opened.read() == before
