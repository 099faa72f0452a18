"""What is made ahead is the same, and an item ahead only."""

import threading
import time
from collections.abc import Iterator

import pytest

from pokerlab.ahead import one_ahead


def test_the_next_item_is_made_while_one_is_used() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(4):
            assert threading.current_thread() is not threading.main_thread()
            made.append(number)
            yield number

    for number, item in enumerate(one_ahead(items())):
        assert item == number
        end = time.monotonic() + 10
        while len(made) < min(number + 2, 4) and time.monotonic() < end:
            time.sleep(0.001)
        time.sleep(0.01)
        assert len(made) == min(number + 2, 4)
    assert made == [0, 1, 2, 3]


def test_what_making_an_item_raises_is_raised_after_those_before_it() -> None:
    items = one_ahead(1 // number for number in (1, 0))
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_nothing_gives_nothing_and_what_is_left_is_not_made() -> None:
    assert list(one_ahead(iter([]))) == []
    items = iter(range(10))
    some = one_ahead(items)
    assert next(some) == 0
    some.close()  # type: ignore[attr-defined]
    assert next(items) == 2
