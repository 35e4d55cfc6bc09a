"""Waiting for something to become true: the only way in which this suite spends time."""

import time


def wait_until(condition, timeout=10.0, what="the condition to hold", every=0.01):
    """Calls `condition` until its result is true, and returns that result.

    An AssertionError from `condition` counts as "not yet", so that a check written with `assert` can be waited for.
    `what` may be a function that says at the end what was there instead.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            seen = condition()
        except AssertionError as refusal:
            seen, refused = None, refusal
        else:
            refused = None
        if seen:
            return seen
        if time.monotonic() >= deadline:
            what = what() if callable(what) else what
            raise AssertionError(f"waited {timeout:g} s for {what}; last seen: {refused or repr(seen)}")
        time.sleep(every)


def stays(condition, seconds, what, every=0.02):
    """Asserts that `condition` is true now and during the next `seconds`: for what must *not* happen."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"{what} did not last {seconds:g} s"
        time.sleep(every)


def settled(read, quiet=0.3, timeout=15.0, what="a value to settle"):
    """Waits until `read()` has returned the same value for `quiet` seconds, and returns it."""
    deadline = time.monotonic() + timeout
    value, since = read(), time.monotonic()
    while time.monotonic() - since < quiet:
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout:g} s for {what}; it still moves: {value!r}")
        time.sleep(0.02)
        now = read()
        if now != value:
            value, since = now, time.monotonic()
    return value
