"""Clients of the emulator itself: what CloudFormation does, it does by calling the same API as everybody."""

import threading

import boto3
from botocore.config import Config

from .world import DEFAULT_ACCOUNT, world

_kept = {}
_lock = threading.Lock()


def client(service, region, account=DEFAULT_ACCOUNT, by="cloudformation"):
    """A boto3 client that acts in `account`, and is seen as `by` in the list of calls."""
    with _lock:
        key = (service, region, account, by)
        if key not in _kept:
            _kept[key] = _make(*key)
        return _kept[key]


def _make(service, region, account, by):
    made = boto3.Session().client(
        service,
        region_name=region,
        endpoint_url=world.url,
        aws_access_key_id="AKIAEMULATOREXAMPLE0",
        aws_secret_access_key="emulator",
        config=Config(
            user_agent_extra=f"emulator-{by}",
            retries={"total_max_attempts": 1},
            read_timeout=300,
            max_pool_connections=4,
        ),
    )
    made.meta.events.register("before-send", lambda request, **_: _mark(request, account))
    return made


def _mark(request, account):
    request.headers["x-moto-account-id"] = account
