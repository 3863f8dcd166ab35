"""Archives that want out of their directory, or want more than their share: each is refused by the name of a member.

Where a case is known to get past extraction in the manner of tarfile's data filter (look where the name and the target
lead, then make the member by its path), it says so, and a test shows that the archive is a real attack on it. Each
archive is unpacked in a directory beside one that has to stay as it is.
"""
from __future__ import annotations

import io
import os
import stat
import string
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stage0.aci import reader
from stage0.aci.limits import ArchiveError, Limits
from tests.lib import tars
from tests.lib.tars import MANIFEST, directory, hard_link, header, image, long_name, member, pax, symlink, tar

OUT = "../../outside"                     # from the rootfs of the image
EVIL = b"evil"
SPARSE = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "4"}
NO_DIRECTORY = "what is above it is no directory"

CASES: dict[str, tuple[bytes, str]] = {
    # Names that leave the root.
    "absolute": (image(member("/outside/evil", data=EVIL)), "/outside/evil: the name is absolute"),
    "absolute directory": (image(directory("/")), "/: the name is absolute"),
    "many slashes": (image(member("//rootfs/evil", data=EVIL)), "//rootfs/evil: the name is absolute"),
    "dots": (image(member("../outside/evil", data=EVIL)), "../outside/evil: the name leads out of the archive"),
    "dots behind the rootfs": (image(member("rootfs/../../outside/evil", data=EVIL)),
                               "rootfs/../../outside/evil: the name leads out of the archive"),
    "dots at the end": (image(directory("rootfs/../..")), "rootfs/../..: the name leads out of the archive"),
    "dots and single dots": (image(member("./rootfs/./../.././outside/evil")),
                             "./rootfs/./../.././outside/evil: the name leads out of the archive"),
    "dots in a symlink's name": (image(symlink("rootfs/../../outside/evil", "x")),
                                 "rootfs/../../outside/evil: the name leads out of the archive"),
    "dots beside the rootfs": (image(member("rootfs/../evil")), "evil: an image holds nothing but manifest and rootfs"),
    "dots in a PAX path": (image(pax({"path": "../outside/evil"}), member("rootfs/x", data=EVIL)),
                           "../outside/evil: the name leads out of the archive"),
    "dots in a long name": (image(long_name("../outside/evil"), member("rootfs/x", data=EVIL)),
                            "../outside/evil: the name leads out of the archive"),
    "dots in the prefix": (image(member("evil", prefix=b"rootfs/../../outside", data=EVIL)),
                           "rootfs/../../outside/evil: the name leads out of the archive"),
    "dots in the name of a sparse file": (
        image(pax({**SPARSE, "GNU.sparse.name": "../outside/evil"}),
              member("rootfs/x", data=tars.padded(b"1\n0\n4\n") + EVIL)),
        "../outside/evil: the name leads out of the archive"),
    "a path for all members": (image(pax({"path": "rootfs/../../outside/evil"}, b"g"), member("rootfs/x", data=EVIL)),
                               "a global PAX header after rootfs sets path of all members"),
    "a NUL in a PAX path": (image(pax({"path": "rootfs/x\0/../../../outside/evil"}), member("rootfs/x")),
                            r"'rootfs/x\x00/../../../outside/evil': the name leads out of the archive"),
    "a NUL behind a PAX path": (image(pax({"path": "rootfs/x\0"}), member("rootfs/y")),
                                r"'rootfs/x\x00': the name has a NUL"),
    "two names": (image(long_name("rootfs/a"), pax({"path": "rootfs/b"}), member("rootfs/c")),
                  "a member after rootfs has two different long names"),

    # Links that leave it.
    "absolute hard link": (image(hard_link("rootfs/x", "/etc/passwd")),
                           "rootfs/x: hard link to /etc/passwd: the name is absolute"),
    "hard link with dots": (image(hard_link("rootfs/x", "../outside/secret")),
                            "rootfs/x: hard link to ../outside/secret: the name leads out of the archive"),
    "hard link relative to itself": (image(hard_link("rootfs/x", f"rootfs/{OUT}/secret")),
                                     f"rootfs/x: hard link to rootfs/{OUT}/secret: the name leads out of the archive"),
    "hard link with dots in a PAX record": (
        image(member("rootfs/y"), pax({"linkpath": "../outside/secret"}), hard_link("rootfs/x", "rootfs/y")),
        "rootfs/x: hard link to ../outside/secret: the name leads out of the archive"),
    "hard link with dots in a long link": (
        image(member("rootfs/y"), long_name("../outside/secret", b"K"), hard_link("rootfs/x", "rootfs/y")),
        "rootfs/x: hard link to ../outside/secret: the name leads out of the archive"),
    "hard link through a symlink": (
        image(symlink("rootfs/s", OUT), hard_link("rootfs/x", "rootfs/s/secret")),
        "rootfs/x: hard link to rootfs/s/secret, which did not come before"),
    "hard link to what an earlier member did not make": (
        image(hard_link("rootfs/x", "rootfs/etc/shadow")),
        "rootfs/x: hard link to rootfs/etc/shadow, which did not come before"),
    "hard link to itself": (image(hard_link("rootfs/x", "rootfs/x")),
                            "rootfs/x: hard link to rootfs/x, which did not come before"),
    "hard link to a directory": (image(directory("rootfs/d"), hard_link("rootfs/x", "rootfs/d")),
                                 "rootfs/x: hard link to rootfs/d, which is a directory"),
    "hard link to the manifest": (
        tar(directory("rootfs"), member("manifest", data=MANIFEST), hard_link("rootfs/x", "manifest")),
        "rootfs/x: hard link to manifest, which is not in the rootfs"),

    # Written through a symlink.
    "symlink, then a file behind it": (image(symlink("rootfs/s", OUT), member("rootfs/s/evil", data=EVIL)),
                                       f"rootfs/s/evil: {NO_DIRECTORY}"),
    "absolute symlink, then a file behind it": (
        image(symlink("rootfs/s", "/tmp"), member("rootfs/s/evil", data=EVIL)), f"rootfs/s/evil: {NO_DIRECTORY}"),
    "magic link, then a file behind it": (
        image(symlink("rootfs/s", "/proc/self/cwd"), member("rootfs/s/evil", data=EVIL)),
        f"rootfs/s/evil: {NO_DIRECTORY}"),
    "symlink that stays inside, then a file behind it": (
        image(directory("rootfs/d"), symlink("rootfs/s", "d"), member("rootfs/s/evil", data=EVIL)),
        f"rootfs/s/evil: {NO_DIRECTORY}"),
    "symlink, then a directory behind it": (image(symlink("rootfs/s", OUT), directory("rootfs/s/evil")),
                                            f"rootfs/s/evil: {NO_DIRECTORY}"),
    "symlink, then directories behind it that no member describes": (
        image(symlink("rootfs/s", OUT), member("rootfs/s/a/b/evil")), f"rootfs/s/a/b/evil: {NO_DIRECTORY}"),
    "symlink, then a symlink behind it": (image(symlink("rootfs/s", OUT), symlink("rootfs/s/evil", "x")),
                                          f"rootfs/s/evil: {NO_DIRECTORY}"),
    "symlink, then a fifo behind it": (image(symlink("rootfs/s", OUT), member("rootfs/s/evil", tars.FIFO)),
                                       f"rootfs/s/evil: {NO_DIRECTORY}"),
    "symlink, then a hard link behind it": (
        image(member("rootfs/f", data=EVIL), symlink("rootfs/s", OUT), hard_link("rootfs/s/evil", "rootfs/f")),
        f"rootfs/s/evil: {NO_DIRECTORY}"),
    "two symlinks, each harmless": (
        image(symlink("rootfs/here", "."), symlink("rootfs/up", "here/.."), member("rootfs/up/evil")),
        f"rootfs/up/evil: {NO_DIRECTORY}"),
    "hard link to a symlink, then a file behind it": (
        image(symlink("rootfs/s", OUT), hard_link("rootfs/h", "rootfs/s"), member("rootfs/h/evil")),
        f"rootfs/h/evil: {NO_DIRECTORY}"),
    "file, then a file behind it": (image(member("rootfs/f"), member("rootfs/f/evil")),
                                    f"rootfs/f/evil: {NO_DIRECTORY}"),
    "fifo, then a file behind it": (image(member("rootfs/f", tars.FIFO), member("rootfs/f/evil")),
                                    f"rootfs/f/evil: {NO_DIRECTORY}"),

    # Types that swap.
    "symlink, then a file in its place": (
        image(symlink("rootfs/s", OUT + "/secret"), member("rootfs/s", data=EVIL)), "rootfs/s: comes twice"),
    "symlink, then a directory in its place": (
        image(symlink("rootfs/s", OUT), directory("rootfs/s/", mode=0o777)), "rootfs/s: comes twice"),
    "directory, then a symlink in its place": (
        image(directory("rootfs/d"), symlink("rootfs/d", OUT), member("rootfs/d/evil")), "rootfs/d: comes twice"),
    "directory that no member describes, then a symlink in its place": (
        image(member("rootfs/d/f"), symlink("rootfs/d", OUT), member("rootfs/d/evil")),
        "rootfs/d: something else is there already"),
    "file, then a hard link in its place": (
        image(member("rootfs/a"), member("rootfs/b"), hard_link("rootfs/a", "rootfs/b")), "rootfs/a: comes twice"),
    "the same in another spelling": (
        image(symlink("rootfs/s", OUT + "/secret"), member("./rootfs/x/..//s", data=EVIL)), "rootfs/s: comes twice"),
    "the rootfs a symlink": (
        tar(symlink("rootfs", "../outside"), member("rootfs/evil"), member("manifest", data=MANIFEST)),
        "rootfs is no directory"),
    "the rootfs a symlink, later": (
        tar(member("rootfs/f"), symlink("rootfs", "../outside"), member("manifest", data=MANIFEST)),
        "rootfs is no directory"),
    "the manifest a symlink": (tar(directory("rootfs"), symlink("manifest", "../outside/secret")),
                               "manifest is no regular file"),

    # Numbers.
    "negative size": (image(header("rootfs/f", size=tars.base256(-512, 12))),
                      f"rootfs/f: its size of -512 bytes is not from 0 to {Limits().size_bytes}"),
    "size beyond 64 bits": (image(header("rootfs/f", size=tars.base256(1 << 80, 12))),
                            f"rootfs/f: its size of {1 << 80} bytes is not from 0 to {Limits().size_bytes}"),
    "owner that means unchanged": (image(member("rootfs/f", uid=tars.base256(0xFFFFFFFF, 8))),
                                   "rootfs/f: its owner 4294967295:0 is out of range"),
    "sparse parts outside the file": (
        image(pax({"GNU.sparse.size": "4", "GNU.sparse.map": f"{1 << 63},4"}), member("rootfs/f", data=EVIL)),
        "rootfs/f: sparse parts overlap or lie outside the file"),
    "sparse file larger than all disks": (
        image(pax({"GNU.sparse.size": str(1 << 62), "GNU.sparse.map": ""}), member("rootfs/f")),
        f"rootfs/f: {1 << 62} bytes, more than {1 << 44}"),
    "length of a PAX record": (image(pax(b"99999999999999999999999 path=x\n"), member("rootfs/f")),
                               "a PAX header after rootfs is broken at byte 0"),
    "PAX records that stand still": (image(pax(b"0 path=x\n"), member("rootfs/f")),
                                     "a PAX header after rootfs is broken at byte 0"),
}

LIMITED: dict[str, tuple[bytes, Limits, str]] = {
    "long PAX name": (image(pax({"path": "rootfs/" + "n/" * 3000}), member("x")), Limits(),
                      f"rootfs/{'n/' * 56}n…{'/n' * 30}: the name is too long"),
    "long part of a name": (image(pax({"path": "rootfs/" + "n" * 256}), member("x")), Limits(),
                            f"rootfs/{'n' * 113}…{'n' * 60}: the name is too long"),
    "long symlink": (image(pax({"linkpath": "t" * 4096}), symlink("rootfs/s", "x")), Limits(),
                     "rootfs/s: the target of the symlink is empty, too long or has a NUL"),
    "deep": (image(member("rootfs/" + "d/" * 20 + "f")), Limits(depth=20),
             f"rootfs/{'d/' * 20}f: more than 20 directories deep"),
    "large PAX header": (image(pax({"SCHILY.xattr.user.a": b"x" * 3000}), member("rootfs/f")),
                         Limits(header_bytes=2048),
                         "an extended header after rootfs has 3026 bytes, more than 2048"),
    "large PAX header, by default": (image(pax({"comment": b"x" * (1 << 20)}), member("rootfs/f")), Limits(),
                                     "an extended header after rootfs has 1048593 bytes, more than 1048576"),
    "PAX headers without end": (image(*[pax({"comment": "x"})] * 20, member("rootfs/f")), Limits(),
                                "more than 16 extended headers in a row after rootfs"),
    "members": (image(*[member(f"rootfs/{number}") for number in range(100)]), Limits(entries=50),
                "rootfs/49: the archive has more than 50 members"),
    "names": (image(*[member(f"rootfs/{number:050}") for number in range(100)]), Limits(names_bytes=1000),
              f"rootfs/{17:050}: the names of the archive take more than 1000 bytes"),
    "bytes of one file": (image(member("rootfs/f", data=bytes(5000))), Limits(file_bytes=4000),
                          "rootfs/f: 5000 bytes, more than 4000"),
    "bytes of the archive": (image(*[member(f"rootfs/{number}", data=bytes(5000)) for number in range(9)]),
                             Limits(size_bytes=20_000), "the archive has more than 20000 bytes"),
    "manifest": (image(), Limits(manifest_bytes=9), f"manifest: {len(MANIFEST)} bytes, more than 9"),
}


@pytest.fixture
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory with `dest`, to unpack into, and `outside`, which has to stay as it is."""
    top = tmp_path_factory.mktemp("w")   # a short name: PATH_MAX counts here
    (top / "outside").mkdir(mode=0o755)
    (top / "outside/secret").write_text("secret")
    for name in ("outside/secret", "outside"):
        os.utime(top / name, (1000, 1000))
    (top / "dest").mkdir()
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    yield top
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def is_untouched(world: Path) -> bool:
    """Whether nothing happened outside, and nothing inside is what lies outside."""
    outside, secret = world / "outside", world / "outside/secret"
    info = secret.stat()
    return (sorted(os.listdir(world)) == ["dest", "image", "outside"] and os.listdir(outside) == ["secret"]
            and secret.read_text() == "secret" and info.st_nlink == 1
            and [(stat.S_IMODE(one.st_mode), one.st_mtime) for one in (info, outside.stat())] == [
                (stat.S_IMODE(info.st_mode), 1000), (0o755, 1000)])


def refusal(world: Path, data: bytes, limits: Limits) -> str:
    (world / "image").write_bytes(data)
    source, dest = os.open(world / "image", os.O_RDONLY), os.open(world / "dest", os.O_RDONLY)
    try:
        with pytest.raises(ArchiveError) as caught:
            reader.read(source, unpack_into=dest, limits=limits)
    finally:
        os.close(source)
        os.close(dest)
    return str(caught.value)


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_nothing_happens_outside(world: Path, case: str) -> None:
    data, message = CASES[case]
    assert refusal(world, data, Limits()) == message
    assert is_untouched(world)


@pytest.mark.parametrize("case", LIMITED)
def test_more_than_its_share_is_refused(world: Path, case: str) -> None:
    data, limits, message = LIMITED[case]
    assert refusal(world, data, limits) == message
    assert is_untouched(world)


# --- attacks on the data filter ---------------------------------------------------------------------


def beyond_path_max(world: Path) -> bytes:
    """CVE-2025-4517, CVE-2025-4138: os.path.realpath takes what is beyond PATH_MAX for no link.

    Directories with long names inside each other, beside each a symlink with a short name to it. In the innermost one,
    reached through the short names, lies a symlink back to the top; the kernel follows it, realpath does not.
    """
    steps = string.ascii_lowercase[:16]
    part = "d" * ((4000 - len(str(world / "dest/rootfs"))) // len(steps) - 1)
    members, path = [], "rootfs"
    for step in steps:
        members += [pax({"path": f"{path}/{part}"}), directory("x"),
                    pax({"path": f"{path}/{step}", "linkpath": part}), symlink("x", "x")]
        path += f"/{part}"
    last = f"{'/'.join(steps)}/{'l' * 254}"
    return image(
        *members, pax({"path": f"rootfs/{last}"}), symlink("x", "../" * len(steps)),
        pax({"linkpath": f"{last}/{OUT}"}), symlink("rootfs/escape", "x"), member("rootfs/escape/evil", data=EVIL))


def hard_link_fallback(_world: Path) -> bytes:
    """CVE-2025-4330: for a hard link to what is not there the member is made again elsewhere, unchecked.

    The symlink is harmless where it lies (`rootfs/../outside`, which is not there); a directory higher it leads out.
    """
    return image(directory("rootfs/a"), symlink("rootfs/a/s", OUT), hard_link("rootfs/s", "rootfs/a/s"),
                 directory("rootfs/b"), symlink("rootfs/c", "b"), directory("rootfs/c", mode=0o777),
                 hard_link("rootfs/c", "rootfs/a/s"))


def metadata_outside(_world: Path) -> bytes:
    """CVE-2024-12718: modes and times of directories are set at the end, through what has become a symlink by then."""
    return image(directory("rootfs/a"), symlink("rootfs/a/s", OUT), directory("rootfs/b"), symlink("rootfs/c", "b"),
                 directory("rootfs/c", mode=0o777, mtime=5), hard_link("rootfs/c", "rootfs/a/s"))


def link_left_behind(_world: Path) -> bytes:
    """CVE-2025-4138 by way of a hard link: a symlink that leads out stays behind in the tree."""
    return image(directory("rootfs/a"), symlink("rootfs/a/s", OUT), hard_link("rootfs/s", "rootfs/a/s"),
                 member("rootfs/s/evil"))


ATTACKS: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "CVE-2025-4517": (beyond_path_max, f"rootfs/{'/'.join(string.ascii_lowercase[:16])}/"),
    "CVE-2025-4330": (hard_link_fallback, "rootfs/c: comes twice"),
    "CVE-2024-12718": (metadata_outside, "rootfs/c: comes twice"),
    "CVE-2025-4138": (link_left_behind, f"rootfs/s/evil: {NO_DIRECTORY}"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attacks_on_the_data_filter_are_refused(world: Path, attack: str) -> None:
    make, message = ATTACKS[attack]
    found = refusal(world, make(world), Limits())
    assert found.startswith(message)
    assert found.endswith((NO_DIRECTORY, "comes twice"))
    assert is_untouched(world)


def extract_as_with_the_data_filter(data: bytes, dest: str) -> None:
    """tarfile, with the checks that its data filter made until Python 3.13.3.

    Python 3.11.2 has no such filter, later ones have a repaired one: hence here.
    """
    top = os.path.realpath(dest)

    def is_inside(*path: str) -> bool:
        return os.path.commonpath([os.path.realpath(os.path.join(top, *path)), top]) == top

    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        def checked() -> Iterator[tarfile.TarInfo]:
            for info in archive:
                info.uid, info.gid = os.getuid(), os.getgid()
                assert not os.path.isabs(info.name)
                assert is_inside(info.name), info.name
                if info.issym():
                    assert is_inside(os.path.dirname(info.name), info.linkname), info.name
                elif info.islnk():
                    assert is_inside(info.linkname), info.name
                yield info

        options = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
        archive.extractall(top, members=checked(), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("attack", ATTACKS)
def test_these_are_attacks_on_the_data_filter(world: Path, attack: str) -> None:
    make, _ = ATTACKS[attack]
    data = make(world)
    (world / "image").write_bytes(data)
    try:
        extract_as_with_the_data_filter(data, str(world / "dest"))
    except AssertionError:
        assert attack == "CVE-2025-4138"   # the link is there when the filter notices
    if attack in ("CVE-2025-4517", "CVE-2024-12718"):
        assert not is_untouched(world)
    if attack == "CVE-2025-4517":
        assert (world / "outside/evil").read_bytes() == EVIL
    elif attack == "CVE-2024-12718":
        assert ((world / "outside").stat().st_mode & 0o777, (world / "outside").stat().st_mtime) == (0o777, 5)
    else:
        assert (world / "dest/rootfs/s").resolve() == (world / "outside").resolve()


# --- what looks malicious and is not ----------------------------------------------------------------


def test_symlinks_may_lead_anywhere(world: Path) -> None:
    """They are followed in the pod, whose root bounds them."""
    targets = ["/", "..", "../../../../etc/shadow", "/proc/self/root", "//x/../..", OUT, "a" * 4095, "."]
    (world / "image").write_bytes(image(*[
        pax({"linkpath": target}) + symlink(f"rootfs/{number}", "x") for number, target in enumerate(targets)]))
    with open(world / "image", "rb") as file:
        dest = os.open(world / "dest", os.O_RDONLY)
        reader.read(file.fileno(), unpack_into=dest)
        os.close(dest)
    assert [os.readlink(world / "dest/rootfs" / str(number)) for number in range(len(targets))] == targets
    assert is_untouched(world)


def test_a_size_in_a_pax_record_hides_no_members(world: Path) -> None:
    """Readers that skip by the header's size see other members than those that skip by the record's."""
    hidden = member("rootfs/hidden", data=EVIL)
    data = image(pax({"size": str(len(hidden))}), header("rootfs/f", size=0) + hidden, member("rootfs/g"))
    (world / "image").write_bytes(data)
    with open(world / "image", "rb") as file:
        dest = os.open(world / "dest", os.O_RDONLY)
        reader.read(file.fileno(), unpack_into=dest)
        os.close(dest)
    assert sorted(os.listdir(world / "dest/rootfs")) == ["f", "g"]
    assert (world / "dest/rootfs/f").read_bytes() == hidden


@pytest.mark.skipif(os.geteuid() != 0, reason="sets attributes of the overlay")
def test_attributes_of_overlays_are_left_away(world: Path) -> None:
    """They would redirect or hide names in the overlay that the tree becomes a layer of."""
    (world / "image").write_bytes(image(
        pax({"SCHILY.xattr.trusted.overlay.redirect": "/etc", "SCHILY.xattr.trusted.overlay.opaque": "y",
             "SCHILY.xattr.user.overlay.metacopy": ""}), directory("rootfs/d")))
    with open(world / "image", "rb") as file:
        dest = os.open(world / "dest", os.O_RDONLY)
        reader.read(file.fileno(), unpack_into=dest)
        os.close(dest)
    assert os.listxattr(world / "dest/rootfs/d") == []


def test_a_device_is_not_opened(world: Path) -> None:
    """A fifo or device in the place of a file is never written to: each member is made anew."""
    data = image(member("rootfs/f", tars.FIFO), member("rootfs/f", data=EVIL))
    assert refusal(world, data, Limits()) == "rootfs/f: comes twice"
    assert is_untouched(world)
