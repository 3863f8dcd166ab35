"""Output of several apps on one stream."""
from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from stage2.output import Source, Stream


class Pipe:
    """A source with the pipe that an app writes to."""

    def __init__(self, stream: Stream, prefix: bytes) -> None:
        read, self.write_fd = os.pipe()
        self.source = Source(read, stream, prefix)

    def says(self, data: bytes) -> bool:
        os.write(self.write_fd, data)
        return self.source.read_some()

    def ends(self) -> bool:
        os.close(self.write_fd)
        self.write_fd = -1
        return self.source.read_some()

    def close(self) -> None:
        os.close(self.source.fd)
        if self.write_fd >= 0:
            os.close(self.write_fd)


@pytest.fixture
def stream() -> Stream:
    return Stream(-1)


@pytest.fixture
def web(stream: Stream) -> Iterator[Pipe]:
    pipe = Pipe(stream, b"web[2]: ")
    yield pipe
    pipe.close()


@pytest.fixture
def db(stream: Stream) -> Iterator[Pipe]:
    pipe = Pipe(stream, b"db[3]: ")
    yield pipe
    pipe.close()


@pytest.fixture
def raw(stream: Stream) -> Iterator[Pipe]:
    pipe = Pipe(stream, b"")
    yield pipe
    pipe.close()


def test_each_line_gets_the_prefix_of_its_app(web: Pipe, stream: Stream) -> None:
    assert web.says(b"one\n\ntwo\n") is True
    assert bytes(stream.waiting) == b"web[2]: one\nweb[2]: \nweb[2]: two\n"


def test_a_line_waits_for_its_end(web: Pipe, db: Pipe, stream: Stream) -> None:
    web.says(b"he")
    db.says(b"whole\n")
    assert bytes(stream.waiting) == b"db[3]: whole\n"
    web.says(b"llo\nrest")
    assert bytes(stream.waiting) == b"db[3]: whole\nweb[2]: hello\n"


def test_a_carriage_return_ends_no_line(web: Pipe, stream: Stream) -> None:
    web.says(b"10%\r20%\r\n\x0b\x0cx\n")
    assert bytes(stream.waiting) == b"web[2]: 10%\r20%\r\nweb[2]: \x0b\x0cx\n"


def test_a_last_line_without_an_end_gets_one(web: Pipe, stream: Stream) -> None:
    web.says(b"one\nlast")
    assert web.ends() is False
    assert bytes(stream.waiting) == b"web[2]: one\nweb[2]: last\n"


def test_the_end_after_a_whole_line_adds_nothing(web: Pipe, stream: Stream) -> None:
    web.says(b"one\n")
    assert web.ends() is False
    assert bytes(stream.waiting) == b"web[2]: one\n"


def test_without_a_prefix_lines_stay_whole_and_as_they_are(raw: Pipe, stream: Stream) -> None:
    raw.says(b"a\r\nb\nc")
    assert bytes(stream.waiting) == b"a\r\nb\n"
    assert raw.ends() is False
    assert bytes(stream.waiting) == b"a\r\nb\nc\n"


def test_a_line_that_does_not_end_is_handed_on_at_64_kibibytes(web: Pipe, stream: Stream) -> None:
    os.set_blocking(web.write_fd, False)
    sent = 0
    while sent < 1 << 16:
        sent += os.write(web.write_fd, b"x" * min(4096, (1 << 16) - sent))
        web.source.read_some()
    assert bytes(stream.waiting) == b"web[2]: " + b"x" * (1 << 16)


def test_a_stream_writes_what_was_waiting_in_pieces_that_do_not_block() -> None:
    read, write = os.pipe()
    stream = Stream(write)
    stream.waiting += b"a" * 5000
    stream.flush_some()
    assert os.read(read, 1 << 16) == b"a" * 4096
    assert len(stream.waiting) == 904
    stream.flush_some()
    assert os.read(read, 1 << 16) == b"a" * 904
    assert not stream.waiting
    os.close(read)
    os.close(write)


def test_what_nobody_reads_any_more_is_dropped() -> None:
    read, write = os.pipe()
    os.close(read)
    stream = Stream(write)
    stream.waiting += b"lost"
    stream.flush_some()  # EPIPE
    assert not stream.waiting
    os.close(write)
