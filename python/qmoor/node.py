"""The node itself, over the gateway's own API: backups and status."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal

from .errors import BadInput, Forbidden, GaveUp, NodeError, NotFound, QmoorError, Unauthorized, Unreachable
from .target import check_key, read_ca, resolve_key

__all__ = ["Node"]

#: How long one request may take, in seconds. Longer than a node holds requests for a backup.
_REQUEST_S = 60.0
_PAUSE_FIRST_S = 0.2
_PAUSE_MOST_S = 5.0


class Node:
    """A qmoor node. It can be pickled: the key is looked up when it is needed.

    Args:
        url: ``http://host:6333``, or ``https://``.
        key: where the key is found: ``env:NAME``, ``file:PATH`` or ``aws-secret:ID``. The index key may start backups
            and ask after them, the admin key may everything.
        tls_ca: a PEM file with the certificate authority that signed the node's certificate.
    """

    def __init__(self, url: str, key: str | None = "env:QDRANT_API_KEY", *, tls_ca: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise BadInput(f"`{url}` is not an address", hint="write it as http://10.0.0.5:6333")
        check_key(key)
        self._url = url.rstrip("/")
        self._key = key
        self._tls_ca = tls_ca

    def __repr__(self) -> str:
        return f"Node({self._url!r})"

    def backup(
        self,
        *,
        batch_id: str | None = None,
        labels: Mapping[str, str] | None = None,
        mode: Literal["stop", "freeze"] | None = None,
        wait: bool = True,
        timeout_s: float = 3600.0,
    ) -> dict[str, Any]:
        """Backs the node up, as one point in time.

        A backup that is already under way is waited for first: this one then holds all that was acknowledged before the
        call.

        Args:
            batch_id: kept with the backup, so that it is found by the job that asked for it.
            labels: kept with the backup.
            mode: how the point is made; the node's default unless given.
            wait: whether to wait until the backup is complete and verified; without it the answer has ``id`` and
                ``state`` only.
            timeout_s: how long to wait in all.

        Returns:
            The backup as the node lists it: ``id``, ``grade``, ``complete``, ``pause_ms`` and more.

        Raises:
            NodeError: the backup was made and failed, or its id is no longer known.
            GaveUp: it took longer than ``timeout_s``; the node may still complete it.
        """
        body: dict[str, Any] = {"wait": False, "labels": dict(labels or {})}
        if batch_id is not None:
            body["batch_id"] = batch_id
        if mode is not None:
            body["mode"] = mode
        deadline = time.monotonic() + timeout_s
        begun = self._until(deadline, "the node is busy with another backup", lambda: self._begin(body))
        if not wait:
            return begun
        return self._until(deadline, f"backup {begun['id']} is not complete", lambda: self._done(begun["id"]))

    def status(self) -> dict[str, Any]:
        """What the node says of itself. Needs the admin key."""
        status: dict[str, Any] = self._ask("GET", "/qmoor/v1/status")
        return status

    def backups(self) -> list[dict[str, Any]]:
        """The backups there are. Needs the admin key."""
        backups: list[dict[str, Any]] = self._ask("GET", "/qmoor/v1/backups")
        return backups

    def _begin(self, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            begun: dict[str, Any] = self._ask("POST", "/qmoor/v1/backups", body)
        except _Busy:
            return None
        return begun

    def _done(self, backup_id: str) -> dict[str, Any] | None:
        try:
            progress = self._ask("GET", f"/qmoor/v1/backups/{backup_id}")
        except _Busy:
            return None
        if progress["state"] == "complete":
            backup: dict[str, Any] = progress["backup"]
            return backup
        if progress["state"] == "incomplete":
            raise NodeError(f"backup {backup_id} is incomplete: {progress.get('error') or 'see the node'}")
        if progress["state"] == "failed":
            raise NodeError(
                f"backup {backup_id} failed: {progress.get('error') or 'the node was ended meanwhile'}",
                hint="`qmoor status` on the node shows how it is",
            )
        return None

    def _until(self, deadline: float, what: str, attempt: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        """Asks until there is an answer, through outages too: a backup stops the engine for a moment."""
        pause = _PAUSE_FIRST_S
        while True:
            reason = what
            try:
                answer = attempt()
            except Unreachable as error:
                answer, reason = None, f"{what}: {error.message}"
            if answer is not None:
                return answer
            if time.monotonic() + pause > deadline:
                raise GaveUp(reason, hint="`qmoor backups` on the node shows what became of it")
            time.sleep(pause)
            pause = min(pause * 1.5, _PAUSE_MOST_S)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"content-type": "application/json"}
        key = resolve_key(self._key)
        if key is not None:
            headers["api-key"] = key
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=_REQUEST_S, context=self._tls()) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise self._named(error, path) from None
        except (urllib.error.URLError, OSError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"no answer from `{self._url}`: {reason}", hint="is the node running?") from None
        except ValueError as error:
            raise NodeError(f"`{self._url}{path}` answered with something that is no JSON: {error}") from None

    def _tls(self) -> ssl.SSLContext | None:
        if not self._url.startswith("https://"):
            return None
        ca = read_ca(self._tls_ca)
        try:
            return ssl.create_default_context(cadata=None if ca is None else ca.decode())
        except (ssl.SSLError, UnicodeDecodeError):
            raise BadInput(f"`tls_ca` at `{self._tls_ca}` holds no certificate in PEM") from None

    def _named(self, error: urllib.error.HTTPError, path: str) -> QmoorError:
        text = error.read().decode(errors="replace")
        message, hint = _said(text)
        if error.code == HTTPStatus.FORBIDDEN:
            return Forbidden(f"the key may not ask for {path}: {message}", hint=hint or "a backup needs the index key")
        kind = _KINDS.get(error.code, NodeError)
        if kind in (Unauthorized, Unreachable):
            message = f"`{self._url}`: {message}"
        return kind(message, hint=hint)


class _Busy(NodeError):
    """Something else is being done."""

    code = "busy"


_KINDS: dict[int, type[QmoorError]] = {
    HTTPStatus.BAD_REQUEST: BadInput,
    HTTPStatus.UNAUTHORIZED: Unauthorized,
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: _Busy,
    # Held for a backup, or the engine behind the gateway is being started.
    HTTPStatus.TOO_MANY_REQUESTS: Unreachable,
    HTTPStatus.BAD_GATEWAY: Unreachable,
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.GATEWAY_TIMEOUT: Unreachable,
}


def _said(text: str) -> tuple[str, str | None]:
    """The message and the hint in an answer that is an error."""
    try:
        fields = json.loads(text)
        status = fields.get("status")
        if isinstance(status, dict):
            return str(status.get("error", text)), None
        # The agent's own errors are an object, the gateway's are text.
        fields = fields["error"] if isinstance(fields.get("error"), dict) else fields
        return str(fields.get("message") or fields.get("error") or text), fields.get("hint")
    except (ValueError, AttributeError):
        return text[:500], None
