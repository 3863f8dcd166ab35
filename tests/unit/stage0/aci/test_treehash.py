"""The digest of a tree: what changes it and what does not."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0.aci import treehash

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners, makes devices")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "d/e").mkdir(parents=True)
    (root / "d/file").write_bytes(b"content" * 1000)
    (root / "d/e/empty").touch()
    (root / "d/big").write_bytes(os.urandom(3_000_000))
    (root / "d/zeros").write_bytes(bytes(2_500_000))
    (root / "s").symlink_to("d/file")
    os.link(root / "d/file", root / "hard")
    os.mkfifo(root / "fifo")
    settle(root)
    return root


def settle(root: Path) -> None:
    """One time for everything, so that what a test does to names does not show in times."""
    for above, directories, files in os.walk(root):
        for name in directories + files:
            os.utime(os.path.join(above, name), (5, 5), follow_symlinks=False)
    os.utime(root, (5, 5))


def digest(root: Path) -> str:
    settle(root)
    return treehash.summarize(str(root)).digest


def test_the_digest_is_named_and_stable(tree: Path) -> None:
    first = digest(tree)
    assert first == digest(tree)
    kind, _, number = first.partition("-")
    assert (kind, len(number)) == ("sha256", 64)


def test_a_copy_has_the_same_digest(tree: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", tree, tmp_path / "copy"], check=True)
    assert digest(tmp_path / "copy") == digest(tree)
    again = tmp_path / "other/place"
    again.mkdir(parents=True)
    for name in sorted(os.listdir(tree), reverse=True):
        os.rename(tmp_path / "copy" / name, again / name)
    assert digest(again) == digest(tree)


def test_holes_and_stored_zeros_are_the_same(tree: Path) -> None:
    before = digest(tree)
    with open(tree / "d/zeros", "wb") as file:
        file.truncate(2_500_000)
    assert digest(tree) == before
    with open(tree / "d/zeros", "r+b") as file:
        file.truncate(2_500_001)
    assert digest(tree) != before


def flip(root: Path, name: str, at: int) -> None:
    with open(root / name, "r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


CHANGES: dict[str, Callable[[Path], object]] = {
    "first byte": lambda root: flip(root, "d/file", 0),
    "byte of a large file": lambda root: flip(root, "d/big", 2_999_999),
    "byte in zeros": lambda root: flip(root, "d/zeros", 2_200_000),
    "longer": lambda root: os.truncate(root / "d/file", 7001),
    "shorter": lambda root: os.truncate(root / "d/file", 6999),
    "mode": lambda root: os.chmod(root / "d/file", 0o600),
    "setuid": lambda root: os.chmod(root / "d/file", 0o4644),
    "mode of a directory": lambda root: os.chmod(root / "d/e", 0o711),
    "mode of the top": lambda root: os.chmod(root, 0o711),
    "name": lambda root: os.rename(root / "d/e/empty", root / "d/e/void"),
    "place": lambda root: os.rename(root / "d/e/empty", root / "d/empty"),
    "gone": lambda root: os.unlink(root / "d/e/empty"),
    "more": lambda root: (root / "new").touch(),
    "new directory": lambda root: (root / "new").mkdir(),
    "target of a symlink": lambda root: (os.unlink(root / "s"), os.symlink("d/filf", root / "s")),
    "file in place of a hard link": lambda root: (
        os.unlink(root / "hard"), shutil.copy2(root / "d/file", root / "hard")),
    "file in place of a symlink": lambda root: (os.unlink(root / "s"), (root / "s").write_text("d/file")),
    "file in place of a fifo": lambda root: (os.unlink(root / "fifo"), (root / "fifo").touch()),
    "user attribute": lambda root: os.setxattr(root / "d/file", "user.a", b"b"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changes_show(tree: Path, change: Callable[[Path], object]) -> None:
    before = digest(tree)
    change(tree)
    assert digest(tree) != before


def test_times_show(tree: Path) -> None:
    before = digest(tree)
    for name in ("d/file", "d", "s"):
        settle(tree)
        os.utime(tree / name, ns=(0, 5_000_000_001), follow_symlinks=False)
        assert treehash.summarize(str(tree)).digest != before


@needs_root
def test_owners_devices_and_capabilities_show(tree: Path) -> None:
    found = {digest(tree)}
    os.chown(tree / "d/e", 1, 0)
    found.add(digest(tree))
    os.chown(tree / "s", 0, 1, follow_symlinks=False)
    found.add(digest(tree))
    os.setxattr(tree / "d/file", "security.capability", bytes.fromhex("0100000200200000000000000000000000000000"))
    found.add(digest(tree))
    for minor in (3, 5):
        os.mknod(tree / "node", 0o20600, os.makedev(1, minor))
        found.add(digest(tree))
        os.unlink(tree / "node")
    assert len(found) == 6


@needs_root
def test_attributes_that_no_image_has_do_not_show(tree: Path) -> None:
    before = digest(tree)
    os.setxattr(tree / "d/file", "trusted.a", b"b")
    assert digest(tree) == before


def test_the_size_is_that_on_the_disk(tree: Path) -> None:
    shown = int(subprocess.run(["du", "-s", "--block-size=1", tree], capture_output=True, check=True).stdout.split()[0])
    assert treehash.summarize(str(tree)).size_bytes == shown


def test_huge_holes_take_no_time(tree: Path) -> None:
    os.truncate(tree / "d/zeros", 1 << 42)
    before = digest(tree)
    with open(tree / "d/zeros", "r+b") as file:
        file.seek(1 << 41)
        file.write(b"x")
    assert digest(tree) != before


def test_a_failure_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").touch()
        treehash.summarize(str(tmp_path / "file"))
