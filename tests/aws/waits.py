"""Waiting with a deadline, and expecting errors of AWS."""

import threading
import time
from contextlib import contextmanager

from botocore.exceptions import ClientError

POLL_SECONDS = 0.05


def until(ready, what, seconds=30):
    """Polls until `ready` answers something true, and gives that back."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while True:
        answer = ready()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {what}"
        pause.wait(POLL_SECONDS)


@contextmanager
def refused(code, *parts):
    """The block must end in an error of AWS with this code, whose message has all the parts."""
    try:
        yield
    except ClientError as error:
        told = error.response["Error"]
        assert told["Code"] == code, told
        for part in parts:
            assert part in told["Message"], told
    else:
        raise AssertionError(f"not refused; expected {code}")
