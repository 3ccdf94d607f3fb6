"""What writers and searchers share: configuration that can be pickled, a connection that cannot."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from ._mailbox import Post, answer
from ._native import Stream
from .errors import Unauthorized
from .target import Target

Native = TypeVar("Native")
Result = TypeVar("Result")


class Connected(Generic[Native]):
    """Connects when first used, in the process that uses it, and again with a new key once the old one has ended."""

    _target: Target

    def __init__(self, target: Target) -> None:
        self._target = target
        self._set_up()

    def _set_up(self) -> None:
        self._lock = threading.Lock()
        self._connection: tuple[int, str | None, Native] | None = None

    def _connect(self, key: str | None) -> Native:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_lock", "_connection")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._set_up()

    def _native(self) -> Native:
        connection = self._connection
        if connection is not None and connection[0] == os.getpid():
            return connection[2]
        return self._reconnect(self._target.resolved_key())

    def _reconnect(self, key: str | None) -> Native:
        native = self._connect(key)
        self._connection = (os.getpid(), key, native)
        return native

    def _renewed(self) -> Native | None:
        """A connection with the key that is there now, if that is another than the one refused."""
        connection = self._connection
        key = self._target.resolved_key()
        if connection is None or key == connection[1]:
            return None
        return self._reconnect(key)

    def _call(self, action: Callable[[Native], Result]) -> Result:
        """Does it; once more if the key has been turned meanwhile."""
        try:
            return action(self._native())
        except Unauthorized:
            renewed = self._renewed()
            if renewed is None:
                raise
        return action(renewed)

    async def _acall(self, action: Callable[[Native, Post], int]) -> Stream:
        """As `_call`, for what is answered by post."""
        native = self._native()
        try:
            return await answer(lambda post: action(native, post))
        except Unauthorized:
            renewed = self._renewed()
            if renewed is None:
                raise
        return await answer(lambda post: action(renewed, post))
