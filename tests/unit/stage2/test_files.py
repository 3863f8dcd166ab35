"""Files that are written whole or not at all."""
from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stage2 import files


def test_replace_makes_a_file_with_its_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.replace(tmp_path / "plain", "tëxt")
        files.replace(tmp_path / "secret", b"\0\xff", 0o600)
        files.replace(tmp_path / "open", b"", 0o666, sync=True)
    finally:
        os.umask(before)
    assert {path.name: (path.read_bytes(), path.stat().st_mode & 0o7777) for path in tmp_path.iterdir()} == {
        "plain": ("tëxt".encode(), 0o644), "secret": (b"\0\xff", 0o600), "open": (b"", 0o666)}


def test_replace_leaves_the_old_content_to_who_has_it_open(tmp_path: Path) -> None:
    target = tmp_path / "file"
    files.replace(target, "old")
    with open(target) as reader:
        files.replace(target, "new")
        assert reader.read() == "old"
    assert target.read_text() == "new"


def test_replace_takes_the_place_of_a_link_and_leaves_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to("target")
    files.replace(tmp_path / "link", "new")
    assert not (tmp_path / "link").is_symlink()
    assert ((tmp_path / "link").read_text(), (tmp_path / "target").read_text()) == ("new", "kept")


def test_replace_does_not_write_through_a_link_laid_at_its_temporary_name(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / f".file.{os.getpid()}.new").symlink_to("victim")
    with pytest.raises(OSError) as caught:
        files.replace(tmp_path / "file", "new")
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "victim").read_text() == "kept"
    assert not (tmp_path / "file").exists()


def test_a_failed_replace_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError) as caught:
        files.replace(target, "new")
    assert caught.value.errno == errno.ENOSPC
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_replace_of_a_directory_fails_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        files.replace(tmp_path / "directory", "x")
    assert os.listdir(tmp_path) == ["directory"]


def test_replace_wants_the_directory_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        files.replace(tmp_path / "none" / "file", "x")
    assert caught.value.filename == str(tmp_path / "none" / f".file.{os.getpid()}.new")


def test_replace_by_a_relative_name_with_sync(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    files.replace("file", "x", sync=True)
    assert (tmp_path / "file").read_text() == "x"


def test_replace_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    files.replace(tmp_path / "file", "x", sync=True)
    files.read(tmp_path / "file")
    assert os.listdir("/proc/self/fd") == before


def test_write_all_goes_on_after_short_writes(monkeypatch) -> None:
    written: list[bytes] = []

    def short(fd: int, data: memoryview) -> int:
        written.append(bytes(data[:3]))
        return min(3, len(data))

    monkeypatch.setattr(os, "write", short)
    files.write_all(9, b"12345678")
    assert written == [b"123", b"456", b"78"]


def test_read_stops_beyond_the_limit(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"12345")
    assert files.read(target, 5) == b"12345"
    with pytest.raises(OSError) as caught:
        files.read(target, 4)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(target))


def test_read_takes_more_than_one_read(tmp_path: Path) -> None:
    data = os.urandom(200_000)
    (tmp_path / "file").write_bytes(data)
    assert files.read(tmp_path / "file") == data


def test_an_endless_file_is_not_read_to_memory() -> None:
    with pytest.raises(OSError) as caught:
        files.read("/dev/zero", 1 << 20)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, "/dev/zero")


def test_append_adds_to_a_file_and_makes_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("1\n")
    files.append(tmp_path / "file", "2\n")
    assert (tmp_path / "file").read_text() == "1\n2\n"
    with pytest.raises(FileNotFoundError):
        files.append(tmp_path / "none", "x")
    assert not (tmp_path / "none").exists()
