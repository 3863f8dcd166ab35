"""How a failure reads."""
from __future__ import annotations

import errno
from itertools import pairwise

import pytest

from stage2 import errors
from stage2.errors import RktError


class PodError(RktError):
    """A failure of a subject."""


def chained(*causes: BaseException) -> BaseException:
    """The first failure, caused by the second, and so on."""
    for outer, inner in pairwise(causes):
        outer.__cause__ = inner
    return causes[0]


@pytest.mark.parametrize("error, text", [
    (PodError("no such pod"), "no such pod"),
    (PodError(), "PodError"),
    (OSError(errno.ENOENT, "No such file or directory", "/a"), "/a: no such file or directory"),
    (OSError(errno.EXDEV, "Invalid cross-device link", "/a", None, "/b"), "/a -> /b: invalid cross-device link"),
    (OSError(errno.EPERM, "Operation not permitted"), "operation not permitted"),
    (OSError("odd"), "odd"),
    (KeyError("k"), "'k'"),
])
def test_one_failure(error: BaseException, text: str) -> None:
    assert errors.text(error) == text


def test_the_line_has_the_outermost_text_and_the_innermost_cause() -> None:
    error = chained(PodError("lock of pod 1"), PodError("in between"), OSError(errno.EACCES, "Permission denied", "/l"))
    assert errors.line(error) == "lock of pod 1: /l: permission denied"


def test_the_line_of_a_failure_without_a_cause_is_its_text() -> None:
    assert errors.line(PodError("no such pod")) == "no such pod"


def test_the_line_is_one_line() -> None:
    assert errors.line(chained(PodError("a\nb"), PodError("c\nd"))) == "a b: c d"


def test_the_tree_has_a_line_a_cause() -> None:
    error = chained(PodError("outer"), PodError("middle"), OSError(errno.ENOENT, "No such file or directory", "/x"))
    assert errors.tree(error) == "outer\n└─middle\n  └─/x: no such file or directory"
    assert errors.tree(PodError("alone")) == "alone"


def test_what_was_only_being_handled_is_no_cause() -> None:
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise PodError("second")  # noqa: B904
    except PodError as err:
        assert errors.line(err) == errors.tree(err) == "second"


def test_a_ring_of_causes_ends() -> None:
    first, second = PodError("first"), PodError("second")
    first.__cause__, second.__cause__ = second, first
    assert errors.chain(first) == [first, second]
    assert errors.line(first) == "first: second"
