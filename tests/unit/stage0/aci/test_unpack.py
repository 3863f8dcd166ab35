"""What unpacking makes: files, links, nodes, owners, modes, times, attributes, holes; parts of archives."""
from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from stage0.aci.archive import Archive, Entry
from stage0.aci.limits import ArchiveError
from stage0.aci.unpack import Unpacker, is_kept
from tests.lib import tars
from tests.lib.tars import directory, hard_link, member, pax, symlink, tar

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and owners")
CAPABILITY = bytes.fromhex("0100000200200000000000000000000000000000")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def unpack(top: Path, *archives: bytes, select: Callable[[Entry], bool] | None = None, **options: object) -> None:
    """Unpack archives over each other, and settle."""
    before = len(os.listdir("/proc/self/fd"))
    fd = os.open(top, os.O_RDONLY)
    try:
        with Unpacker(fd, **options) as unpacker:  # type: ignore[arg-type]
            for data in archives:
                if not unpacker.unpack(Archive([data]), select):
                    unpacker.settle(Archive([data]))
    finally:
        os.close(fd)
    assert len(os.listdir("/proc/self/fd")) == before


def error(top: Path, *archives: bytes, **options: object) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(top, *archives, **options)  # type: ignore[arg-type]
    return str(caught.value)


def names(top: Path) -> list[str]:
    return sorted(os.path.relpath(os.path.join(above, name), top)
                  for above, directories, files in os.walk(top) for name in directories + files)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_files_directories_links(top: Path) -> None:
    unpack(top, tar(
        directory("d", mode=0o750, mtime=100), member("d/file", data=b"content", mode=0o640, mtime=200),
        directory("d/e", mode=0o500, mtime=300), member("d/e/empty", mode=0o0), symlink("d/s", "../../etc/passwd"),
        hard_link("h", "d/file"), hard_link("d/e/t", "d/s"), member("fifo", tars.FIFO, mode=0o604),
        member("big", data=b"0123456789abcdef" * 200_000),
    ))
    assert names(top) == ["big", "d", "d/e", "d/e/empty", "d/e/t", "d/file", "d/s", "fifo", "h"]
    assert (top / "d/file").read_bytes() == b"content"
    assert (top / "big").read_bytes() == b"0123456789abcdef" * 200_000
    assert os.readlink(top / "d/s") == os.readlink(top / "d/e/t") == "../../etc/passwd"
    assert (top / "h").stat().st_ino == (top / "d/file").stat().st_ino
    assert (top / "d/e/t").lstat().st_ino == (top / "d/s").lstat().st_ino
    assert stat.S_ISFIFO((top / "fifo").stat().st_mode)
    assert [mode(top / name) for name in ("d", "d/file", "d/e", "d/e/empty", "fifo")] == [
        0o750, 0o640, 0o500, 0, 0o604]
    assert [(top / name).stat().st_mtime for name in ("d", "d/file", "d/e")] == [100, 200, 300]


def test_modes_do_not_depend_on_the_umask(top: Path) -> None:
    data = tar(directory("d", mode=0o777), member("d/f", mode=0o666), member("d/p", tars.FIFO, mode=0o666),
               member("g/h"))
    for umask in (0o077, 0o000):
        old = os.umask(umask)
        try:
            target = top / str(umask)
            target.mkdir(mode=0o755)
            unpack(target, data)
            assert os.umask(umask) == umask
        finally:
            os.umask(old)
        assert [mode(target / name) for name in ("d", "d/f", "d/p", "g", "g/h")] == [
            0o777, 0o666, 0o666, 0o755, 0o644]


@needs_root
def test_owners_set_id_bits_and_devices(top: Path) -> None:
    unpack(top, tar(
        directory("d", uid=5, gid=6, mode=0o3777), member("d/f", uid=7, gid=8, mode=0o6755),
        pax({"uid": "3000000000", "gid": "4000000"}), symlink("s", "x"), member("sticky", mode=0o1644),
        member("null", tars.CHARACTER, device=(1, 3), mode=0o666, uid=9, mtime=5),
        member("disk", tars.BLOCK_DEVICE, device=(259, 1_000_000), mode=0o660), member("p", tars.FIFO, gid=3),
    ))
    def owner(name: str) -> tuple[int, int]:
        info = (top / name).lstat()
        return info.st_uid, info.st_gid

    assert [owner(name) for name in ("d", "d/f", "s", "null", "disk", "p")] == [
        (5, 6), (7, 8), (3_000_000_000, 4_000_000), (9, 0), (0, 0), (0, 3)]
    assert [mode(top / name) for name in ("d", "d/f", "sticky", "null", "disk")] == [
        0o3777, 0o6755, 0o1644, 0o666, 0o660]
    null, disk = (top / "null").stat(), (top / "disk").stat()
    assert (stat.S_ISCHR(null.st_mode), null.st_rdev, null.st_mtime) == (True, os.makedev(1, 3), 5)
    assert (stat.S_ISBLK(disk.st_mode), disk.st_rdev) == (True, os.makedev(259, 1_000_000))


def test_times_have_nanoseconds_and_may_be_before_1970(top: Path) -> None:
    unpack(top, tar(
        pax({"mtime": "1234567890.123456789"}), member("a"), pax({"mtime": "-1.5"}), member("b"),
        pax({"mtime": "7.000000001"}), symlink("s", "x"), pax({"mtime": "8.5"}), directory("d"), member("d/f"),
    ))
    assert [(top / name).lstat().st_mtime_ns for name in ("a", "b", "s", "d")] == [
        1_234_567_890_123_456_789, -1_500_000_000, 7_000_000_001, 8_500_000_000]


@needs_root
def test_extended_attributes(top: Path) -> None:
    acl = ("SCHILY.acl.access", "user::rwx,user:7:r--,group::r-x,mask::rwx,other::---")
    kept = {"SCHILY.xattr.user.key": b"va\0lue", "SCHILY.xattr.security.capability": CAPABILITY}
    dropped = {"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.security.selinux": "x:y:z:s0",
               "SCHILY.xattr.user.overlay.redirect": "/etc"}
    unpack(top, tar(
        pax({**kept, **dropped}), member("f", uid=5, mode=0o755), pax([acl]), member("g", mode=0o770),
        pax([("SCHILY.acl.default", acl[1]), ("SCHILY.xattr.user.d", "1")]), directory("d", mode=0o755),
        member("d/inside", mode=0o600), directory("d/sub", mode=0o700),
        pax([acl]), member("null", tars.CHARACTER, device=(1, 3), mode=0o660),
    ))
    assert sorted(os.listxattr(top / "f")) == ["security.capability", "user.key"]
    assert os.getxattr(top / "f", "user.key") == b"va\0lue"
    assert os.getxattr(top / "f", "security.capability") == CAPABILITY
    assert os.getxattr(top / "g", "system.posix_acl_access")[4:12] == bytes.fromhex("01000700ffffffff")
    assert os.listxattr(top / "null") == ["system.posix_acl_access"]
    assert set(os.listxattr(top / "d")) == {"system.posix_acl_default", "user.d"}
    assert os.listxattr(top / "d/inside") == os.listxattr(top / "d/sub") == []
    assert mode(top / "d/inside") == 0o600


def test_attributes_that_an_image_keeps() -> None:
    assert [name for name in ("user.a", "security.capability", "system.posix_acl_access", "system.posix_acl_default",
                              "trusted.a", "security.selinux", "security.ima", "user.overlay.opaque", "system.nfs4_acl",
                              "user") if is_kept(name)] == [
        "user.a", "security.capability", "system.posix_acl_access", "system.posix_acl_default"]


@needs_root
def test_what_the_directory_would_pass_on_does_not_count(top: Path) -> None:
    os.chown(top, 0, 77)
    os.chmod(top, 0o2755)
    os.setxattr(top, "system.posix_acl_default", bytes.fromhex(
        "02000000 01000700ffffffff 0200070007000000 04000700ffffffff 10000700ffffffff 20000700ffffffff"))
    unpack(top, tar(directory("d", mode=0o700), member("d/f", mode=0o600), member("f", mode=0o600), member("i/f")))
    for name in ("d", "d/f", "f", "i", "i/f"):
        assert ((top / name).stat().st_gid, os.listxattr(top / name)) == (0, [])
    assert [mode(top / name) for name in ("", "d", "d/f", "f", "i")] == [0o2755, 0o700, 0o600, 0o600, 0o755]


def test_sparse_files_stay_sparse(top: Path) -> None:
    head = tars.padded(b"3\n4096\n5\n1000000\n3\n900000000\n0\n")
    unpack(top, tar(
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "900000000",
             "GNU.sparse.name": "sparse"}), member("x", data=head + b"abcdexyz"),
        pax({"GNU.sparse.size": "5000000", "GNU.sparse.map": ""}), member("hole"), member("next", data=b"n"),
    ))
    with open(top / "sparse", "rb") as file:
        info = os.fstat(file.fileno())
        assert info.st_size == 900_000_000
        assert info.st_blocks * 512 < 1_000_000
        assert os.pread(file.fileno(), 7, 4095) == b"\0abcde\0"
        assert os.pread(file.fileno(), 5, 999_999) == b"\0xyz\0"
    assert ((top / "hole").stat().st_size, (top / "hole").stat().st_blocks) == (5_000_000, 0)
    assert (top / "next").read_bytes() == b"n"


@pytest.mark.parametrize("chunk_bytes", [3, 512, 700])
def test_sparse_files_from_small_chunks(top: Path, chunk_bytes: int) -> None:
    data = tar(pax({"GNU.sparse.size": "9000", "GNU.sparse.map": "0,900,4096,1,8000,1000"}),
               member("f", data=b"a" * 900 + b"b" + b"c" * 1000))
    fd = os.open(top, os.O_RDONLY)
    with Unpacker(fd) as unpacker:
        unpacker.unpack(Archive(data[at:at + chunk_bytes] for at in range(0, len(data), chunk_bytes)))
    os.close(fd)
    assert (top / "f").read_bytes() == b"a" * 900 + bytes(3196) + b"b" + bytes(3903) + b"c" * 1000


def test_directories_that_no_member_describes(top: Path) -> None:
    unpack(top, tar(member("a/b/c/file"), directory("a/b", mode=0o711, mtime=9), symlink("x/y/s", "t")))
    assert [(mode(top / name), (top / name).stat().st_mtime) for name in ("a", "a/b", "a/b/c", "x", "x/y")] == [
        (0o755, 0), (0o711, 9), (0o755, 0), (0o755, 0), (0o755, 0)]


def test_members_in_any_order(top: Path) -> None:
    files = [f"{a}/{b}/{c}" for a in "xyz" for b in ("a", "a-b", "b") for c in "123"]
    unpack(top, tar(*[member(name, data=name.encode()) for name in sorted(files, key=lambda name: name[::-1])],
                    *[directory(f"{a}/{b}", mtime=50) for a in "zyx" for b in ("a-b", "a", "b")]))
    assert all((top / name).read_text() == name for name in files)
    assert all((top / a / b).stat().st_mtime == 50 for a in "xyz" for b in ("a", "a-b", "b"))


def test_names_of_any_length_and_bytes(top: Path) -> None:
    deep = "/".join(["d" * 250] * 16)
    odd = os.fsdecode(b"\xff \n\x1b[31m")
    unpack(top, tar(pax({"path": deep + "/f"}), member("x", data=b"1"), member(odd, data=b"2"),
                    pax({"path": "f" * 255}), member("x"), pax({"linkpath": "t" * 4000}), symlink("s", "x")))
    fd = os.open(top, os.O_RDONLY)
    for part in deep.split("/"):
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    assert os.stat("f", dir_fd=fd).st_size == 1
    os.close(fd)
    assert (top / odd).read_bytes() == b"2"
    assert os.readlink(top / "s") == "t" * 4000


def test_a_part_of_the_archive(top: Path) -> None:
    unpack(top, tar(
        directory("."), directory("rootfs", mode=0o711, mtime=4), member("rootfs/f", data=b"1"),
        hard_link("rootfs/d/g", "rootfs/f"), member("rootfsx", data=b"2"), member("manifest"), member("other/f"),
    ), below="rootfs")
    assert names(top) == ["d", "d/g", "f"]
    assert (mode(top), top.stat().st_mtime) == (0o711, 4)
    assert (top / "f").stat().st_nlink == 2


def first_of(seen: set[str]) -> Callable[[Entry], bool]:
    return lambda entry: entry.name not in seen and not seen.add(entry.name)  # type: ignore[func-returns-value]


def test_several_archives_of_which_the_first_wins(top: Path) -> None:
    upper = tar(directory("d", mode=0o700, mtime=1), member("d/a", data=b"upper"), member("f", data=b"upper"))
    lower = tar(directory("d", mode=0o777, mtime=2), member("d/b", data=b"lower"), member("f"), member("e/f"))
    unpack(top, upper, lower, select=first_of(set()))
    assert names(top) == ["d", "d/a", "d/b", "e", "e/f", "f"]
    assert (mode(top / "d"), (top / "d").stat().st_mtime, (top / "f").read_bytes()) == (0o700, 1, b"upper")


def test_hard_links_to_what_was_not_selected(top: Path) -> None:
    data = tar(
        member("a", data=b"content", mode=0o600), hard_link("b", "a"), hard_link("c", "b"), hard_link("d", "a"),
        symlink("s", "x"), hard_link("t", "s"), member("p", data=b"p"), hard_link("q", "p"), hard_link("r", "q"),
    )
    unpack(top, data, select=lambda entry: entry.name in ("c", "d", "t", "p", "r"))
    assert names(top) == ["c", "d", "p", "r", "t"]
    assert (top / "c").read_bytes() == b"content"
    assert (mode(top / "c"), (top / "c").stat().st_ino) == (0o600, (top / "d").stat().st_ino)
    assert os.readlink(top / "t") == "x"
    assert (top / "r").stat().st_ino == (top / "p").stat().st_ino


def test_a_hard_link_is_to_the_file_of_its_own_archive(top: Path) -> None:
    upper, lower = tar(member("a", data=b"upper")), tar(member("a", data=b"lower"), hard_link("b", "a"))
    unpack(top, upper, lower, select=first_of(set()))
    assert ((top / "a").read_bytes(), (top / "b").read_bytes()) == (b"upper", b"lower")


def test_nothing_is_replaced(top: Path) -> None:
    (top / "f").write_text("old")
    (top / "d").mkdir()
    (top / "s").symlink_to("f")
    for data in (member("f", data=b"new"), symlink("f", "x"), member("f", tars.FIFO), directory("f"), member("d"),
                 member("s", data=b"new"), directory("s")):
        assert error(top, tar(data)) == f"{data[:1].decode()}: something else is there already"
    assert error(top, tar(member("f/x"))) == "f/x: what is above it is no directory"
    assert error(top, tar(member("s/x"))) == "s/x: what is above it is no directory"
    assert error(top, tar(directory("e")), tar(directory("e"))) == "e: something else is there already"
    assert (top / "f").read_text() == "old"
    assert os.readlink(top / "s") == "f"


def test_devices_are_refused_where_they_are_not_allowed(top: Path) -> None:
    assert error(top, tar(member("n", tars.CHARACTER, device=(1, 3))), devices=False) == (
        "n: a character device, which is not allowed here")
    assert error(top, tar(member("n", tars.BLOCK_DEVICE)), devices=False) == (
        "n: a block device, which is not allowed here")
    unpack(top, tar(member("p", tars.FIFO)), devices=False)
    assert names(top) == ["p"]


def test_a_failure_closes_all_descriptors_and_names_the_member(top: Path) -> None:
    before = os.listdir("/proc/self/fd")
    assert error(top, tar(member("a/b/c/d"), member("e/f/g"), hard_link("h", "a/b/c/d"), member("e/f/g/x"))) == (
        "e/f/g/x: what is above it is no directory")
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_as_another_user_owners_and_set_id_bits_are_left_away(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    unpack(top, tar(
        directory("d", uid=5, mode=0o2755), pax({"SCHILY.xattr.security.capability": CAPABILITY}),
        member("d/f", uid=5, mode=0o4755), symlink("s", "x"), member("p", tars.FIFO, uid=7),
    ))
    assert [mode(top / name) for name in ("d", "d/f")] == [0o755, 0o755]
    assert {(top / name).lstat().st_uid for name in ("d", "d/f", "s", "p")} == {os.getuid()}
    assert os.listxattr(top / "d/f") == []


def test_attributes_that_directories_wait_for_are_bounded(top: Path) -> None:
    value = bytes(1 << 19)
    archive = tar(*[pax({"SCHILY.xattr.trusted.x": value}) + directory(str(number)) for number in range(130)])
    assert error(top, archive) == (
        "128: the extended attributes of the directories take more than 67108864 bytes")
