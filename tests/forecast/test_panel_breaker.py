"""A provider that keeps failing is left alone, then tried with one call."""

import time

from forecast.breaker import Breaker

LONG = 3_600.0


def test_failures_one_after_the_other_bring_a_rest() -> None:
    breaker = Breaker(2, LONG)

    assert breaker.admit()
    breaker.failed()
    assert breaker.admit()
    breaker.failed()

    assert not breaker.admit()


def test_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(2, LONG)
    breaker.failed()
    breaker.succeeded()
    breaker.failed()

    assert breaker.admit()


def test_after_the_rest_one_call_decides() -> None:
    breaker = Breaker(1, 0.01)
    breaker.failed()
    until = time.monotonic() + 5
    while not breaker.admit():
        assert time.monotonic() < until

    assert not breaker.admit()
    breaker.withdrew()
    assert breaker.admit()
    breaker.succeeded()
    assert breaker.admit()
    assert breaker.admit()
