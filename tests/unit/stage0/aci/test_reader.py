"""One pass over an image file: IDs, copy, tree; the rules of the format; failures anywhere in the pipeline."""
from __future__ import annotations

import bz2
import errno
import gzip
import hashlib
import lzma
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from stage0.aci import reader
from stage0.aci.archive import Archive
from stage0.aci.limits import ArchiveError, Limits
from stage0.aci.reader import Members, Result
from stage0.aci.unpack import Unpacker
from tests.lib import tars
from tests.lib.tars import MANIFEST, directory, hard_link, image, member, pax, symlink, tar

PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "none": bytes,
    "zstd": zstandard.ZstdCompressor().compress,
}
IMAGE = image(directory("rootfs/d"), *[
    member(f"rootfs/d/{number}", data=b"%d" % number * 3000) for number in range(400)
], hard_link("rootfs/h", "rootfs/d/7"), symlink("rootfs/s", "d"))


@pytest.fixture(autouse=True)
def nothing_left() -> object:
    """No thread and no descriptor stays behind a test."""
    threads, descriptors = threading.active_count(), os.listdir("/proc/self/fd")
    yield
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == len(descriptors)


def read(tmp_path: Path, data: bytes, *, blob: bool = False, tree: bool = True, **options: object) -> Result:
    """Read an image; the tree is in tmp_path/tree, the copy in tmp_path/blob."""
    (tmp_path / "image").write_bytes(data)
    (tmp_path / "tree").mkdir()
    fds = [os.open(tmp_path / "image", os.O_RDONLY), os.open(tmp_path / "tree", os.O_RDONLY),
           os.open(tmp_path / "blob", os.O_WRONLY | os.O_CREAT)]
    try:
        return reader.read(fds[0], blob_fd=fds[2] if blob else None,
                           unpack_into=fds[1] if tree else None, **options)  # type: ignore[arg-type]
    finally:
        for fd in fds:
            os.close(fd)


def error(tmp_path: Path, data: bytes, **options: object) -> str:
    with pytest.raises(ArchiveError) as caught:
        read(tmp_path, data, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("name", PACK)
def test_one_pass_finds_everything(tmp_path: Path, name: str) -> None:
    data = PACK[name](IMAGE)
    result = read(tmp_path, data, blob=True)
    assert result == Result(
        f"sha512-{hashlib.sha512(IMAGE).hexdigest()}", MANIFEST, len(IMAGE),
        f"sha512-{hashlib.sha512(data).hexdigest()}", len(data), name)
    assert (tmp_path / "blob").read_bytes() == data
    assert os.listdir(tmp_path / "tree") == ["rootfs"]
    root = tmp_path / "tree/rootfs"
    assert sorted(os.listdir(root)) == ["d", "h", "s"]
    assert all((root / "d" / str(number)).read_bytes() == b"%d" % number * 3000 for number in range(400))
    assert (root / "h").samefile(root / "d/7")


@pytest.mark.parametrize("name", PACK)
def test_without_a_tree_it_is_checked_all_the_same(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, PACK[name](IMAGE), tree=False).manifest_bytes == MANIFEST
    assert os.listdir(tmp_path / "tree") == []
    (tmp_path / "tree").rmdir()
    assert error(tmp_path, PACK[name](image(member("rootfs/f"), member("rootfs/f"))), tree=False) == (
        "rootfs/f: comes twice")


def test_what_follows_the_last_member_counts_for_the_image_id(tmp_path: Path) -> None:
    data = IMAGE + bytes(5_000_000)
    result = read(tmp_path, gzip.compress(data))
    assert (result.image_id, result.size_bytes) == (f"sha512-{hashlib.sha512(data).hexdigest()}", len(data))


def test_files_larger_than_all_buffers(tmp_path: Path) -> None:
    big = os.urandom(1 << 20) * 20
    result = read(tmp_path, gzip.compress(image(member("rootfs/big", data=big)), 1))
    assert (tmp_path / "tree/rootfs/big").read_bytes() == big
    assert result.size_bytes > 20 << 20


def test_reading_begins_where_the_descriptor_stands(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"front" + gzip.compress(IMAGE))
    (tmp_path / "tree").mkdir()
    source, tree = os.open(tmp_path / "image", os.O_RDONLY), os.open(tmp_path / "tree", os.O_RDONLY)
    os.lseek(source, 5, os.SEEK_SET)
    reader.read(source, unpack_into=tree, select=lambda entry: entry.name in ("rootfs/h", "rootfs"))
    assert (tmp_path / "tree/rootfs/h").read_bytes() == b"7" * 3000   # needs a second pass
    assert os.listdir(tmp_path / "tree/rootfs") == ["h"]
    os.close(source)
    os.close(tree)


def test_an_unpacker_may_take_several_images(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    fd = os.open(tree, os.O_RDONLY)
    with Unpacker(fd, below="rootfs") as unpacker:
        for number in (1, 2):
            data = tar(directory(f"rootfs/{number}"), member(f"rootfs/{number}/f"), member("manifest", data=b"{}"))
            (tmp_path / "image").write_bytes(data)
            source = os.open(tmp_path / "image", os.O_RDONLY)
            reader.read(source, unpack_into=unpacker)
            os.close(source)
    os.close(fd)
    assert sorted(os.listdir(tree)) == ["1", "2"]


def test_open_archive_looks_in_without_threads(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(zstandard.ZstdCompressor().compress(IMAGE))
    with open(tmp_path / "image", "rb") as file:
        members = Members(reader.open_archive(file.fileno()))
        names = [entry.name for entry in members]
        assert threading.active_count() == 1
    assert (len(names), names[0], names[-1]) == (404, "rootfs", "rootfs/s")
    assert members.manifest == MANIFEST


# --- the rules of the format ------------------------------------------------------------------------


@pytest.mark.parametrize("data", [
    tar(member("manifest", data=MANIFEST), directory("rootfs")),
    tar(directory("./"), member("./manifest", data=MANIFEST), directory("./rootfs/"), member("./rootfs//x")),
    tar(member("rootfs/x"), member("manifest", data=MANIFEST), directory("rootfs")),
    tar(member("rootfs/x"), member("manifest", data=MANIFEST)),
])
def test_order_and_spelling_do_not_matter(tmp_path: Path, data: bytes) -> None:
    assert read(tmp_path, data).manifest_bytes == MANIFEST
    assert os.listdir(tmp_path / "tree") == ["rootfs"]


@pytest.mark.parametrize(("data", "message"), [
    (tar(directory("rootfs")), "the image has no manifest"),
    (tar(member("manifest", data=MANIFEST)), "the image has no rootfs"),
    (tar(member("rootfs"), member("manifest", data=MANIFEST)), "rootfs is no directory"),
    (tar(symlink("rootfs", "/"), member("manifest", data=MANIFEST)), "rootfs is no directory"),
    (image(member("rootfsX")), "rootfsX: an image holds nothing but manifest and rootfs"),
    (image(member("rootfs.d/x")), "rootfs.d/x: an image holds nothing but manifest and rootfs"),
    (image(member("etc/passwd")), "etc/passwd: an image holds nothing but manifest and rootfs"),
    (image(member("manifest/x")), "manifest/x: an image holds nothing but manifest and rootfs"),
    (image(member("manifest", data=MANIFEST)), "manifest: comes twice"),
    (image(member("./manifest", data=MANIFEST)), "manifest: comes twice"),
    (image(directory("rootfs/")), "rootfs: comes twice"),
    (tar(directory("rootfs"), symlink("manifest", "rootfs/etc/passwd")), "manifest is no regular file"),
    (tar(member("rootfs/f"), hard_link("manifest", "rootfs/f")), "manifest is no regular file"),
    (tar(directory("rootfs"), directory("manifest")), "manifest is no regular file"),
    (tar(member("manifest", data=MANIFEST), hard_link("rootfs/f", "manifest")),
     "rootfs/f: hard link to manifest, which is not in the rootfs"),
])
def test_what_is_no_image(tmp_path: Path, data: bytes, message: str) -> None:
    assert error(tmp_path, data) == message


def test_a_manifest_over_the_limit_is_refused(tmp_path: Path) -> None:
    message = error(tmp_path, image(), limits=Limits(manifest_bytes=10))
    assert message == f"manifest: {len(MANIFEST)} bytes, more than 10"


@pytest.mark.parametrize(("data", "kind"), [
    (MANIFEST, "text"), (b"", "of an unknown kind"), (b"PK\3\4" * 99, "of an unknown kind"),
    (bytes(10240), "of an unknown kind"), (b"\x7fELF\2\1\1\0", "of an unknown kind"),
])
def test_files_that_are_no_archive(tmp_path: Path, data: bytes, kind: str) -> None:
    assert error(tmp_path, data) == f"the file is {kind}: it is no tar archive, compressed or not"


# --- failures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_file_that_is_cut_off(tmp_path: Path, name: str, share: float) -> None:
    data = PACK[name](IMAGE)
    message = error(tmp_path, data[:int(len(data) * share)], blob=True)
    assert message.startswith("the archive is cut off at " if name == "none" else f"the {name} data are cut off")


def test_data_broken_behind_the_last_member(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(IMAGE))
    data[-6] ^= 1
    assert error(tmp_path, bytes(data)) == "the gzip data are broken"


def test_the_first_bad_member_ends_it(tmp_path: Path) -> None:
    data = image(member("rootfs/good", data=b"1"), member("../bad"), member("rootfs/big", data=bytes(30 << 20)))
    assert error(tmp_path, gzip.compress(data, 1), blob=True) == "../bad: the name leads out of the archive"


def test_a_copy_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(IMAGE)
    source, full = os.open(tmp_path / "image", os.O_RDONLY), os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left on device") as caught:
            reader.read(source, blob_fd=full)
        assert caught.value.errno == errno.ENOSPC
    finally:
        os.close(source)
        os.close(full)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    source = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(IsADirectoryError):
            reader.read(source)
    finally:
        os.close(source)


def test_a_tree_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("stage0.aci.unpack.os.write", full)
    assert error(tmp_path, IMAGE) == "rootfs/d/0: cannot be unpacked"


def test_an_interrupt_leaves_no_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stage0.aci.unpack.os.symlink", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path, gzip.compress(IMAGE + bytes(30 << 20), 1), blob=True)


# --- limits -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_an_archive_far_larger_than_its_file_is_refused(tmp_path: Path, name: str) -> None:
    data = PACK[name](image(member("rootfs/zeros", data=bytes(20 << 20))))
    limits = Limits(ratio=100, ratio_from_bytes=1 << 20)
    assert error(tmp_path, data, limits=limits) == (
        "the archive is more than 100 times as large as the file it is packed in")
    assert not (tmp_path / "tree/rootfs").exists() or (tmp_path / "tree/rootfs/zeros").stat().st_size < 10 << 20


def test_a_small_archive_may_be_all_zeros(tmp_path: Path) -> None:
    data = gzip.compress(image(member("rootfs/zeros", data=bytes(5 << 20))), 9)
    assert len(data) * 250 < 5 << 20
    assert read(tmp_path, data).compression == "gzip"


def test_an_archive_over_the_limit_of_bytes_is_refused(tmp_path: Path) -> None:
    data = image(*[member(f"rootfs/{number}", data=os.urandom(1 << 20)) for number in range(4)])
    assert error(tmp_path, data, limits=Limits(size_bytes=3 << 20)) == "the archive has more than 3145728 bytes"


def test_open_archive_has_the_same_limits(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(gzip.compress(image(member("rootfs/zeros", data=bytes(20 << 20)))))
    limits = Limits(ratio=100, ratio_from_bytes=1 << 20)
    with open(tmp_path / "image", "rb") as file, pytest.raises(ArchiveError, match="more than 100 times"):
        list(Members(reader.open_archive(file.fileno(), limits), limits))


def test_members_pass_what_is_below_the_rootfs_alone() -> None:
    members = Members(Archive([image(pax({"mtime": "3"}), member("rootfs/a"))]))
    assert [entry.name for entry in members] == ["rootfs", "rootfs/a"]
    assert tars.MANIFEST == members.manifest
