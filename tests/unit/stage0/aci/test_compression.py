"""Compressed data, whole, cut off, broken, in several parts, and far larger than they look."""
from __future__ import annotations

import builtins
import bz2
import errno
import gzip
import io
import lzma
import os
import subprocess
import zlib
from collections.abc import Callable

import pytest
import zstandard

from stage0.aci import compression
from stage0.aci.limits import ArchiveError

DATA = b"".join(b"%d squared is %d\n" % (number, number * number) for number in range(8_000)) + os.urandom(80_000)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress, "bzip2": bz2.compress, "xz": lzma.compress, "none": bytes,
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}
PACKED = [name for name in PACK if name != "none"]


def unpack(name: str, data: bytes, room_bytes: int = 10_000) -> bytes:
    reader = compression.decompressor(name, io.BytesIO(data))
    room = memoryview(bytearray(room_bytes))
    parts = []
    while count := reader.readinto(room):
        assert count <= room_bytes
        parts.append(bytes(room[:count]))
    return b"".join(parts)


@pytest.fixture(params=[False, True], ids=["isal", "zlib"])
def without_isal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importer(name: str, *rest: object) -> object:
        if name == "isal":
            raise ImportError
        return real(name, *rest)  # type: ignore[arg-type]

    if request.param:
        monkeypatch.setattr(builtins, "__import__", importer)


@pytest.mark.parametrize("name", PACK)
def test_detected_by_the_first_bytes_and_read(name: str) -> None:
    tar = (b"x" * 257 + b"ustar").ljust(512, b"\0") + DATA
    packed = PACK[name](tar)
    assert compression.detect(packed[:512]) == name
    assert unpack(name, packed) == tar


@pytest.mark.parametrize(("head", "kind"), [
    (b"", "unknown"), (b"PK\3\4", "unknown"), (b"\x7fELF", "unknown"), (bytes(512), "unknown"),
    (b'{"acKind": "ImageManifest"}\n', "text"), ("größer\n".encode(), "text"), (b"-----BEGIN PGP", "text"),
    (b"\x5a\x2a\x4d\x18\4\0\0\0", "zstd"),
])
def test_other_files(head: bytes, kind: str) -> None:
    assert compression.detect(head) == kind


@pytest.mark.parametrize("name", compression.COMPRESSIONS)
def test_what_is_written_is_read(name: str) -> None:
    outs = [io.BytesIO(), io.BytesIO()]
    for out in outs:
        packer = compression.compressor(name, out)
        for at in range(0, len(DATA), 77_777):
            packer.write(DATA[at:at + 77_777])
        packer.close()
        assert not out.closed
    assert outs[0].getvalue() == outs[1].getvalue()
    assert unpack(name, outs[0].getvalue(), 1 << 20) == DATA


@pytest.mark.parametrize("program", ["gzip", "bzip2", "xz", "zstd"])
def test_the_usual_programs_read_what_is_written(program: str) -> None:
    out = io.BytesIO()
    packer = compression.compressor(program, out)
    packer.write(DATA)
    packer.close()
    try:
        assert subprocess.run([program, "-dc"], input=out.getvalue(), capture_output=True, check=True).stdout == DATA
    except FileNotFoundError:
        pytest.skip(f"no {program} here")


@pytest.mark.usefixtures("without_isal")
@pytest.mark.parametrize("name", PACKED)
def test_members_one_after_the_other_and_zeros_behind(name: str) -> None:
    zeros = b"" if name == "zstd" else bytes(1024)
    packed = PACK[name](DATA[:77_777]) + PACK[name](b"") + PACK[name](DATA[77_777:])
    assert unpack(name, packed + zeros) == DATA


@pytest.mark.usefixtures("without_isal")
@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("rest", [1, 3, 5, 9, 200, 70_000])
def test_data_that_are_cut_off_are_refused(name: str, rest: int) -> None:
    packed = PACK[name](DATA)
    with pytest.raises(ArchiveError, match=f"^the {name} data are cut off$"):
        unpack(name, packed[:-rest])
    with pytest.raises(ArchiveError, match=f"^the {name} data are (cut off|broken)$"):
        unpack(name, packed + packed[:-rest])


@pytest.mark.usefixtures("without_isal")
@pytest.mark.parametrize("name", PACKED)
def test_junk_behind_the_data_is_refused(name: str) -> None:
    with pytest.raises(ArchiveError, match=f"^the {name} data are (cut off|broken)$"):
        unpack(name, PACK[name](DATA) + b"some text that is not compressed")


@pytest.mark.usefixtures("without_isal")
@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("place", [0.2, 0.5, 0.9, 1.0])
def test_flipped_bits_are_noticed(name: str, place: float) -> None:
    packed = bytearray(PACK[name](DATA))
    packed[min(int(len(packed) * place), len(packed) - 5)] ^= 0x10
    with pytest.raises(ArchiveError, match=f"^the {name} data are (broken|cut off)$"):
        unpack(name, bytes(packed))


def test_zstd_frames_of_all_sorts() -> None:
    skippable = b"\x51\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"12345"
    frames = [zstandard.ZstdCompressor(write_checksum=check, write_content_size=size).compress(data)
              for check in (False, True) for size in (False, True) for data in (DATA, b"", b"a", bytes(1 << 20))]
    stream = zstandard.ZstdCompressor().compressobj()
    frames.append(stream.compress(DATA) + stream.flush())
    whole = 4 * (DATA + b"a" + bytes(1 << 20)) + DATA
    assert unpack("zstd", skippable + skippable.join(frames) + skippable, 1 << 20) == whole
    with pytest.raises(ArchiveError, match="^the zstd data are cut off$"):
        unpack("zstd", b"".join(frames) + skippable[:-1])


@pytest.mark.parametrize("name", PACKED)
def test_one_call_makes_no_more_than_it_has_room_for(name: str) -> None:
    packed = PACK[name](bytes(50_000_000))
    assert len(packed) < 100_000
    reader = compression.decompressor(name, io.BytesIO(packed))
    assert 0 < (reader.readinto(memoryview(bytearray(1000))) or 0) <= 1000


def test_xz_that_wants_much_memory_is_refused() -> None:
    packed = bytearray(lzma.compress(DATA))
    # The size of the dictionary stands in the header of the first block, behind the ID of the filter: 40 is 4 GiB.
    packed[packed.index(b"\x21\x01", 12) + 2] = 40
    end = 12 + (packed[12] + 1) * 4
    packed[end - 4:end] = zlib.crc32(packed[12:end - 4]).to_bytes(4, "little")
    with pytest.raises(ArchiveError, match="^the xz data are broken$") as caught:
        unpack("xz", bytes(packed))
    assert "emory" in str(caught.value.__cause__)


def test_zstd_that_wants_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    stream = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(ArchiveError, match="^the zstd data are broken$"):
        unpack("zstd", stream.compress(DATA) + stream.flush())


@pytest.mark.parametrize("name", compression.COMPRESSIONS)
def test_errors_of_the_file_stay_what_they_are(name: str) -> None:
    class Broken:
        def readinto(self, _room: memoryview) -> int:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        compression.decompressor(name, Broken()).readinto(memoryview(bytearray(10)))


@pytest.mark.parametrize("name", ["text", "unknown", "zip"])
def test_what_is_no_compression(name: str) -> None:
    with pytest.raises(ArchiveError, match=f"^{name} is no compression$"):
        compression.decompressor(name, io.BytesIO())
    with pytest.raises(ArchiveError, match=f"^{name} is no compression$"):
        compression.compressor(name, io.BytesIO())
