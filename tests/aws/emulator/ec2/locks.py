"""Locks of snapshots: https://docs.aws.amazon.com/ebs/latest/userguide/ebs-snapshot-lock.html"""

from datetime import timedelta

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.ec2.responses.elastic_block_store import ElasticBlockStore

from ..patch import adds
from .refusals import page, refuse


def state(snapshot):
    """governance, compliance-cooloff, compliance or expired; None when it was never locked."""
    lock = snapshot.lock
    if lock is None:
        return None
    now = utcnow()
    if lock["LockExpiresOn"] and lock["LockExpiresOn"] <= now:
        return "expired"
    if lock["mode"] == "compliance" and lock.get("CoolOffPeriodExpiresOn", now) > now:
        return "compliance-cooloff"
    return lock["mode"]


def refuse_if_locked(snapshot):
    if state(snapshot) not in (None, "expired"):
        refuse("SnapshotLocked", f"The snapshot '{snapshot.id}' is locked and can't be deleted.")


def start(snapshot):
    """The time of a lock runs from the completion of the snapshot."""
    lock = snapshot.lock
    if lock and lock["LockDurationStartTime"] is None:
        lock["LockDurationStartTime"] = utcnow()
        if lock["LockDuration"]:
            lock["LockExpiresOn"] = lock["LockDurationStartTime"] + timedelta(days=lock["LockDuration"])


@adds(ElasticBlockStore)
def lock_snapshot(self):
    snapshot = self.ec2_backend.get_snapshot(self._get_param("SnapshotId"))
    mode, duration = self._get_param("LockMode"), self._get_int_param("LockDuration")
    until, cool = self._get_param("ExpirationDate"), self._get_int_param("CoolOffPeriod")
    if (duration is None) == (until is None):
        refuse("InvalidParameterCombination", "Specify either LockDuration or ExpirationDate, but not both.")
    if cool and mode != "compliance":
        refuse("InvalidParameterCombination", "CoolOffPeriod can only be specified with the compliance mode.")
    if duration is not None and not 1 <= duration <= 36_500:
        refuse("InvalidParameterValue", f"Lock duration of {duration} is not between 1 and 36500 days.")
    if state(snapshot) == "compliance" and (mode != "compliance" or _ends(snapshot, duration, until)):
        refuse("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
    self.error_on_dryrun()
    now = utcnow()
    snapshot.lock = {
        "mode": mode,
        "LockDuration": duration,
        "CoolOffPeriod": cool,
        "LockCreatedOn": now,
        "LockDurationStartTime": None,
        "LockExpiresOn": until.replace(tzinfo=None) if until else None,
        **({"CoolOffPeriodExpiresOn": now + timedelta(hours=cool)} if cool else {}),
    }
    if snapshot.status == "completed":
        start(snapshot)
    return ActionResult(shown(snapshot))


def _ends(snapshot, duration, until):
    """Whether a lock would end earlier than the one that is there."""
    ends = until.replace(tzinfo=None) if until else utcnow() + timedelta(days=duration)
    there = snapshot.lock["LockExpiresOn"]
    return there is not None and ends < there


@adds(ElasticBlockStore)
def unlock_snapshot(self):
    snapshot = self.ec2_backend.get_snapshot(self._get_param("SnapshotId"))
    if state(snapshot) in (None, "expired"):
        refuse("SnapshotNotLocked", f"The snapshot '{snapshot.id}' is not locked.")
    if state(snapshot) == "compliance":
        refuse("OperationNotPermitted", f"The snapshot '{snapshot.id}' is locked in compliance mode.")
    self.error_on_dryrun()
    snapshot.lock = None
    return ActionResult({"SnapshotId": snapshot.id})


@adds(ElasticBlockStore)
def describe_locked_snapshots(self):
    backend, ids = self.ec2_backend, self._get_param("SnapshotIds", [])
    found = [backend.get_snapshot(snapshot_id) for snapshot_id in ids] or list(backend.snapshots.values())
    states = self._filters_from_querystring().get("lock-state")
    found = [s for s in found if s.lock and (not states or state(s) in states)]
    found, token = page(found, self)
    return ActionResult({"Snapshots": [shown(snapshot) for snapshot in found], "NextToken": token})


def shown(snapshot):
    kept = {name: value for name, value in snapshot.lock.items() if name != "mode"}
    return {"OwnerId": snapshot.owner_id, "SnapshotId": snapshot.id, "LockState": state(snapshot), **kept}
