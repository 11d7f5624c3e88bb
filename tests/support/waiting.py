"""Waiting for a condition: the only way a test waits."""

import time


def until(condition, what, seconds=40.0):
    """Return the first true answer of ``condition``; ``what`` is awaited, in words or told once it is too late."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.02)
    return answer
