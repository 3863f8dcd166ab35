"""Threads that hand chunks on to each other; the first failure stops them all."""
from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self

T = TypeVar("T")


class Stopped(BaseException):
    """Ends a thread because another one failed. Never seen outside."""


class Crew:
    """Threads at work for the block; none is left behind it. A failure of one of them is raised by the block."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.stopped = False
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []
        self._channels: list[Channel[object]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, _value: BaseException | None,
                 _trace: TracebackType | None) -> None:
        self._stop()
        for thread in self._threads:
            thread.join()
        if self._failure is not None and (kind is None or kind is Stopped):
            raise self._failure from self._failure.__cause__

    def channel(self, room: int) -> Channel[T]:
        """A channel that holds so many items before it makes their giver wait."""
        made: Channel[T] = Channel(self, room)
        self._channels.append(made)  # type: ignore[arg-type]
        return made

    def start(self, work: Callable[[], None]) -> None:
        """Run a function in a thread."""
        thread = threading.Thread(target=self._run, args=(work,), name=work.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Wait until all threads have done their work. Raises Stopped if one failed."""
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise Stopped

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Stopped:
            pass
        except BaseException as err:  # raised again where the block ends
            with self.lock:
                self._failure = self._failure or err
            self._stop()

    def _stop(self) -> None:
        with self.lock:
            self.stopped = True
            for channel in self._channels:
                channel.wake()


class Channel(Generic[T]):
    """Items from one thread to another, in order. Iterating ends when the giver called `end`."""

    def __init__(self, crew: Crew, room: int) -> None:
        self._crew = crew
        self._room = room
        self._items: deque[T] = deque()
        self._ended = False
        self._changed = threading.Condition(crew.lock)

    def put(self, item: T) -> None:
        """Hand an item over; waits for room."""
        with self._changed:
            while len(self._items) >= self._room and not self._crew.stopped:
                self._changed.wait()
            if self._crew.stopped:
                raise Stopped
            self._items.append(item)
            self._changed.notify()

    def end(self) -> None:
        """No more items come."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        with self._changed:
            while not self._items and not self._ended and not self._crew.stopped:
                self._changed.wait()
            if self._crew.stopped:
                raise Stopped
            if not self._items:
                raise StopIteration
            item = self._items.popleft()
            self._changed.notify()
            return item

    def wake(self) -> None:
        """Let whoever waits see that the crew was stopped."""
        self._changed.notify_all()
