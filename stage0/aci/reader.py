"""Reads an image file in one pass: digests, image ID, manifest, a copy of the file, the tree.

    result = read(source_fd, blob_fd=blob_fd, unpack_into=directory_fd)

Four threads hand chunks on to each other, and each lets go of the GIL for nearly all of its work:

    receive      file → copy, digest of it as it is
    decompress   by its first bytes → chunks of the tar, within the limits
    identify     → image ID
    the caller   → manifest, tree

`open_archive` is the plain way for those who only look into an image:

    members = Members(open_archive(fd))
    for entry in members: …
    members.manifest
"""
from __future__ import annotations

import contextlib
import os

from stage0.aci import compression
from stage0.aci.archive import Archive, Entry
from stage0.aci.headers import DIRECTORY, HARD_LINK, REGULAR
from stage0.aci.limits import DEFAULT, ArchiveError, Limits, shown
from stage0.aci.pipeline import Channel, Crew
from stage0.aci.unpack import Unpacker
from stage2.files import write_all
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_RECEIVED_BYTES = 1 << 19     # a chunk of the file as it is
_CHUNK_BYTES = 1 << 20        # a chunk of the tar
_AHEAD = 4                    # chunks that wait between two threads
_BUFFERS = 6                  # for chunks of the tar, in all threads together


class Result(Value):
    """What there is to know about an image file."""

    image_id: str             # sha512- and the SHA-512 of the uncompressed tar, 128 hex digits
    manifest_bytes: bytes     # as stored, not yet parsed
    size_bytes: int           # of the uncompressed tar
    blob_digest: str          # sha512- and that of the file as it is
    blob_bytes: int           # of the file as it is
    compression: str          # "gzip" … "none", as in compression.py


class Members:
    """The members of an image that make its rootfs, in their order; `manifest` is set when they have come to an end.

    Raises ArchiveError for all that the format does not allow, at the end for what is missing.
    """

    def __init__(self, archive: Archive, limits: Limits = DEFAULT) -> None:
        self.archive = archive
        self.manifest = b""
        self._limits = limits

    def __iter__(self) -> Iterator[Entry]:
        has_rootfs = has_manifest = False
        for entry in self.archive:
            name = entry.name
            if name.startswith("rootfs/"):
                if entry.kind == HARD_LINK and not entry.link.startswith("rootfs/"):
                    raise ArchiveError(f"{shown(name)}: hard link to {shown(entry.link)}, which is not in the rootfs")
                has_rootfs = True
                yield entry
            elif name == "rootfs":
                if entry.kind != DIRECTORY:
                    raise ArchiveError("rootfs is no directory")
                has_rootfs = True
                yield entry
            elif name == "manifest":
                if entry.kind != REGULAR or entry.extents is not None:
                    raise ArchiveError("manifest is no regular file")
                has_manifest = True
                self.manifest = self.archive.read(self._limits.manifest_bytes)
            elif name:  # the top itself may be a member, as `tar -c .` makes it
                raise ArchiveError(f"{shown(name)}: an image holds nothing but manifest and rootfs")
        if not has_manifest:
            raise ArchiveError("the image has no manifest")
        if not has_rootfs:
            raise ArchiveError("the image has no rootfs")


def read(source_fd: int, *, blob_fd: int | None = None, unpack_into: int | Unpacker | None = None,
         select: Callable[[Entry], bool] | None = None, limits: Limits = DEFAULT) -> Result:
    """Read an image from where the descriptor stands to its end, and check it against the rules of the format.

    The file is copied to `blob_fd` as it is. The tree is unpacked into a directory (a descriptor; it then holds
    `rootfs`) or by an Unpacker, whose owner ends it; `select` says which members. No thread is left when this
    returns. Raises ArchiveError, OSError; what was copied and unpacked until then stays.
    """
    start = os.lseek(source_fd, 0, os.SEEK_CUR) if select is not None else 0
    with contextlib.ExitStack() as stack:
        unpacker = stack.enter_context(Unpacker(unpack_into)) if isinstance(unpack_into, int) else unpack_into
        with Crew() as crew:
            job = _Job(crew, source_fd, blob_fd, limits)
            archive = Archive(job.chunks(), limits)
            members = Members(archive, limits)
            settled = True
            if unpacker is not None:
                settled = unpacker.unpack(archive, select, members)
            else:
                for _ in members:
                    pass
            result = job.result(members.manifest)
        if unpacker is not None and not settled:
            os.lseek(source_fd, start, os.SEEK_SET)
            unpacker.settle(open_archive(source_fd, limits))
    return result


def open_archive(source_fd: int, limits: Limits = DEFAULT) -> Archive:
    """The members of an image file, from where the descriptor stands, without threads and digests."""
    plain = _Plain(_fd_chunks(source_fd), limits)
    return Archive(_one_by_one(plain), limits)


def _fd_chunks(fd: int) -> Iterator[bytes]:
    return iter(lambda: os.read(fd, _RECEIVED_BYTES), b"")


def _one_by_one(plain: _Plain) -> Iterator[memoryview]:
    room = memoryview(bytearray(_CHUNK_BYTES))
    while size := plain.fill(room):
        yield room[:size]


class _Job:
    """The threads behind `read` and what they find out."""

    def __init__(self, crew: Crew, source_fd: int, blob_fd: int | None, limits: Limits) -> None:
        import hashlib

        self._crew, self._source_fd, self._blob_fd, self._limits = crew, source_fd, blob_fd, limits
        self._received: Channel[bytes] = crew.channel(_AHEAD)
        self._free: Channel[memoryview] = crew.channel(_BUFFERS)
        self._plain: Channel[tuple[memoryview, int]] = crew.channel(_BUFFERS)
        self._identified: Channel[tuple[memoryview, int]] = crew.channel(_BUFFERS)
        self._digest, self._image = hashlib.sha512(), hashlib.sha512()
        self._size_bytes = self._blob_bytes = 0
        self._compression = ""
        for _ in range(_BUFFERS):
            self._free.put(memoryview(bytearray(_CHUNK_BYTES)))
        for work in (self._receive, self._decompress, self._identify):
            crew.start(work)

    def _receive(self) -> None:
        for chunk in _fd_chunks(self._source_fd):
            self._received.put(chunk)
            if self._blob_fd is not None:
                write_all(self._blob_fd, chunk)
            self._digest.update(chunk)
            self._blob_bytes += len(chunk)
        self._received.end()

    def _decompress(self) -> None:
        plain = _Plain(self._received, self._limits)
        self._compression = plain.compression
        for room in self._free:
            size = plain.fill(room)
            if not size:
                break
            self._plain.put((room, size))
        self._plain.end()

    def _identify(self) -> None:
        for room, size in self._plain:
            self._image.update(room[:size])
            self._size_bytes += size
            self._identified.put((room, size))
        self._identified.end()

    def chunks(self) -> Iterator[memoryview]:
        """The chunks of the tar, each good until the next one is asked for."""
        for room, size in self._identified:
            yield room[:size]
            self._free.put(room)

    def result(self, manifest: bytes) -> Result:
        """Wait for the threads; all chunks have been taken."""
        self._crew.wait()
        return Result(f"sha512-{self._image.hexdigest()}", manifest, self._size_bytes,
                      f"sha512-{self._digest.hexdigest()}", self._blob_bytes, self._compression)


class _Plain:
    """The uncompressed tar of a file, within the limits."""

    def __init__(self, chunks: Iterable[bytes], limits: Limits) -> None:
        self._source = _Source(chunks)
        self._limits = limits
        self._size_bytes = 0
        self.compression = compression.detect(self._source.head())
        if self.compression not in compression.COMPRESSIONS:
            what = "text" if self.compression == compression.TEXT else "of an unknown kind"
            raise ArchiveError(f"the file is {what}: it is no tar archive, compressed or not")
        self._reader = compression.decompressor(self.compression, self._source)

    def fill(self, room: memoryview) -> int:
        """The next data, as much as there is room for; fewer only at the end."""
        size = 0
        while size < len(room) and (count := self._reader.readinto(room[size:])):
            size += count
        self._size_bytes += size
        limits, total = self._limits, self._size_bytes
        if total > limits.size_bytes:
            raise ArchiveError(f"the archive has more than {limits.size_bytes} bytes")
        if total > limits.ratio_from_bytes and total > limits.ratio * self._source.taken_bytes:
            raise ArchiveError(f"the archive is more than {limits.ratio} times as large as the file it is packed in")
        return size


class _Source:
    """Chunks as the readers of compressed files want them."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self.taken_bytes = 0

    def head(self) -> bytes:
        """The first bytes; they are read again."""
        head = b""
        while len(head) < compression.HEAD_BYTES and (chunk := next(self._chunks, b"")):
            head += chunk
        self._rest = memoryview(head)
        return head[:compression.HEAD_BYTES]

    def readinto(self, room: memoryview) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        size = min(len(room), len(self._rest))
        room[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        self.taken_bytes += size
        return size
