"""Image files: what is in one, and a copy of it with another manifest."""
from __future__ import annotations

from stage0.aci import compression, headers
from stage0.aci.archive import KINDS, Archive
from stage0.aci.limits import DEFAULT, ArchiveError, number, shown
from stage2.errors import RktError
from stage2.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from stage0.aci.writer import ACIWriter

MANIFEST, ROOTFS = "manifest", "rootfs"
MAX_MANIFEST_BYTES = DEFAULT.manifest_bytes
_CHUNK = 1 << 18
_SIZE, _CHECKSUM, _KIND, _PREFIX = slice(124, 136), slice(148, 156), slice(156, 157), slice(345, 512)


class ImageFileError(RktError):
    """An image file is not as the command needs it."""


class Scan(Value):
    """What is in an image file: how it is compressed, its manifest, what is wrong with it as an archive."""

    compression: str
    manifest: bytes | None = None
    violations: tuple[str, ...] = ()
    # In the plain tar: where the headers of the manifest begin, its data, what follows it, the end of all members.
    place: tuple[int, int, int, int] = (0, 0, 0, 0)


def detect(path: str) -> str:
    """What a file is by its first bytes: `appimage` or `manifest`. Raises ImageFileError, OSError."""
    found = _compression(path)
    if found == compression.UNKNOWN:
        raise ImageFileError(f"{path} is neither an image nor a manifest (--type=appimage|layout|manifest tells what)")
    return "manifest" if found == compression.TEXT else "appimage"


def scan(path: str) -> Scan:
    """Read an image file through. A broken archive is a violation too. Raises OSError."""
    return _Scanner(path).run()


def manifest(path: str) -> bytes:
    """The manifest of an image file. Raises ImageFileError if it has none, OSError."""
    found = scan(path)
    if found.manifest is None:
        raise ImageFileError(f"{path}: {found.violations[0]}")
    return found.manifest


def copy(path: str, found: Scan, aci: ACIWriter, data: bytes) -> None:
    """Copy all members as they are but for the manifest, which gets new data and keeps its place and header."""
    start, middle, following, end = found.place
    head, at = b"", 0
    for chunk in _chunks(path):
        aci.write(_part(chunk, at, 0, start))
        head += _part(chunk, at, start, middle)
        if at < middle <= at + len(chunk):
            aci.write(_with_size(head, len(data)) + headers.padded(data))
        aci.write(_part(chunk, at, following, end))
        at += len(chunk)


def _part(chunk: memoryview, at: int, start: int, end: int) -> memoryview:
    """What a chunk that lies at a place has of a stretch."""
    return chunk[max(start - at, 0):max(end - at, 0)]


def _with_size(head: bytes, size_bytes: int) -> bytes:
    """The headers of the manifest with another size; extended ones for it alone are left out."""
    kept, at = b"", 0
    while at < len(head) - headers.BLOCK:
        size = number(head[at:at + headers.BLOCK][_SIZE], "size", MANIFEST)
        following = at + headers.BLOCK + size + len(headers.padding(size))
        if head[at:at + headers.BLOCK][_KIND] == b"g":
            kept += head[at:following]
        at = following
    block = bytearray(head[-headers.BLOCK:])
    block[:100] = MANIFEST.encode().ljust(100, b"\0")
    block[_SIZE], block[_KIND], block[_PREFIX] = b"%011o\0" % size_bytes, headers.REGULAR, bytes(167)
    block[_CHECKSUM] = b" " * 8
    block[_CHECKSUM] = b"%06o\0 " % sum(block)
    return kept + bytes(block)


def _compression(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return compression.detect(file.read(compression.HEAD_BYTES))


def _chunks(path: str) -> Iterator[memoryview]:
    """The plain tar of an image file; each chunk is good until the next one is asked for."""
    name = _compression(path)
    if name not in compression.COMPRESSIONS:
        name = compression.NONE  # an old tar, or none at all, as its reader will find
    with open(path, "rb", buffering=0) as file:
        source = compression.decompressor(name, file)
        room = memoryview(bytearray(_CHUNK))
        while count := source.readinto(room):
            yield room[:count]


class _Scanner:
    """One pass over an image file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.found = Scan(_compression(path))
        self.violations: list[str] = []
        self.taken = 0                  # bytes of the plain tar that the archive has got
        self.tops: dict[str, bytes] = {}   # names at the top: kind of the member, none for a directory without one

    def run(self) -> Scan:
        """What was found."""
        end = 0
        archive = Archive(self._counted())
        try:
            for entry in archive:
                data_at = self.taken - archive.ahead_bytes
                following = data_at + entry.stored_bytes + len(headers.padding(entry.stored_bytes))
                self._note(entry.name, entry.kind)
                if entry.name == MANIFEST and entry.kind == headers.REGULAR:
                    self.found = self.found.replace(
                        manifest=archive.read(MAX_MANIFEST_BYTES), place=(end, data_at, following, 0))
                end = following
            self.found = self.found.replace(place=(*self.found.place[:3], end))
        except ArchiveError as err:
            return self.found.replace(violations=(*self._wrong(), str(err)))
        return self.found.replace(violations=(*self._wrong(), *self._missing()))

    def _counted(self) -> Iterator[memoryview]:
        for chunk in _chunks(self.path):
            self.taken += len(chunk)
            yield chunk

    def _note(self, name: str, kind: bytes) -> None:
        top, slash, _ = name.partition("/")
        self.tops[top] = self.tops.get(top, b"") if slash else kind

    def _wrong(self) -> Iterator[str]:
        for name in self.tops:
            if name not in ("", MANIFEST, ROOTFS):
                yield f"{shown(name)} is neither manifest nor rootfs"
        for name, wanted in ((MANIFEST, headers.REGULAR), (ROOTFS, headers.DIRECTORY)):
            if (kind := self.tops.get(name, wanted)) not in (wanted, b""):
                yield f"{name} is a {KINDS[kind]}, not a {KINDS[wanted]}"

    def _missing(self) -> Iterator[str]:
        for name in (MANIFEST, ROOTFS):
            if not self.tops.get(name):
                yield f"{name} is missing"
