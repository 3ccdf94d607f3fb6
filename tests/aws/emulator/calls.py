"""Which calls came: for tests that assert what was asked of AWS."""

import json
import re
import threading
from dataclasses import asdict, dataclass
from urllib.parse import parse_qsl

from .world import DEFAULT_ACCOUNT

KEPT = 100_000
SCOPE = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/")
CODE = re.compile(rb"<Code>([^<]+)</Code>|\"__type\": ?\"(?:[^\"]*#)?([^\"]+)\"")


@dataclass
class Call:
    """One call; `by` is "client", or the service that made it: "cloudformation", "states", "events"."""

    number: int
    service: str
    action: str
    parameters: dict
    account: str
    region: str
    by: str
    status: int = 0
    error: str = ""


class Calls:
    def __init__(self):
        self._lock = threading.Lock()
        self._calls = []
        self._count = 0

    def note(self, environ, body):
        """Takes down a call that begins."""
        from moto.iam.models import get_account_id_from

        scope = SCOPE.search(environ.get("HTTP_AUTHORIZATION", ""))
        key, region, service = scope.groups() if scope else ("", "", "")
        account = environ.get("HTTP_X_MOTO_ACCOUNT_ID") or (get_account_id_from(key) if key else DEFAULT_ACCOUNT)
        action, parameters = read(environ, body)
        with self._lock:
            self._count += 1
            call = Call(self._count, service, action, parameters, account, region, caller(environ))
            self._calls.append(call)
            del self._calls[:-KEPT]
        return call

    def mark(self):
        """The number of the newest call."""
        with self._lock:
            return self._count

    def since(self, mark, account=None, action=None):
        with self._lock:
            kept = list(self._calls)
        return [
            asdict(call)
            for call in kept
            if call.number > mark and account in (None, call.account) and action in (None, call.action)
        ]


def read(environ, body):
    """Action and parameters as they came: flat for the Query protocol, an object for JSON."""
    target = environ.get("HTTP_X_AMZ_TARGET")
    if target:
        try:
            return target.split(".")[-1], json.loads(body or b"{}")
        except ValueError:
            return target.split(".")[-1], {}
    form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
    pairs = parse_qsl(body.decode() if form else environ.get("QUERY_STRING", ""), keep_blank_values=True)
    parameters = dict(pairs)
    parameters.pop("Version", None)
    action = parameters.pop("Action", "")
    if not action:
        action = environ.get("PATH_INFO", "").rsplit("/operation/", 1)[-1]
    return action, parameters


def caller(environ):
    agent = environ.get("HTTP_USER_AGENT", "")
    return next((by for by in ("cloudformation", "states", "events") if f"emulator-{by}" in agent), "client")


def error_code(answer):
    found = CODE.search(answer)
    return (found.group(1) or found.group(2)).decode() if found else ""


calls = Calls()
