"""Compressed files: what they are by their first bytes, reading them, writing them.

All readers are strict: data that end early, fail their checksum or are followed by something else are an
ArchiveError. They release the GIL, and one call makes no more data than it is given room for, so that a small
file that holds gigabytes costs neither memory nor time before somebody counts.
"""
from __future__ import annotations

import io

from stage0.aci.limits import ArchiveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Protocol

    class Writable(Protocol):
        """What compressed data are written to."""

        def write(self, data: bytes, /) -> object: ...

    class Readable(Protocol):
        """What data are read from; fewer bytes than asked for may come, none at the end."""

        def readinto(self, room: memoryview, /) -> int | None: ...

    class Compressor(Protocol):
        """Compresses what is written to it. `close` writes the end; the file below stays open."""

        def write(self, data: bytes, /) -> object: ...

        def close(self) -> None: ...

GZIP, BZIP2, XZ, ZSTD, NONE, TEXT, UNKNOWN = "gzip", "bzip2", "xz", "zstd", "none", "text", "unknown"
COMPRESSIONS = (GZIP, BZIP2, XZ, ZSTD, NONE)
HEAD_BYTES = 512                    # what detect wants to see
_MAGIC = ((b"\x1f\x8b", GZIP), (b"BZh", BZIP2), (b"\xfd7zXZ\0", XZ), (b"\x28\xb5\x2f\xfd", ZSTD))
_SKIPPABLE = (b"\x2a\x4d\x18", range(0x50, 0x60))    # zstd: the upper bytes and the lowest of a frame to pass over
_ZSTD_WINDOW_BYTES = 1 << 27        # as much as the zstd command takes without being asked
_XZ_MEMORY_BYTES = 1 << 28          # xz -9 needs a quarter
_INPUT_BYTES = 1 << 18


def detect(head: bytes) -> str:
    """What a file is by its first 512 bytes: a compression, "none" for a plain tar, "text" or "unknown"."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[1:4] == _SKIPPABLE[0] and head[0] in _SKIPPABLE[1]:
        return ZSTD
    if head[257:262] == b"ustar":
        return NONE
    if head and all((byte > 31 and byte != 127) or byte in b"\t\n\r\f" for byte in head):
        return TEXT
    return UNKNOWN


def decompressor(name: str, source: Readable) -> Readable:
    """The data of a compressed file. Reading raises ArchiveError when they are broken or cut off."""
    if name == NONE:
        return source
    if name == GZIP:
        return _Strict(name, *_gzip(source))
    if name == ZSTD:
        return _Strict(name, *_zstd(source))
    if name == XZ:
        import lzma

        return _Strict(name, _Members(source, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY_BYTES)), lzma.LZMAError)
    if name == BZIP2:
        import bz2

        return _Strict(name, _Members(source, bz2.BZ2Decompressor), ValueError)
    raise ArchiveError(f"{name} is no compression")


def compressor(name: str, fileobj: Writable) -> Compressor:
    """Compresses into a file object. The same data give the same bytes: no names, no times."""
    if name == NONE:
        return _Stored(fileobj)
    if name == GZIP:
        import zlib

        return _Packed(fileobj, zlib.compressobj(6, zlib.DEFLATED, 31))
    if name == ZSTD:
        import zstandard

        return _Packed(fileobj, zstandard.ZstdCompressor(level=3, write_checksum=True).compressobj())
    if name == XZ:
        import lzma

        return _Packed(fileobj, lzma.LZMACompressor())
    if name == BZIP2:
        import bz2

        return _Packed(fileobj, bz2.BZ2Compressor())
    raise ArchiveError(f"{name} is no compression")


class _Stored:
    def __init__(self, fileobj: Writable) -> None:
        self._file = fileobj

    def write(self, data: bytes) -> object:
        return self._file.write(data)

    def close(self) -> None:
        return


class _Packed:
    """Around an object with `compress` and `flush`."""

    def __init__(self, fileobj: Writable, packer: Any) -> None:
        self._file, self._packer = fileobj, packer

    def write(self, data: bytes) -> object:
        return self._file.write(self._packer.compress(data))

    def close(self) -> None:
        self._file.write(self._packer.flush())


class _Strict:
    """Turns what the libraries raise for broken data into ArchiveError."""

    def __init__(self, name: str, inner: Any, *broken: type[Exception]) -> None:
        self._name, self._inner, self._broken = name, inner, broken

    def readinto(self, room: memoryview) -> int:
        try:
            return int(self._inner.readinto(room))
        except EOFError as err:
            raise ArchiveError(f"the {self._name} data are cut off") from err
        except OSError as err:
            if err.errno is not None:
                raise  # of the file below
            raise ArchiveError(f"the {self._name} data are broken") from err
        except self._broken as err:
            raise ArchiveError(f"the {self._name} data are broken") from err


class _File(io.RawIOBase):
    """A Readable as the file object that the libraries want."""

    def __init__(self, source: Readable, watch: Callable[[memoryview], None] | None = None) -> None:
        self._source, self._watch = source, watch

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        view = memoryview(room)
        count = self._source.readinto(view) or 0
        if self._watch is not None:
            self._watch(view[:count])
        return count


class _Members:
    """One or more compressed streams after each other, by objects like those of lzma and bz2."""

    def __init__(self, source: Readable, make: Callable[[], Any]) -> None:
        self._source, self._make = source, make
        self._one = make()
        self._input = bytearray(_INPUT_BYTES)
        self._begun = False         # the current stream had input

    def readinto(self, room: memoryview) -> int:
        while True:
            rest: bytes | memoryview = b""
            if self._one.eof:
                rest = self._one.unused_data.lstrip(b"\0")    # streams may be padded with zeros
                self._one, self._begun = self._make(), False
            if not rest and self._one.needs_input:
                count = self._source.readinto(memoryview(self._input)) or 0
                rest = bytes(memoryview(self._input)[:count])
                if not rest and self._begun:
                    raise EOFError
                if not rest:
                    return 0
                if not self._begun:
                    rest = rest.lstrip(b"\0")
            self._begun = self._begun or bool(rest)
            if data := self._one.decompress(rest, len(room)):
                room[:len(data)] = data
                return len(data)


def _gzip(source: Readable) -> tuple[Any, ...]:
    """A reader, and what it raises. isal takes less than half the time of zlib."""
    try:
        from isal import igzip, isal_zlib
    except ImportError:
        import gzip
        import zlib

        return gzip.GzipFile(fileobj=io.BufferedReader(_File(source), _INPUT_BYTES), mode="rb"), zlib.error
    reader: Any = igzip.IGzipFile
    return reader(fileobj=_File(source), mode="rb"), isal_zlib.error


def _zstd(source: Readable) -> tuple[Any, ...]:
    import zstandard

    frames = _Frames()
    file: Any = _File(source, frames.pass_over)
    reader = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES).stream_reader(
        file, read_size=_INPUT_BYTES, read_across_frames=True)
    return _Whole(reader, frames), zstandard.ZstdError


class _Whole:
    """The stream reader of zstandard, which takes a frame that is cut off for a whole one."""

    def __init__(self, reader: Any, frames: _Frames) -> None:
        self._reader, self._frames = reader, frames

    def readinto(self, room: memoryview) -> int:
        count = int(self._reader.readinto(room))
        if not count and not self._frames.at_end:
            raise EOFError
        return count


class _Frames:
    """Follows the frames and blocks of a zstd file (RFC 8878, section 3.1) without looking into the blocks."""

    def __init__(self) -> None:
        self._walk = self._steps()
        self._wanted = next(self._walk)     # bytes of the next header; of data to pass over if negative
        self._header = b""
        self.at_end = True                  # between two frames

    def pass_over(self, data: memoryview) -> None:
        """Take the next bytes of the file."""
        while data:
            self.at_end = False
            if self._wanted < 0:
                count = min(len(data), -self._wanted)
                self._wanted += count
            else:
                count = min(len(data), self._wanted - len(self._header))
                self._header += data[:count]
            data = data[count:]
            if self._wanted == 0 or len(self._header) == self._wanted > 0:
                header, self._header = self._header, b""
                self._wanted = self._walk.send(header)
                while self._wanted == 0:
                    self._wanted = self._walk.send(b"")

    def _steps(self) -> Generator[int, bytes, None]:
        while True:
            magic = yield 4
            if magic[1:] == _SKIPPABLE[0] and magic[0] in _SKIPPABLE[1]:
                yield -int.from_bytes((yield 4), "little")
            elif magic == _MAGIC[3][0]:
                descriptor = (yield 1)[0]
                single = descriptor >> 5 & 1
                size = (single, 2, 4, 8)[descriptor >> 6]
                yield -((1 - single) + (0, 1, 2, 4)[descriptor & 3] + size)
                last = 0
                while not last:
                    block = int.from_bytes((yield 3), "little")
                    last = block & 1
                    yield -(1 if block >> 1 & 3 == 1 else block >> 3)
                yield -(descriptor & 4)     # the checksum
            else:
                yield -(1 << 62)            # the reader will say what it thinks of it
            self.at_end = True
