"""When a signal is obeyed."""

import contextlib
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from pokerlab.console import run_command_of
from pokerlab.interrupts import check, interrupt, interruptible, listening

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def send(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def interrupt_itself(number: int = signal.SIGINT) -> None:
    send(number)
    pytest.fail("it came")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_a_place_where_it_is_obeyed(number: int) -> None:
    with listening():
        send(number)
        with pytest.raises(KeyboardInterrupt):
            check()
        check()  # it has been obeyed
        send(number)
        with pytest.raises(KeyboardInterrupt), interruptible():
            pytest.fail("it came before")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_in_an_interruptible_section_is_obeyed_at_once(number: int) -> None:
    with listening(), pytest.raises(KeyboardInterrupt), interruptible():
        interrupt_itself(number)


def test_a_signal_that_nothing_obeyed_ends_what_was_done() -> None:
    done: list[str] = []

    def work() -> None:
        send()
        done.append("all")

    with pytest.raises(KeyboardInterrupt), listening():
        work()
    assert done == ["all"]


def test_a_signal_interrupts_once() -> None:
    with listening(), interruptible():
        try:
            send()
            pytest.fail("it came")
        except KeyboardInterrupt:
            send()  # what follows must finish
    check()


class WithDestructor:
    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then

    def __del__(self) -> None:
        self._then()


def test_a_signal_in_a_destructor_is_not_lost() -> None:
    with listening(), pytest.raises(KeyboardInterrupt), interruptible():
        WithDestructor(send)


def test_a_signal_in_the_callback_of_a_weak_reference_is_not_lost() -> None:
    kept, key = weakref.WeakKeyDictionary[WithDestructor, WithDestructor](), WithDestructor(lambda: None)
    kept[key] = WithDestructor(send)
    with listening(), pytest.raises(KeyboardInterrupt), interruptible():
        del key


def test_a_signal_that_comes_again_after_a_while_is_obeyed_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pokerlab.interrupts.PATIENCE", 0.2)
    with listening():
        send()
        send()
        time.sleep(0.2)
        with pytest.raises(KeyboardInterrupt):
            send()


def test_signals_that_mean_something_else_are_not_heard() -> None:
    with listening(lambda: False), interruptible():
        send()
    check()


def test_handlers_are_as_they_were_before() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with listening():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


@contextlib.contextmanager
def ignoring(number: int) -> Iterator[None]:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_was_ignored_stays_so(number: int) -> None:
    with ignoring(number), listening(), interruptible():
        send(number)


def be_interrupted() -> None:
    threading.Thread(target=interrupt).start()
    time.sleep(10)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_ignored_keeps_no_limit_from_ending_what_is_done(number: int) -> None:
    with ignoring(number), listening(), pytest.raises(KeyboardInterrupt), interruptible():
        be_interrupted()


def test_nothing_is_interrupted_where_nothing_listens() -> None:
    interrupt()


def test_a_command_whose_module_is_imported_ignores_what_was_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(_: str) -> SimpleNamespace:
        send()
        return SimpleNamespace(run=lambda: 3)

    monkeypatch.setattr("sys.argv", [])
    monkeypatch.setattr("importlib.import_module", imported)
    with ignoring(signal.SIGINT):
        assert run_command_of("solve", []) == 3


def test_a_function_can_be_interruptible() -> None:
    for _ in range(2):
        with listening(), pytest.raises(KeyboardInterrupt):
            interruptible()(interrupt_itself)()
