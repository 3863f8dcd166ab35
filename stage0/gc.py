"""Garbage collection of pods: mark what ended, then delete what was marked long enough ago."""
from __future__ import annotations

import os
import time

from stage0 import entrypoints, faultpoints
from stage0 import pods as states
from stage0.pods import Pod, PodError, PodGone, Pods
from stage2 import errors
from stage2.errors import RktError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Tell = Callable[[str], None]


def mark(pods: Pods, note: Tell) -> None:
    """Move ended pods to exited-garbage, and what was never finished to garbage.

    The rename sets the time from which the grace period counts. Skips pods in other hands.
    """
    for directory, target in ((states.IN_RUN, states.IN_EXITED_GARBAGE), (states.IN_PREPARE, states.IN_GARBAGE),
                              (states.IN_EMBRYO, states.IN_GARBAGE)):
        for pod in pods.all((directory,)):
            with _present():
                if pod.directory == directory and pod.lock() and pod.directory == directory:
                    note(f'moving pod "{pod.uuid}" to garbage')
                    faultpoints.reach("gc-mark")
                    pod.move(target)
                    faultpoints.reach("gc-marked")


def expire(pods: Pods, age_s: float, note: Tell) -> None:
    """Move pods that were prepared longer ago than `age_s`, and never started, to garbage."""
    for pod in pods.all((states.IN_PREPARED,)):
        with _present():
            if _age_s(pod) >= age_s and pod.lock() and pod.directory == states.IN_PREPARED:
                note(f'moving expired prepared pod "{pod.uuid}" to garbage')
                pod.move(states.IN_GARBAGE)


def sweep(pods: Pods, grace_s: float, say: Tell, note: Tell) -> int:
    """Delete what was marked longer ago than `grace_s`, all that never ran, and names that lead nowhere.

    Returns the number of pods that could not be deleted; each is told.
    """
    failed = 0
    for pod in pods.all((states.IN_EXITED_GARBAGE, states.IN_GARBAGE)):
        with _present():
            if pod.directory == states.IN_EXITED_GARBAGE and _age_s(pod) < grace_s:
                continue
            if not pod.lock():
                continue
            faultpoints.reach("gc-locked")
            say(f'Garbage collecting pod "{pod.uuid}"')
            try:
                delete(pod, note)
            except (RktError, OSError) as err:
                note(f'pod "{pod.uuid}": {errors.line(err)}')
                failed += 1
    pods.release_names()
    return failed


def delete(pod: Pod, note: Tell) -> None:
    """Delete a pod that we hold the lock of, with all that it left elsewhere.

    Can be repeated after a failure or a crash: the pod then stands in exited-garbage or
    garbage. That stage1 could not clean up is told, and the pod deleted all the same.
    """
    if pod.directory == states.IN_RUN:
        pod.move(states.IN_EXITED_GARBAGE)
    try:
        status = entrypoints.gc(pod)
        if status:
            note(f'pod "{pod.uuid}": its clean-up failed with status {status}')
    except (RktError, OSError) as err:
        note(f'pod "{pod.uuid}": its clean-up failed: {errors.line(err)}')
    faultpoints.reach("gc-stage1-done")
    pod.remove()


def take(pod: Pod) -> None:
    """Lock a pod that is to be removed. Raises PodError if it is not one that can be."""
    state = pod.state
    if state in (states.RUNNING, states.PREPARING, states.EMBRYO):
        raise PodError(f'pod "{pod.uuid}" is {state}' + (" (rkt stop ends it)" if state == states.RUNNING else ""))
    if state in (states.DELETING, states.EXITED_DELETING):
        raise PodError(f'pod "{pod.uuid}" is being deleted by another process')
    if not pod.lock():
        raise PodError(f'pod "{pod.uuid}" is in the hands of another process')


class _present:
    """A block about a pod that another process may delete meanwhile: then nothing is left to do."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> bool:
        return kind is not None and issubclass(kind, PodGone)


def _age_s(pod: Pod) -> float:
    """Seconds since the pod directory was renamed to where it is."""
    return time.time() - os.fstat(pod.fd).st_ctime
