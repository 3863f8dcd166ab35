"""The tar reader: what other writers make, and what is broken."""
from __future__ import annotations

import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stage0.aci import headers
from stage0.aci.archive import Archive, Entry
from stage0.aci.limits import DEFAULT, ArchiveError, Limits
from tests.lib import tars
from tests.lib.tars import directory, hard_link, header, long_name, member, pax, record, symlink, tar


def read(data: bytes, chunk_bytes: int = 1 << 20, limits: Limits = DEFAULT) -> dict[str, tuple[Entry, bytes]]:
    """Entries and data by name."""
    archive = Archive((data[at:at + chunk_bytes] for at in range(0, len(data), chunk_bytes)), limits)
    return {entry.name: (entry, archive.read(1 << 30)) for entry in archive}


def only(data: bytes, limits: Limits = DEFAULT) -> tuple[Entry, bytes]:
    (found,) = read(data, limits=limits).values()
    return found


def error(data: bytes, limits: Limits = DEFAULT) -> str:
    with pytest.raises(ArchiveError) as caught:
        read(data, limits=limits)
    return str(caught.value)


EVERYTHING = tar(
    directory("d/", mtime=7), member("d/file", data=b"x" * 1000, mode=0o4755, uid=3, gid=4, mtime=9),
    pax({"path": "d/" + "n" * 200, "mtime": "5.25"}), member("short", data=b"yy"),
    long_name("d/" + "m" * 200 + "/" + "m" * 99), member("short", data=b"zzz", magic=b"ustar  \0"),
    symlink("d/s", "../file"), hard_link("d/h", "d/file"), member("d/null", tars.CHARACTER, device=(1, 3)),
    member("d/fifo", tars.FIFO),
)


@pytest.mark.parametrize("chunk_bytes", [1, 7, 511, 512, 513, 4096, 1 << 20])
def test_chunks_may_end_anywhere(chunk_bytes: int) -> None:
    found = read(EVERYTHING, chunk_bytes)
    assert [(name[:6], len(name), data) for name, (_, data) in found.items()] == [
        ("d", 1, b""), ("d/file", 6, b"x" * 1000), ("d/nnnn", 202, b"yy"), ("d/mmmm", 302, b"zzz"), ("d/s", 3, b""),
        ("d/h", 3, b""), ("d/null", 6, b""), ("d/fifo", 6, b"")]
    file = found["d/file"][0]
    assert (file.mode, file.uid, file.gid, file.size_bytes, file.mtime_ns) == (0o4755, 3, 4, 1000, 9 * 10**9)
    assert found["d/" + "n" * 200][0].mtime_ns == 5_250_000_000
    assert found["d/s"][0].link == "../file"
    assert found["d/h"][0].link == "d/file"
    assert found["d/null"][0].device == (1, 3)


@pytest.mark.parametrize("chunk_bytes", [100, 1 << 20])
def test_data_that_nobody_asks_for_are_passed_over(chunk_bytes: int) -> None:
    chunks = [EVERYTHING[at:at + chunk_bytes] for at in range(0, len(EVERYTHING), chunk_bytes)]
    archive = Archive(chunks)
    seen = []
    for entry in archive:
        if entry.name == "d/file":
            assert archive.piece()
        seen.append(entry.kind)
    assert len(seen) == 8


@pytest.mark.parametrize("cut", [1, 511, 513, 1500, len(EVERYTHING) - 1024, len(EVERYTHING) - 1025])
def test_a_cut_archive_is_refused(cut: int) -> None:
    assert error(EVERYTHING[:cut]).startswith("the archive is cut off ")


def test_an_archive_without_end_marker_is_refused() -> None:
    assert error(member("file", data=b"1")) == "the archive is cut off at file"
    assert error(b"") == "the archive is cut off before the first member"


def test_one_block_of_zeros_is_an_end_and_what_follows_the_end_does_not_count() -> None:
    assert only(member("file") + bytes(512))[0].name == "file"
    assert only(member("file") + bytes(700))[0].name == "file"
    assert only(member("file") + bytes(10240) + b"junk" * 300)[0].name == "file"
    assert error(member("file") + bytes(512) + member("other") + tars.END) == "a lone block of zeros after file"


def test_chunks_are_taken_to_their_end() -> None:
    def broken() -> Iterator[bytes]:
        yield from (member("file") + bytes(512), bytes(512), b"rest")
        raise ArchiveError("broken behind the end")

    with pytest.raises(ArchiveError, match="^broken behind the end$"):
        list(Archive(broken()))

    def broken_at_once() -> Iterator[bytes]:
        yield member("file") + bytes(512)
        raise ArchiveError("broken at the end")

    with pytest.raises(ArchiveError, match="^broken at the end$"):
        list(Archive(broken_at_once()))


@pytest.mark.parametrize(("written", "clean"), [
    ("./manifest", "manifest"), ("a/", "a"), ("a//b", "a/b"), ("./a/./b/.", "a/b"), ("a/../b", "b"),
    (".hidden", ".hidden"),
    ("a/..b", "a/..b"), ("a/b...", "a/b..."), ("....", "...."), (".", ""), ("./", ""), ("a/..", ""), ("a///", "a"),
])
def test_names_are_cleaned(written: str, clean: str) -> None:
    assert only(tar(directory(written)))[0].name == clean


@pytest.mark.parametrize(("written", "message"), [
    ("/etc/passwd", "/etc/passwd: the name is absolute"),
    ("/", "/: the name is absolute"),
    ("..", "..: the name leads out of the archive"),
    ("../x", "../x: the name leads out of the archive"),
    ("a/../../x", "a/../../x: the name leads out of the archive"),
    ("./../x", "./../x: the name leads out of the archive"),
    ("", "an empty name after ''"),
    ("d" * 256, None),
])
def test_names_that_lead_nowhere_are_refused(written: str, message: str | None) -> None:
    data = tar(pax({"path": written}), member("x")) if len(written) > 100 else tar(member(written))
    assert error(data) == (message or f"{'d' * 120}…{'d' * 60}: the name is too long")


def test_a_file_without_a_name_is_refused() -> None:
    assert error(tar(member("."))) == "file without a name"


def test_a_name_with_a_nul_is_refused() -> None:
    assert error(tar(pax({"path": "a\0b"}), member("x"))) == r"'a\x00b': the name has a NUL"


def test_names_keep_bytes_that_are_no_text() -> None:
    assert os.fsencode(only(tar(member(b"\xff\xfe")))[0].name) == b"\xff\xfe"
    assert os.fsencode(only(tar(pax({"path": b"\xff\xfe"}), member("x")))[0].name) == b"\xff\xfe"


def test_the_prefix_counts_with_the_magic_of_posix_only() -> None:
    assert only(tar(member("b", prefix=b"a")))[0].name == "a/b"
    assert only(tar(member("b", prefix=b"a", magic=b"ustar  \0")))[0].name == "b"
    assert only(tar(member("b", prefix=b"\x90junk", magic=b"")))[0].name == "b"


def test_numbers_in_base_256_and_with_spaces() -> None:
    entry, data = only(tar(member("f", data=b"123", size=tars.base256(3, 12), uid=tars.base256(3_000_000_000, 8),
                                  gid=b"    17 \0", mtime=tars.base256(-5, 12))))
    assert (entry.uid, entry.gid, entry.mtime_ns, data) == (3_000_000_000, 0o17, -5 * 10**9, b"123")


@pytest.mark.parametrize(("fields", "message"), [
    ({"size": b"0000009"}, "f: its size b'0000009\\x00\\x00\\x00\\x00\\x00' is no number"),
    ({"size": b"1_0"}, "f: its size b'1_0\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00' is no number"),
    ({"size": b"-1"}, "f: its size b'-1\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00' is no number"),
    ({"size": tars.base256(-1, 12)}, f"f: its size of -1 bytes is not from 0 to {DEFAULT.size_bytes}"),
    ({"size": tars.base256(1 << 60, 12)}, f"f: its size of {1 << 60} bytes is not from 0 to {DEFAULT.size_bytes}"),
    ({"uid": tars.base256(0xFFFFFFFF, 8)}, "f: its owner 4294967295:0 is out of range"),
    ({"gid": tars.base256(-1, 8)}, "f: its owner 0:-1 is out of range"),
    ({"mtime": tars.base256(1 << 70, 12)}, "f: its mtime is out of range"),
    ({"mode": b"rwx"}, "f: its mode or owner b'rwx\\x00\\x00\\x00\\x00\\x00' is no number"),
])
def test_numbers_that_are_none_or_out_of_range(fields: dict[str, bytes], message: str) -> None:
    assert error(tar(header("f", **fields))) == message  # type: ignore[arg-type]


def test_device_numbers_out_of_range() -> None:
    assert error(tar(member("n", tars.CHARACTER, device=(4096, 0)))) == "n: its device number (4096, 0) is out of range"


def test_a_wrong_checksum_is_refused() -> None:
    assert error(tar(header("f", checksum=1))) == "this is no tar archive, or its first header is broken"
    assert error(tar(member("f"), header("g", checksum=1))) == (
        "the header after f is broken: its checksum does not match")
    whole = bytearray(tar(member("f")))
    whole[3] ^= 1
    assert error(bytes(whole)) == "this is no tar archive, or its first header is broken"


def test_the_checksum_of_signed_bytes_is_known_too() -> None:
    name = b"\xe4" * 50
    right = header(name)
    assert only(tar(header(name, checksum=int(right[148:154], 8) - 50 * 256)))[0].name == os.fsdecode(name)


def test_a_file_named_with_a_slash_is_a_directory() -> None:
    assert only(tar(member("d/", b"\0")))[0].kind == headers.DIRECTORY
    assert error(tar(member("d/", b"0", b"data"))) == "d: a directory with data"


def test_the_size_of_links_and_nodes_means_nothing() -> None:
    found = read(tar(directory("d", size=600), symlink("s", "x"), member("f", tars.FIFO, size=99), member("last")))
    assert list(found) == ["d", "s", "f", "last"]


@pytest.mark.parametrize("kind", [b"D", b"M", b"N", b"V", b"A", b"9"])
def test_unknown_types_are_refused(kind: bytes) -> None:
    assert error(tar(member("f", kind))) == f"f: members of type {kind!r} are not supported"


@pytest.mark.parametrize("kind", [b"\0", b"7"])
def test_old_and_contiguous_files_are_files(kind: bytes) -> None:
    entry, data = only(tar(member("f", kind, b"data", magic=b"")))
    assert (entry.kind, data) == (headers.REGULAR, b"data")


def test_symlinks_need_a_target() -> None:
    message = "s: the target of the symlink is empty, too long or has a NUL"
    assert error(tar(symlink("s", ""))) == message
    assert error(tar(pax({"linkpath": "a\0b"}), symlink("s", "x"))) == message
    assert error(tar(pax({"linkpath": "a/" * 2048}), symlink("s", "x"))) == message
    assert only(tar(symlink("s", "/../../etc//x/")))[0].link == "/../../etc//x/"


# --- extended headers -------------------------------------------------------------------------------


def test_pax_records() -> None:
    entry, data = only(tar(pax({
        "path": "späß/" + "n" * 200, "uid": "3000000", "gid": "4000000", "size": "5", "mtime": "-1.5", "atime": "3",
        "uname": "somebody", "comment": "…", "SCHILY.xattr.user.key": b"\0=\n\xff", "SCHILY.xattr.user.a%3Db": "",
        "LIBARCHIVE.xattr.user.%C3%A4": "dmFsdWU", "LIBARCHIVE.xattr.user.key": "b3RoZXI",
    }), member("x", data=b"12345", size=0)))
    assert entry.name == "späß/" + "n" * 200
    assert (entry.uid, entry.gid, entry.mtime_ns, data) == (3_000_000, 4_000_000, -1_500_000_000, b"12345")
    assert entry.xattrs == {"user.key": b"\0=\n\xff", "user.a=b": b"", "user.ä": b"value"}


def test_a_pax_header_counts_for_one_member() -> None:
    found = read(tar(pax({"mtime": "1", "SCHILY.xattr.user.a": "b"}), member("a"), member("b")))
    assert (found["a"][0].mtime_ns, found["b"][0].mtime_ns) == (10**9, 0)
    assert found["b"][0].xattrs == {}


def test_global_pax_headers_count_until_changed() -> None:
    found = read(tar(pax({"mtime": "1", "comment": "c"}, b"g"), member("a"), pax({"mtime": "2"}), member("b"),
                     pax({"mtime": ""}), member("c", mtime=3), pax({"uid": "4"}, b"g"), member("d")))
    assert [(entry.mtime_ns // 10**9, entry.uid) for entry, _ in found.values()] == [(1, 0), (2, 0), (3, 0), (1, 4)]


@pytest.mark.parametrize("key", ["path", "linkpath", "size", "GNU.sparse.name", "GNU.sparse.major"])
def test_global_pax_headers_for_one_member_are_refused(key: str) -> None:
    assert error(tar(pax({key: "1"}, b"g"), member("a"))) == f"a global PAX header after '' sets {key} of all members"


def test_too_many_records_for_all_members_are_refused() -> None:
    def records(first: int) -> bytes:
        return pax({f"key{number}": "value" for number in range(first, first + 40)}, b"g")

    assert only(tar(records(0), records(20), member("f")))[0].name == "f"
    assert error(tar(member("f"), records(0), records(40), member("g"))) == (
        "global PAX headers up to that after f hold more than 64 records")


@pytest.mark.parametrize("data", [
    b"5 a=b\n", b"7 a=b\n", b"6 ab \n", b"x a=b\n", b"0 a=b\n", b"-6 a=b\n", b"6 a=bb", b"6 =bb\n", b" 6 a=b\n",
    record(b"a", b"b") + b"99 c=d\n", b"9999999999999999999999 a=b\n", record(b"a", b"b") + b"\0",
])
def test_broken_pax_headers_are_refused(data: bytes) -> None:
    assert error(tar(pax(data), member("f"))).startswith("a PAX header after '' is broken at byte ")


@pytest.mark.parametrize(("records", "message"), [
    ({"size": "-1"}, "f: its size b'-1' is no number"),
    ({"size": "1e3"}, "f: its size b'1e3' is no number"),
    ({"uid": "1_0"}, "f: its uid b'1_0' is no number"),
    ({"mtime": "now"}, "f: its mtime b'now' is no time"),
    ({"mtime": "1.x"}, "f: its mtime b'1.x' is no time"),
    ({"mtime": "9999999999999"}, "f: its mtime is out of range"),
    ({"LIBARCHIVE.xattr.user.x": "a"}, "f: the extended attribute user.x is broken"),
])
def test_pax_records_with_values_that_make_no_sense(records: dict[str, str], message: str) -> None:
    assert error(tar(pax(records), member("f"))) == message


def test_acls_in_their_text_form() -> None:
    entry, _ = only(tar(pax({"SCHILY.acl.access": "user::rwx,user:7:r--,group::r-x,group:staff:-w-:50,mask::rwx,"
                                                  "other::---"}), member("f")))
    assert entry.xattrs == {"system.posix_acl_access": bytes.fromhex(
        "02000000 01000700ffffffff 0200040007000000 04000500ffffffff 0800020032000000 10000700ffffffff "
        "20000000ffffffff")}
    assert error(tar(pax({"SCHILY.acl.default": "user:lisa:rwx"}), member("f"))) == (
        "f: the ACL entry user:lisa:rwx does not say its number")
    assert error(tar(pax({"SCHILY.acl.default": "user::rwz"}), member("f"))) == (
        "f: the ACL entry user::rwz cannot be read")


def test_two_long_names_for_one_member_are_refused() -> None:
    assert error(tar(long_name("one"), pax({"path": "two"}), member("f"))) == (
        "a member after '' has two different long names")
    assert error(tar(long_name("one", b"K"), pax({"linkpath": "two"}), symlink("f", "x"))) == (
        "a member after '' has two different long names")


def test_long_links_of_gnu_tar() -> None:
    assert only(tar(long_name("t" * 200, b"K"), long_name("s" * 150), symlink("s", "t")))[0].link == "t" * 200


def test_too_many_extended_headers_in_a_row_are_refused() -> None:
    assert error(tar(*[pax({"mtime": "1"})] * 17, member("f"))) == "more than 16 extended headers in a row after ''"


def test_extended_headers_over_the_limit_are_refused() -> None:
    limits = Limits(header_bytes=1000)
    assert error(tar(pax({"comment": "c" * 1000}), member("f")), limits) == (
        "an extended header after '' has 1014 bytes, more than 1000")
    assert error(tar(long_name("n" * 1000), member("f")), limits) == (
        "an extended header after '' has 1001 bytes, more than 1000")
    assert error(tar(header("x", b"x", tars.base256(-1, 12)))) == (
        "an extended header after '' has -1 bytes, more than 1048576")


# --- what members are to each other -----------------------------------------------------------------


@pytest.mark.parametrize("second", [
    member("a/b"), directory("a/b"), symlink("./a/b", "x"), hard_link("a//b", "a/c"), member("a/x/../b"),
])
def test_no_name_comes_twice(second: bytes) -> None:
    assert error(tar(directory("a"), member("a/c"), member("a/b"), second)) == "a/b: comes twice"
    assert error(tar(directory("a"), member("a/c"), directory("a/b"), second)) == "a/b: comes twice"


@pytest.mark.parametrize(("target", "message"), [
    ("later", "l: hard link to later, which did not come before"),
    ("l", "l: hard link to l, which did not come before"),
    ("d", "l: hard link to d, which is a directory"),
    ("../x", "l: hard link to ../x: the name leads out of the archive"),
    ("/file", "l: hard link to /file: the name is absolute"),
    ("", "l: hard link to an empty name after l"),
])
def test_hard_links_point_to_earlier_files(target: str, message: str) -> None:
    assert error(tar(directory("d"), member("file"), hard_link("l", target), member("later"))) == message


def test_hard_link_targets_are_cleaned() -> None:
    assert read(tar(member("./a"), hard_link("b", "./x/..//a")))["b"][0].link == "a"


# --- limits -----------------------------------------------------------------------------------------


def test_limits_on_members_names_and_sizes() -> None:
    assert error(tar(member("a"), member("b"), member("c")), Limits(entries=2)) == (
        "c: the archive has more than 2 members")
    assert error(tar(member("aaaa"), member("bbbb")), Limits(names_bytes=7)) == (
        "bbbb: the names of the archive take more than 7 bytes")
    assert error(tar(member("a/b/c")), Limits(depth=1)) == "a/b/c: more than 1 directories deep"
    assert error(tar(member("a", data=b"12345")), Limits(size_bytes=4)) == "a: its size of 5 bytes is not from 0 to 4"
    assert error(tar(member("a", data=b"12345")), Limits(file_bytes=4)) == "a: 5 bytes, more than 4"
    long = "/".join(["d" * 200] * 20)
    assert error(tar(pax({"path": long + "/" + "e" * 80}), member("f"))).endswith(": the name is too long")


def test_read_is_bounded() -> None:
    archive = Archive([tar(member("a", data=b"12345"))])
    next(iter(archive))
    with pytest.raises(ArchiveError, match="^a: 5 bytes, more than 4$"):
        archive.read(4)


# --- sparse files -----------------------------------------------------------------------------------


def part(offset: int, length: int) -> bytes:
    return tars.octal(offset, 12) + tars.octal(length, 12)


def gnu_sparse(*, count: int = 3, real: int = 10_000_000, stored: int | None = None) -> bytes:
    parts = [part(1_000_000 * number, 10) for number in range(count)]
    first, rest = parts[:4], parts[4:]
    tail = bytes(41) + b"".join(first).ljust(96, b"\0") + bytes([bool(rest)]) + tars.octal(real, 12)
    blocks = b""
    while rest:
        now, rest = rest[:21], rest[21:]
        blocks += (b"".join(now).ljust(504, b"\0") + bytes([bool(rest)])).ljust(512, b"\0")
    size = 10 * count
    return header("sparse", b"S", size if stored is None else stored, magic=b"ustar  \0", tail=tail) + blocks + (
        tars.padded(b"0123456789" * count))


@pytest.mark.parametrize("count", [0, 1, 4, 5, 25, 26, 60])
def test_sparse_files_of_the_old_gnu_format(count: int) -> None:
    found = read(tar(gnu_sparse(count=count, real=100_000_000), member("next")))
    entry, data = found["sparse"]
    assert entry.extents == tuple((1_000_000 * number, 10) for number in range(count))
    assert (entry.kind, entry.size_bytes, entry.stored_bytes) == (headers.REGULAR, 100_000_000, 10 * count)
    assert data == b"0123456789" * count
    assert "next" in found


PAX_SPARSE = {
    "0.0": pax([("GNU.sparse.size", "5000"), ("GNU.sparse.numblocks", "2"), ("GNU.sparse.offset", "0"),
                ("GNU.sparse.numbytes", "3"), ("GNU.sparse.offset", "4096"), ("GNU.sparse.numbytes", "4")]),
    "0.1": pax({"GNU.sparse.size": "5000", "GNU.sparse.numblocks": "2", "GNU.sparse.map": "0,3,4096,4",
                "GNU.sparse.name": "sparse"}),
    "1.0": pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "5000",
                "GNU.sparse.name": "sparse"}),
}


@pytest.mark.parametrize("version", PAX_SPARSE)
def test_sparse_files_in_pax_headers(version: str) -> None:
    data = b"abcdefg"
    if version == "1.0":
        data = tars.padded(b"2\n0\n3\n4096\n4\n") + data
    name = "sparse" if version == "0.0" else "GNUSparseFile.0/sparse"
    found = read(tar(PAX_SPARSE[version], member(name, data=data), member("next")))
    entry, content = found["sparse"]
    assert (entry.extents, entry.size_bytes, entry.stored_bytes) == (((0, 3), (4096, 4)), 5000, 7)
    assert content == b"abcdefg"
    assert "next" in found


@pytest.mark.parametrize(("numbers", "message"), [
    ("0,4,2,3", "sparse parts overlap or lie outside the file"),
    ("4096,4,0,3", "sparse parts overlap or lie outside the file"),
    ("0,3,4998,4", "sparse parts overlap or lie outside the file"),
    ("0,3,4096,5", "sparse parts do not come to the size of the data"),
    ("0,3,4096", "a broken list of sparse parts"),
    ("0,x,4096,4", "its list of sparse parts b'x' is no number"),
    ("0,-3,4096,4", "its list of sparse parts b'-3' is no number"),
])
def test_broken_lists_of_sparse_parts(numbers: str, message: str) -> None:
    data = tar(pax({"GNU.sparse.size": "5000", "GNU.sparse.map": numbers}), member("f", data=b"abcdefg"))
    assert error(data) == f"f: {message}"


@pytest.mark.parametrize("numbers", [
    b"2\n0\n3\n", b"x\n", b"9" * 600, b"99999999\n" + b"0\n" * 300, b"", b"1\n0\n-1\n",
])
def test_broken_lists_of_sparse_parts_in_front_of_the_data(numbers: bytes) -> None:
    message = error(tar(PAX_SPARSE["1.0"], member("f", data=tars.padded(numbers)), member("next")))
    assert message.startswith("sparse: ")


def test_an_unknown_sparse_format_is_refused() -> None:
    data = tar(pax({"GNU.sparse.major": "2", "GNU.sparse.minor": "0"}), member("f"))
    assert error(data) == "f: unknown format of a sparse file"


def test_a_sparse_file_over_the_limit_is_refused() -> None:
    data = tar(pax({"GNU.sparse.size": str(1 << 62), "GNU.sparse.map": ""}), member("f"))
    assert error(data) == f"f: {1 << 62} bytes, more than {DEFAULT.file_bytes}"


# --- other writers ----------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "rootfs" / ("d" * 90) / ("e" * 90)).mkdir(parents=True)
    deep = root / "rootfs" / ("d" * 90) / ("e" * 90)
    (deep / ("f" * 120)).write_bytes(b"deep" * 1000)
    (deep / "link").symlink_to("t" * 180)
    os.link(deep / ("f" * 120), root / "rootfs/hard")
    with open(root / "rootfs/sparse", "wb") as file:
        for number in range(30):
            file.seek(number * 100_000)
            file.write(b"%d" % number)
        file.truncate(5_000_000)
    os.utime(root / "rootfs/sparse", ns=(0, 1_234_567_890_123_456_789))
    return root


@pytest.mark.parametrize("options", [
    ["--format=gnu"], ["--format=gnu", "--sparse"], ["--format=posix"], ["--format=oldgnu", "--sparse"],
    ["--format=posix", "--sparse", "--sparse-version=0.0"], ["--format=posix", "--sparse", "--sparse-version=0.1"],
    ["--format=posix", "--sparse", "--sparse-version=1.0"], ["--format=posix", "--hard-dereference"],
], ids=" ".join)
def test_what_gnu_tar_writes(tree: Path, options: list[str]) -> None:
    data = subprocess.run(["tar", "-C", tree, "-c", *options, "rootfs"], capture_output=True, check=True).stdout
    found = read(data, 10_000)
    names = {os.path.relpath(os.path.join(above, name), tree)
             for above, directories, files in os.walk(tree) for name in directories + files}
    assert set(found) == names
    entry, content = found["rootfs/sparse"]
    assert entry.size_bytes == 5_000_000
    assert (entry.extents is not None) == ("--sparse" in options)
    whole = bytearray(5_000_000)
    at = 0
    for offset, length in entry.extents or ((0, 5_000_000),):
        whole[offset:offset + length] = content[at:at + length]
        at += length
    assert bytes(whole) == (tree / "rootfs/sparse").read_bytes()
    posix = "--format=posix" in options
    assert entry.mtime_ns == (1_234_567_890_123_456_789 if posix else 1_234_567_890_000_000_000)
    deep = f"rootfs/{'d' * 90}/{'e' * 90}"
    assert found[f"{deep}/link"][0].link == "t" * 180
    file, hard = found[f"{deep}/{'f' * 120}"], found["rootfs/hard"]
    linked = next(entry for entry, _ in (file, hard) if entry.kind == headers.HARD_LINK) \
        if "--hard-dereference" not in options else None
    assert b"deep" * 1000 in (file[1], hard[1])
    assert linked is None or linked.link in found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_python_writes(form: int) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        info = tarfile.TarInfo("rootfs/" + "a" * 80 + "/" + "b" * 90)
        info.size, info.mtime, info.uid = 5, 77, 1000
        archive.addfile(info, io.BytesIO(b"12345"))
    entry, data = only(out.getvalue())
    assert (entry.name, entry.mtime_ns, entry.uid, data) == (info.name, 77 * 10**9, 1000, b"12345")


# --- anything ---------------------------------------------------------------------------------------

SEEDS = (EVERYTHING, tar(gnu_sparse(count=30), member("next")), *[
    tar(records, member("sparse", data=tars.padded(b"2\n0\n3\n4096\n4\n") * (version == "1.0") + b"abcdefg"))
    for version, records in PAX_SPARSE.items()])


def with_checksums(data: bytearray) -> bytes:
    """The same with right checksums, so that what was changed is looked at."""
    for at in range(0, len(data) - 511, 512):
        if data[at + 257:at + 262] == b"ustar":
            data[at + 148:at + 156] = b" " * 8
            data[at + 148:at + 156] = b"%06o\0 " % sum(data[at:at + 512])
    return bytes(data)


@given(st.sampled_from(SEEDS), st.integers(1, 2000),
       st.lists(st.tuples(st.integers(0, 1 << 14), st.one_of(
           st.sampled_from([b"\0", b"/", b"..", b"0", b"9", b" ", b"=", b"\n", b"\x80", b"\xff", b"g", b"x", b"L"]),
           st.binary(min_size=1, max_size=3))), min_size=1, max_size=6))
def test_a_changed_archive_is_read_or_refused(data: bytes, chunk_bytes: int, changes: list[tuple[int, bytes]]) -> None:
    changed = bytearray(data)
    for at, new in changes:
        at %= len(data)
        changed[at:at + len(new)] = new
    try:
        found = read(with_checksums(changed), chunk_bytes)
    except ArchiveError:
        return
    for name, (entry, content) in found.items():
        assert not name.startswith("/")
        assert ".." not in name.split("/")
        assert len(content) == entry.stored_bytes <= entry.size_bytes or entry.extents is not None
