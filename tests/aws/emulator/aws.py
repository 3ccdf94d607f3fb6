"""Clients of the emulator itself: what CloudFormation does, it does by calling the same API as everybody."""

import threading

import boto3
from botocore.config import Config

from .world import DEFAULT_ACCOUNT, world

_kept = {}
_lock = threading.Lock()
_session = boto3.Session()
_acting = threading.local()


class Client:
    """A boto3 client that acts in an account. Accounts share the boto3 clients, which are dear to make."""

    def __init__(self, made, account):
        self._made, self._account = made, account

    def __getattr__(self, action):
        method = getattr(self._made, action)

        def call(**parameters):
            before = getattr(_acting, "account", None)
            _acting.account = self._account
            try:
                return method(**parameters)
            finally:
                _acting.account = before

        return call


def client(service, region, account=DEFAULT_ACCOUNT, by="cloudformation"):
    """A client that acts in `account`, and is seen as `by` in the list of calls."""
    key = (service, region, by)
    with _lock:
        if key not in _kept:
            _kept[key] = _make(*key)
        return Client(_kept[key], account)


def _make(service, region, by):
    made = _session.client(
        service,
        region_name=region,
        endpoint_url=world.url,
        aws_access_key_id="AKIAEMULATOREXAMPLE0",
        aws_secret_access_key="emulator",
        config=Config(
            user_agent_extra=f"emulator-{by}",
            retries={"total_max_attempts": 1},
            read_timeout=300,
            max_pool_connections=16,
        ),
    )
    made.meta.events.register("before-send", _mark)
    return made


def _mark(request, **_):
    request.headers["x-moto-account-id"] = _acting.account
