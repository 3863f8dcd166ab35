"""User and group of an app, looked up in a root that may be hostile."""
from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stage1 import users
from stage1.users import UserError
from stage2 import errors
from tests.lib.forked import needs_root

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
www:x:33:34::/:
short:x
broken:x:-5:0::/:
word:x:five:0::/:
1000:x:7:7::/:
twice:x:1:1::/:
twice:x:2:2::/:
largest:x:4294967294:0::/:
above:x:4294967295:0::/:
zeros:x:000000000000000000042:0::/:
endless:x:%s:0::/:
wörld:x:55:0::/:
""" % ("9" * 5000)
GROUP = "root:x:0:\nstaff:x:50:www,root\n"


class Image:
    """A rootfs with its databases."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "etc").mkdir()
        self.passwd, self.group = path / "etc/passwd", path / "etc/group"
        self.passwd.write_text(PASSWD)
        self.group.write_text(GROUP)
        self.fd = os.open(path, os.O_PATH)


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    (tmp_path / "rootfs").mkdir()
    made = Image(tmp_path / "rootfs")
    yield made
    os.close(made.fd)


@pytest.mark.parametrize("text, uid", [
    ("root", 0), ("www", 33), ("0", 0), ("123", 123), ("007", 7), ("4294967294", 4294967294),
    ("1000", 7),          # a name of digits counts before the number
    ("twice", 1), ("largest", 4294967294), ("zeros", 42), ("wörld", 55),
])
def test_a_user_by_name_and_number(image: Image, text: str, uid: int) -> None:
    assert users.uid(image.fd, text) == uid


@pytest.mark.parametrize("text, gid", [("root", 0), ("staff", 50), ("33", 33), ("", 0)])
def test_a_group_by_name_and_number(image: Image, text: str, gid: int) -> None:
    assert users.gid(image.fd, text) == gid


@pytest.mark.parametrize("text, message", [
    ("nobody", "user nobody: not in /etc/passwd of the image"),
    ("short", "user short: not in /etc/passwd of the image"),
    ("broken", "user broken: not in /etc/passwd of the image"),
    ("word", "user word: not in /etc/passwd of the image"),
    ("", "user : not in /etc/passwd of the image"),
    ("-1", "user -1: not in /etc/passwd of the image"),
    ("٣", "user ٣: not in /etc/passwd of the image"),
    ("above", "user above: 4294967295 is above 4294967294"),
    ("4294967295", "user 4294967295: 4294967295 is above 4294967294"),
    ("endless", f"user endless: {'9' * 20} is above 4294967294"),
])
def test_a_user_that_is_not_to_be_had(image: Image, text: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        users.uid(image.fd, text)
    assert str(caught.value) == message


def test_a_group_that_is_not_there(image: Image) -> None:
    with pytest.raises(UserError) as caught:
        users.gid(image.fd, "www")
    assert str(caught.value) == "group www: not in /etc/group of the image"


@needs_root
def test_a_path_stands_for_its_owner(image: Image) -> None:
    (image.path / "data").write_text("")
    os.chown(image.path / "data", 1234, 5678)
    assert users.uid(image.fd, "/data") == 1234
    assert users.gid(image.fd, "/data") == 5678


@needs_root
def test_a_path_is_resolved_inside_the_image(image: Image) -> None:
    (image.path.parent / "outside").mkdir()
    os.chown(image.path.parent / "outside", 99, 99)
    (image.path / "outside").mkdir()
    os.chown(image.path / "outside", 7, 8)
    (image.path / "link").symlink_to("../outside")
    assert (users.uid(image.fd, "/link"), users.gid(image.fd, "/../../outside")) == (7, 8)


def test_a_path_that_is_not_there(image: Image) -> None:
    with pytest.raises(UserError) as caught:
        users.gid(image.fd, "/none/x")
    assert errors.line(caught.value) == "group /none/x: owner of that path: /none/x: no such file or directory"


def replaced(image: Image, how: str) -> None:
    image.passwd.unlink()
    if how == "directory":
        image.passwd.mkdir()
    elif how == "fifo":
        os.mkfifo(image.passwd)
    elif how == "loop":
        image.passwd.symlink_to("passwd")
    elif how == "host":
        (image.path.parent / "passwd").write_text("www:x:1:1::/:\n")
        image.passwd.symlink_to("../../passwd")
    elif how == "binary":
        image.passwd.write_bytes(os.urandom(4096).replace(b"www", b"") + b"\0" * 100)


@pytest.mark.parametrize("how", ["missing", "directory", "fifo", "loop", "host", "binary"])
def test_without_a_database_numbers_serve_and_names_fail(image: Image, how: str) -> None:
    replaced(image, how)
    assert users.uid(image.fd, "1001") == 1001
    with pytest.raises(UserError) as caught:
        users.uid(image.fd, "www")
    assert str(caught.value) == "user www: not in /etc/passwd of the image"


def test_a_database_may_be_a_link_inside_the_image(image: Image) -> None:
    (image.path / "usr").mkdir()
    image.passwd.rename(image.path / "usr/passwd")
    image.passwd.symlink_to("/usr/passwd")
    assert users.uid(image.fd, "www") == 33


def test_nothing_stays_open(image: Image) -> None:
    before = os.listdir("/proc/self/fd")
    users.uid(image.fd, "/etc")
    users.uid(image.fd, "www")
    replaced(image, "directory")
    users.uid(image.fd, "5")
    assert os.listdir("/proc/self/fd") == before
