"""Calls a function in a forked child, for what a process cannot undo: filters, identities, namespaces."""
from __future__ import annotations

import os
import pickle
import signal
import traceback
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def forked(call: Callable[[], T]) -> T:
    """What the call returns; an exception of it fails the test with its traceback, so does a signal."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = (True, call())
        except BaseException:
            answer = (False, traceback.format_exc())
        os.write(write, pickle.dumps(answer))
        os._exit(0)
    os.close(write)
    with open(read, "rb") as opened:
        data = opened.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code >= 0, f"the child died of {signal.Signals(-code).name}"
    assert data, f"the child ended with status {code} and no answer"
    succeeded, value = pickle.loads(data)
    assert succeeded, value
    return value


def errno_of(call: Callable[[], object]) -> int:
    """The errno that a call fails with, 0 if it succeeds."""
    try:
        call()
    except OSError as err:
        return err.errno or 0
    return 0
