"""Copies of trees."""
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from stage0 import copying


@pytest.fixture(params=[True, False], ids=["cloning", "copying"])
def clones(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(copying._Copy, "clone", lambda *_: False)


@pytest.mark.usefixtures("clones")
def test_a_copy_has_all_that_the_tree_has(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bin").mkdir(parents=True)
    (tree / "bin/sh").write_bytes(b"program" * 100_000)
    (tree / "bin/sh").chmod(0o4755)
    (tree / "empty").touch()
    (tree / "link").symlink_to("/outside")
    os.link(tree / "bin/sh", tree / "bin/ash")
    os.link(tree / "bin/sh", tree / "shell")
    os.mkfifo(tree / "fifo", 0o640)
    with open(tree / "sparse", "wb") as file:
        file.seek(8 << 20)
        file.write(b"end")
        file.truncate(16 << 20)
    os.setxattr(tree / "empty", "user.colour", b"green")
    os.setxattr(tree / "bin", "user.colour", b"blue")
    for name in ("bin/sh", "empty", "bin", "."):
        os.utime(tree / name, ns=(1_000_000_001, 2_000_000_002))
    os.utime(tree / "link", ns=(3, 4), follow_symlinks=False)
    tree.chmod(0o711)

    copying.copy_tree(str(tree), str(tmp_path / "copy"))

    copy = tmp_path / "copy"
    assert sorted(path.relative_to(copy) for path in copy.rglob("*")) == \
        sorted(path.relative_to(tree) for path in tree.rglob("*"))
    for path in (tree, *tree.rglob("*")):
        old, new = path.lstat(), (copy / path.relative_to(tree)).lstat()
        assert (old.st_mode, old.st_uid, old.st_gid, old.st_mtime_ns) == \
            (new.st_mode, new.st_uid, new.st_gid, new.st_mtime_ns), path
        assert stat.S_ISDIR(old.st_mode) or old.st_size == new.st_size, path
    assert (copy / "bin/sh").read_bytes() == (tree / "bin/sh").read_bytes()
    assert (copy / "sparse").read_bytes() == (tree / "sparse").read_bytes()
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20
    assert os.readlink(copy / "link") == "/outside"
    assert len({(copy / name).stat().st_ino for name in ("bin/sh", "bin/ash", "shell")}) == 1
    assert (copy / "shell").stat().st_nlink == 3
    assert os.getxattr(copy / "empty", "user.colour") == b"green"
    assert os.getxattr(copy / "bin", "user.colour") == b"blue"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owners_capabilities_and_devices(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "ping").touch()
    os.chown(tree / "ping", 12, 34)
    (tree / "ping").chmod(0o6755)
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(tree / "ping", "security.capability", capability)
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(tree, 5, 6)

    copying.copy_tree(str(tree), str(tmp_path / "copy"))

    ping, null, top = ((tmp_path / "copy" / name).stat() for name in ("ping", "null", "."))
    assert (ping.st_uid, ping.st_gid, ping.st_mode & 0o7777) == (12, 34, 0o6755)
    assert os.getxattr(tmp_path / "copy/ping", "security.capability") == capability
    assert null.st_rdev == os.makedev(1, 3)
    assert stat.S_ISCHR(null.st_mode)
    assert (top.st_uid, top.st_gid) == (5, 6)
