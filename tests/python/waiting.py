"""Waiting for something to come to be."""

import time

DEADLINE = 60.0
LOOK_EVERY = 0.05


def until(come, deadline=DEADLINE, said=lambda: "it never came"):
    """What `come` gives, once it gives anything. `said` is what a test that waited in vain has to tell."""
    end = time.monotonic() + deadline
    while not (found := come()):
        assert time.monotonic() < end, said()
        # What is asked says nothing by itself; asking without a pause takes a core from what is waited for.
        time.sleep(LOOK_EVERY)
    return found
