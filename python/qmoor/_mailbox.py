"""The mailbox of each event loop, where answers for asyncio arrive."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from weakref import WeakKeyDictionary

from . import _native

__all__ = ["Post", "answer"]

Post = tuple[_native.Mailbox, "asyncio.Future[_native.Stream]"]

# Of each loop, with the process it was made in: what a fork left behind is another process's.
_mailboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[int, _native.Mailbox]] = WeakKeyDictionary()


async def answer(ask: Callable[[Post], int]) -> _native.Stream:
    """Asks, and waits for the answer; gives it up when cancelled."""
    loop = asyncio.get_running_loop()
    mailbox = _of(loop)
    future: asyncio.Future[_native.Stream] = loop.create_future()
    number = ask((mailbox, future))
    try:
        return await future
    except asyncio.CancelledError:
        mailbox.cancel(number)
        raise


def _of(loop: asyncio.AbstractEventLoop) -> _native.Mailbox:
    found = _mailboxes.get(loop)
    if found is not None and found[0] == os.getpid():
        return found[1]
    mailbox = _native.Mailbox()
    loop.add_reader(mailbox.fileno(), mailbox.deliver)
    _mailboxes[loop] = (os.getpid(), mailbox)
    return mailbox
