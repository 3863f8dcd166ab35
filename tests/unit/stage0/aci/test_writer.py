"""Images as the writer makes them, read back by our reader and by GNU tar."""
from __future__ import annotations

import io
import os
import socket
import stat
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from stage0.aci import compression, headers, writer
from stage0.aci.archive import Archive
from stage0.aci.writer import ACIWriter, WriteError, creating

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes devices and owners")


def packed(tree: Path, name: str = "none", **options) -> bytes:
    out = io.BytesIO()
    fd = os.open(tree, os.O_RDONLY)
    try:
        with ACIWriter(out, name, **options) as aci:
            aci.add_tree(fd)
            aci.add_manifest(b'{"some":"manifest"}')
    finally:
        os.close(fd)
    return out.getvalue()


def members(data: bytes) -> dict:
    """Entries by name, with their data as `content`."""
    found = {}
    archive = Archive([data])
    for entry in archive:
        found[entry.name] = (entry, archive.read(1 << 24))
    return found


def gnu_tar(data: bytes, *options: str) -> list[str]:
    done = subprocess.run(["tar", "--numeric-owner", *options, "-f", "-"], input=data, capture_output=True, check=True,
                          env={**os.environ, "LC_ALL": "C", "TZ": "UTC"})
    return done.stdout.decode(errors="surrogateescape").splitlines()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "rootfs"
    (root / "sub/deep").mkdir(parents=True)
    (root / "file").write_text("hello")
    (root / "empty").touch()
    os.link(root / "file", root / "sub/also")
    (root / "link").symlink_to("sub/also")
    os.mkfifo(root / "fifo", 0o640)
    for path in (root, root / "sub", root / "sub/deep", root / "file", root / "empty", root / "fifo"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    os.utime(root / "link", (1_000_000_000, 1_000_000_000), follow_symlinks=False)
    return root


def test_members_come_by_name_and_the_manifest_last(tree):
    (tree / "sub-x").touch()
    (tree / "Z").touch()
    assert list(members(packed(tree))) == [
        "rootfs", "rootfs/Z", "rootfs/empty", "rootfs/fifo", "rootfs/file", "rootfs/link", "rootfs/sub",
        "rootfs/sub/also", "rootfs/sub/deep", "rootfs/sub-x", "manifest"]


def test_names_sort_by_their_bytes(tmp_path):
    for name in (b"\xff", "é".encode(), b"z", b"B"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).touch()
    assert [os.fsencode(name) for name in members(packed(tmp_path))] == [
        b"rootfs", b"rootfs/B", b"rootfs/z", "rootfs/é".encode(), b"rootfs/\xff", b"manifest"]


def test_every_kind_of_file_comes_back(tree):
    os.chmod(tree / "file", 0o4755)
    os.chmod(tree / "sub", 0o1777)
    found = members(packed(tree))
    entry, content = found["rootfs/file"]
    assert (entry.kind, entry.mode, content) == (headers.REGULAR, 0o4755, b"hello")
    assert (entry.uid, entry.gid, entry.mtime_ns) == (os.getuid(), os.getgid(), 10**18)
    assert found["rootfs/empty"][1] == b""
    assert (found["rootfs/sub/also"][0].kind, found["rootfs/sub/also"][0].link) == (headers.HARD_LINK, "rootfs/file")
    assert (found["rootfs/link"][0].kind, found["rootfs/link"][0].link) == (headers.SYMLINK, "sub/also")
    assert (found["rootfs/fifo"][0].kind, found["rootfs/fifo"][0].mode) == (headers.FIFO, 0o640)
    assert (found["rootfs/sub"][0].kind, found["rootfs/sub"][0].mode) == (headers.DIRECTORY, 0o1777)
    manifest, content = found["manifest"]
    assert (manifest.mode, manifest.uid, manifest.gid, content) == (0o644, 0, 0, b'{"some":"manifest"}')


@needs_root
def test_devices_owners_and_large_numbers(tmp_path):
    os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tmp_path / "disk", stat.S_IFBLK | 0o660, os.makedev(4095, 1048575))
    (tmp_path / "owned").touch()
    os.chown(tmp_path / "owned", 4294967294, 2097152)
    found = members(data := packed(tmp_path))
    assert (found["rootfs/null"][0].kind, found["rootfs/null"][0].device) == (headers.CHARACTER, (1, 3))
    assert (found["rootfs/disk"][0].kind, found["rootfs/disk"][0].device) == (headers.BLOCK_DEVICE, (4095, 1048575))
    assert (found["rootfs/owned"][0].uid, found["rootfs/owned"][0].gid) == (4294967294, 2097152)
    listed = gnu_tar(data, "-tv")
    assert any("4294967294/2097152" in line for line in listed)
    assert any("4095,1048575" in line for line in listed)


def test_sockets_are_left_out(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert list(members(packed(tmp_path))) == ["rootfs", "manifest"]


@pytest.mark.parametrize("length", [90, 93, 94, 200, 255])
def test_long_names_and_links_survive(tmp_path, length):
    (tmp_path / ("n" * length)).write_text("x")
    (tmp_path / "link").symlink_to("t" * (length * 4))
    found = members(data := packed(tmp_path))
    assert found["rootfs/" + "n" * length][1] == b"x"
    assert found["rootfs/link"][0].link == "t" * (length * 4)
    assert f"rootfs/{'n' * length}" in gnu_tar(data, "-t")


@pytest.mark.parametrize("name", [b"\xff\xfe", b"\xff" * 150, b"new\nline", b"sp ace", b"=", "ü".encode() * 100])
def test_names_that_are_no_plain_text_survive(tmp_path, name):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    assert members(packed(tmp_path))["rootfs/" + os.fsdecode(name)][1] == b"x"


def test_deep_trees(tmp_path):
    path = tmp_path
    for _ in range(100):
        path = path / ("d" * 20)
        path.mkdir()
    (path / "end").write_text("x")
    assert members(packed(tmp_path))["rootfs" + ("/" + "d" * 20) * 100 + "/end"][1] == b"x"


def test_extended_attributes_of_users(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    try:
        for name in ("file", "dir"):
            os.setxattr(tmp_path / name, "user.odd=na%me", b"\0\n=\xff")
    except OSError:
        pytest.skip("no user attributes on this file system")
    found = members(packed(tmp_path))
    assert found["rootfs/file"][0].xattrs == found["rootfs/dir"][0].xattrs == {"user.odd=na%me": b"\0\n=\xff"}


@needs_root
def test_capabilities_and_acls_are_kept_and_trusted_attributes_are_not(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "dir").mkdir()
    capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in (
        (1, 6, 0xFFFFFFFF), (2, 4, 1000), (4, 4, 0xFFFFFFFF), (0x10, 4, 0xFFFFFFFF), (0x20, 4, 0xFFFFFFFF)))
    try:
        os.setxattr(tmp_path / "file", "security.capability", capability)
        os.setxattr(tmp_path / "file", "trusted.overlay.opaque", b"y")
        os.setxattr(tmp_path / "dir", "system.posix_acl_access", acl)
        os.setxattr(tmp_path / "dir", "system.posix_acl_default", acl)
    except OSError:
        pytest.skip("no such attributes on this file system")
    found = members(packed(tmp_path))
    assert found["rootfs/file"][0].xattrs == {"security.capability": capability}
    assert found["rootfs/dir"][0].xattrs == {"system.posix_acl_access": acl, "system.posix_acl_default": acl}


def sparse_file(path: Path, size: int, *parts: tuple[int, bytes]) -> None:
    with open(path, "wb") as file:
        for offset, data in parts:
            file.seek(offset)
            file.write(data)
        file.truncate(size)
    if os.stat(path).st_blocks * 512 >= size:
        pytest.skip("no holes on this file system")


@pytest.mark.parametrize("size, parts", [
    (1 << 20, []),
    (1 << 20, [(0, b"head")]),
    (1 << 20, [((1 << 20) - 4, b"tail")]),
    (1 << 20, [(8192, b"a" * 5000), (500_000, b"b" * 100)]),
    (1_000_001, [(4096, b"z" * 4096), (999_999, b"e")]),
])
def test_sparse_files_keep_their_holes(tmp_path, size, parts):
    (tmp_path / "r").mkdir()
    sparse_file(tmp_path / "r/sparse", size, *parts)
    original = (tmp_path / "r/sparse").read_bytes()
    data = packed(tmp_path / "r")
    assert len(data) < 64 << 10
    entry, stored = members(data)["rootfs/sparse"]
    assert entry.size_bytes == size
    rebuilt = bytearray(size)
    for offset, length in entry.extents:
        rebuilt[offset:offset + length], stored = stored[:length], stored[length:]
    assert (bytes(rebuilt), stored) == (original, b"")
    subprocess.run(["tar", "-x", "-C", tmp_path, "-f", "-"], input=data, check=True)
    assert (tmp_path / "rootfs/sparse").read_bytes() == original
    assert os.stat(tmp_path / "rootfs/sparse").st_blocks * 512 < size


def test_the_parts_of_a_sparse_file_do_not_depend_on_which_zeros_are_stored(tmp_path):
    for name, parts in (("a", [(65536, b"x")]), ("b", [(32768, bytes(32768)), (65536, b"x")])):
        (tmp_path / name).mkdir()
        sparse_file(tmp_path / name / "f", 1 << 20, *parts)
    first, second = (packed(tmp_path / name, epoch=0) for name in "ab")
    assert first == second


def test_sizes_beyond_eight_gigabytes(tmp_path):
    header = headers.Header(b"big", size_bytes=8 << 30).pack()
    archive = Archive([header, bytes(1024)])
    assert next(iter(archive)).size_bytes == 8 << 30
    with tarfile.open(fileobj=io.BytesIO(header)) as tar:
        assert tar.next().size == 8 << 30


@pytest.mark.parametrize("mtime", [-5, 0, 8**11 - 1, 8**11])
def test_times_outside_the_old_range(mtime):
    header = headers.Header(b"f", mtime=mtime).pack()
    assert next(iter(Archive([header, bytes(1024)]))).mtime_ns == mtime * 10**9


@pytest.mark.parametrize("length", [*range(1, 12), 85, 86, 87, 980, 990, 9990])
def test_the_length_of_a_record_counts_its_own_digits(length):
    record = headers._record(b"path", b"x" * length)
    assert int(record.split(b" ")[0]) == len(record)


def test_gnu_tar_reads_it_as_it_was(tree):
    assert [" ".join(line.split()) for line in gnu_tar(packed(tree, owner_root=True), "-tv")] == [
        "drwxr-xr-x 0/0 0 2001-09-09 01:46 rootfs/",
        "-rw-r--r-- 0/0 0 2001-09-09 01:46 rootfs/empty",
        "prw-r----- 0/0 0 2001-09-09 01:46 rootfs/fifo",
        "-rw-r--r-- 0/0 5 2001-09-09 01:46 rootfs/file",
        "lrwxrwxrwx 0/0 0 2001-09-09 01:46 rootfs/link -> sub/also",
        "drwxr-xr-x 0/0 0 2001-09-09 01:46 rootfs/sub/",
        "hrw-r--r-- 0/0 0 2001-09-09 01:46 rootfs/sub/also link to rootfs/file",
        "drwxr-xr-x 0/0 0 2001-09-09 01:46 rootfs/sub/deep/",
        "-rw-r--r-- 0/0 19 2001-09-09 01:46 manifest",
    ]


@needs_root
def test_owner_root(tree):
    os.chown(tree / "file", 12, 34)
    plain, root = members(packed(tree))["rootfs/file"][0], members(packed(tree, owner_root=True))["rootfs/file"][0]
    assert (plain.uid, plain.gid, root.uid, root.gid) == (12, 34, 0, 0)
    assert b"root\0" in packed(tree, owner_root=True)[265:329]


def test_times_are_clamped_and_the_manifest_has_the_newest(tree):
    os.utime(tree / "file", (2_000_000_000, 2_000_000_000))
    found = members(packed(tree))
    assert (found["rootfs/file"][0].mtime_ns, found["manifest"][0].mtime_ns) == (2 * 10**18, 2 * 10**18)
    found = members(packed(tree, epoch=1_500_000_000))
    assert found["rootfs/file"][0].mtime_ns == found["manifest"][0].mtime_ns == 15 * 10**17
    assert found["rootfs/empty"][0].mtime_ns == 10**18


@pytest.mark.parametrize("name", compression.COMPRESSIONS)
def test_all_compressions_hold_the_same_tar_and_give_the_same_bytes(tree, name):
    (tree / "big").write_bytes(os.urandom(1 << 20) + bytes(3 << 20))
    data = packed(tree, name)
    assert compression.detect(data[:512]) == name
    source, plain = compression.decompressor(name, io.BytesIO(data)), b""
    room = bytearray(1 << 20)
    while count := source.readinto(memoryview(room)):
        plain += room[:count]
    assert plain == packed(tree, "none")
    assert packed(tree, name) == data


def test_the_gzip_header_has_no_time_and_no_name(tree):
    assert packed(tree, "gzip")[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\x03"


def make(root: Path, names: list[str], umask: int) -> Path:
    old = os.umask(umask)
    try:
        root.mkdir()
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
        for path in (root, *root.rglob("*")):
            os.chmod(path, 0o755)
        os.link(root / "d/x", root / "y")
    finally:
        os.umask(old)
    return root


def test_the_order_of_creation_the_umask_and_the_time_do_not_matter(tmp_path):
    names = [f"{directory}/{letter}" for directory in "dcba" for letter in "xrqz"]
    one = make(tmp_path / "1", names, 0o022)
    two = make(tmp_path / "2", names[::-1], 0o077)
    for path in two.rglob("*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert packed(one, "gzip", epoch=1_600_000_000) == packed(two, "gzip", epoch=1_600_000_000)


def test_a_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"x" * 1000)
    real = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, count, offset: real(fd, count, offset)[:10])
    with pytest.raises(WriteError, match=r"^rootfs/file changed while it was read$"):
        packed(tmp_path)


def test_a_full_disk_is_the_error_of_the_writer():
    full = open("/dev/full", "wb", buffering=0)
    with full, pytest.raises(WriteError, match="^writing the archive$") as failure:
        with ACIWriter(full, "gzip") as aci:
            aci.add_member(headers.Header(b"big", size_bytes=8 << 20), os.urandom(8 << 20))
            aci.add_manifest(b"{}")
    assert failure.value.__cause__.errno == 28


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "dir").mkdir()
    (tmp_path / "dir/file").write_text("x")

    def fail(*_):
        raise OSError(5, os.strerror(5))

    with monkeypatch.context() as patch, pytest.raises(OSError) as failure:
        patch.setattr(os, "pread", fail)
        packed(tmp_path)
    assert failure.value.filename == "rootfs/dir/file"


def test_no_descriptor_stays_open_after_a_failure(tree, monkeypatch):
    before = os.listdir("/proc/self/fd")
    monkeypatch.setattr(os, "pread", lambda *_: b"")
    with pytest.raises(WriteError):
        packed(tree)
    assert os.listdir("/proc/self/fd") == before


def test_source_date_epoch(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert writer.source_date_epoch() is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert writer.source_date_epoch() is None
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12")
    assert writer.source_date_epoch() == 12
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(WriteError, match=r"^SOURCE_DATE_EPOCH: yesterday is not a number of seconds since 1970$"):
        writer.source_date_epoch()


# --- the file under its name ---


def test_a_created_file_appears_whole_with_mode_0644(tmp_path):
    target = tmp_path / "o.aci"
    old = os.umask(0o077)
    try:
        with creating(str(target)) as file:
            file.write(b"half")
            assert not target.exists()
            file.write(b"whole")
    finally:
        os.umask(old)
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"halfwhole", 0o644)
    assert os.listdir(tmp_path) == ["o.aci"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_nothing_or_the_old_file(tmp_path, error):
    target = tmp_path / "o.aci"
    for overwrite in (False, True):
        with pytest.raises(error), creating(str(target), overwrite=overwrite) as file:
            file.write(b"half")
            raise error
        assert os.listdir(tmp_path) == (["o.aci"] if overwrite else [])
        target.write_text("old")
    assert target.read_text() == "old"


def test_an_existing_file_is_kept_or_replaced(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("o.aci").write_text("old")
    with pytest.raises(WriteError, match=r"^o\.aci exists \(--overwrite replaces it\)$"), creating("o.aci"):
        pass
    with creating("o.aci", overwrite=True) as file:
        file.write(b"new")
    assert Path("o.aci").read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path):
    target = tmp_path / "o.aci"
    with pytest.raises(WriteError, match="exists: it was made meanwhile"), creating(str(target)):
        target.write_text("other")
    assert (target.read_text(), os.listdir(tmp_path)) == ("other", ["o.aci"])


def test_overwriting_a_symlink_writes_where_it_points(tmp_path):
    (tmp_path / "link.aci").symlink_to("real.aci")
    with creating(str(tmp_path / "link.aci"), overwrite=True) as file:
        file.write(b"x")
    assert (tmp_path / "link.aci").is_symlink()
    assert (tmp_path / "real.aci").read_bytes() == b"x"


# --- and back through our own extractor ---


def described(root: Path) -> dict:
    """All that counts of a tree, by path; the last item is the name that a hard link was first seen under."""
    found, first = {}, {}
    for path in [root, *sorted(root.rglob("*"))]:
        info = path.lstat()
        kind = stat.S_IFMT(info.st_mode)
        content = None
        if kind == stat.S_IFREG:
            content = path.read_bytes()
        elif kind == stat.S_IFLNK:
            content = os.readlink(path)
        name = str(path.relative_to(root))
        found[name] = (
            oct(info.st_mode), info.st_uid, info.st_gid, info.st_rdev, int(info.st_mtime), content,
            sorted((key, os.getxattr(path, key, follow_symlinks=False))
                   for key in os.listxattr(path, follow_symlinks=False)),
            first.setdefault(info.st_ino, name), info.st_nlink)
    return found


@needs_root
@pytest.mark.parametrize("name", compression.COMPRESSIONS)
def test_a_tree_comes_back_as_it_was(tree, tmp_path, name):
    from stage0.aci.unpack import Unpacker

    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(tree / "disk", stat.S_IFBLK | 0o660, os.makedev(7, 300))
    os.chown(tree / "link", 3_000_000, 7, follow_symlinks=False)
    os.chown(tree / "sub", 5, 6)
    os.chmod(tree / "sub", 0o3775)
    os.chmod(tree / "file", 0o6751)
    (tree / ("long" * 50)).write_text("long")
    (tree / os.fsdecode(b"\xff odd\n")).symlink_to("t/" * 150)
    sparse_file(tree / "sparse", 3_000_001, (4096, b"a" * 5000), (2_000_000, b"b"))
    sparse_file(tree / "hole", 1 << 20)
    os.setxattr(tree / "sparse", "security.capability", struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0))
    try:
        os.setxattr(tree / "sub", "user.key", b"value")
    except OSError:
        pass
    data = packed(tree, name)
    (tmp_path / "out").mkdir()
    source, room = compression.decompressor(name, io.BytesIO(data)), bytearray(1 << 16)

    def chunks():
        while count := source.readinto(memoryview(room)):
            yield bytes(room[:count])

    fd = os.open(tmp_path / "out", os.O_RDONLY)
    try:
        with Unpacker(fd, below="rootfs") as unpacker:
            assert unpacker.unpack(Archive(chunks()))
    finally:
        os.close(fd)
    back, original = described(tmp_path / "out"), described(tree)
    assert back == original
    for sparse in ("sparse", "hole"):
        assert (tmp_path / "out" / sparse).stat().st_blocks * 512 < (tree / sparse).stat().st_size
