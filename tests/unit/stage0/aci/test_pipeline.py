"""Threads that hand items on: order, waiting, ends, failures."""
from __future__ import annotations

import threading
import time

import pytest

from stage0.aci.pipeline import Channel, Crew


@pytest.fixture(autouse=True)
def no_thread_is_left() -> object:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_arrive_in_order_and_the_giver_waits_for_room() -> None:
    most = 0
    with Crew() as crew:
        numbers: Channel[int] = crew.channel(3)
        given = 0

        def give() -> None:
            nonlocal given
            for number in range(100):
                numbers.put(number)
                given = number + 1
            numbers.end()

        crew.start(give)
        taken = []
        for number in numbers:
            most = max(most, given - len(taken))
            taken.append(number)
        crew.wait()
    assert taken == list(range(100))
    assert most <= 5   # three in the channel, the one just taken, and one being given


def test_the_first_failure_ends_all_and_is_raised() -> None:
    def fail() -> None:
        time.sleep(0.01)
        raise ValueError("first")

    def wait_for_ever() -> None:
        for _ in crew.channel(1):
            pass

    with pytest.raises(ValueError, match="^first$"), Crew() as crew:
        full: Channel[int] = crew.channel(1)
        crew.start(fail)
        crew.start(wait_for_ever)
        crew.start(lambda: [full.put(number) for number in range(9)])  # type: ignore[arg-type, return-value]
        for _ in crew.channel(1):
            pass


def test_a_failure_while_all_are_waited_for_is_raised() -> None:
    def fail() -> None:
        raise ValueError("late")

    with pytest.raises(ValueError, match="^late$"), Crew() as crew:
        crew.start(fail)
        crew.wait()


def test_a_failure_of_the_block_is_that_of_the_block() -> None:
    with pytest.raises(KeyError), Crew() as crew:
        numbers: Channel[int] = crew.channel(1)
        crew.start(lambda: [numbers.put(number) for number in range(9)])  # type: ignore[arg-type, return-value]
        raise KeyError


def test_a_failure_that_nobody_waited_for_is_raised_at_the_end() -> None:
    def fail() -> None:
        raise ValueError("unseen")

    with pytest.raises(ValueError, match="^unseen$"), Crew() as crew:
        crew.start(fail)
        time.sleep(0.05)
