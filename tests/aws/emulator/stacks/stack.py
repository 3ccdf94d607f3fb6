"""Stacks, their resources, their events and their change sets, as data."""

import threading
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime


def now():
    return datetime.now(UTC)


@dataclass
class Resource:
    """A resource of a stack. `raw` is how the template has it, `properties` what it was made with."""

    logical: str
    kind: str
    raw: dict
    properties: dict = field(default_factory=dict)
    physical: str = ""
    status: str = ""
    reason: str | None = None
    time: datetime = field(default_factory=now)
    drift: dict | None = None

    @property
    def live(self):
        return bool(self.physical) and self.status not in ("DELETE_COMPLETE", "DELETE_SKIPPED")


@dataclass
class ChangeSet:
    id: str
    name: str
    kind: str
    template: object
    parameters: dict
    tags: dict
    capabilities: list
    description: str | None = None
    role: str | None = None
    on_failure: str | None = None
    status: str = "CREATE_PENDING"
    reason: str | None = None
    execution: str = "UNAVAILABLE"
    changes: list = field(default_factory=list)
    time: datetime = field(default_factory=now)


@dataclass
class Stack:
    id: str
    name: str
    account: str
    region: str
    status: str = "REVIEW_IN_PROGRESS"
    reason: str | None = None
    template: object = None
    parameters: dict = field(default_factory=dict)
    values: dict = field(default_factory=dict)
    tags: dict = field(default_factory=dict)
    capabilities: list = field(default_factory=list)
    resources: dict = field(default_factory=dict)
    outputs: list = field(default_factory=list)
    events: list = field(default_factory=list)
    change_sets: dict = field(default_factory=dict)
    change_set_id: str | None = None
    role: str | None = None
    policy: str | None = None
    protected: bool = False
    disable_rollback: bool = False
    token: str | None = None
    created: datetime = field(default_factory=now)
    updated: datetime | None = None
    deleted: datetime | None = None
    drift: dict = field(default_factory=lambda: {"StackDriftStatus": "NOT_CHECKED"})
    lock: object = field(default_factory=threading.RLock, repr=False)

    @property
    def busy(self):
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    def live(self):
        return {name: resource for name, resource in self.resources.items() if resource.live}

    def to(self, status, reason=None):
        """The stack changes its state, and says so in an event."""
        self.status, self.reason = status, reason
        self._event(self.name, self.id, "AWS::CloudFormation::Stack", status, reason)

    def tell(self, resource, status, reason=None, physical=None):
        """A resource changes its state, and says so in an event."""
        resource.status, resource.reason, resource.time = status, reason, now()
        self._event(resource.logical, physical or resource.physical, resource.kind, status, reason, resource.properties)

    def _event(self, logical, physical, kind, status, reason, properties=None):
        import json

        event = {
            "StackId": self.id,
            "EventId": f"{logical}-{status}-{now().isoformat()}" if kind != "AWS::CloudFormation::Stack" else _uuid(),
            "StackName": self.name,
            "LogicalResourceId": logical,
            "PhysicalResourceId": physical,
            "ResourceType": kind,
            "Timestamp": now(),
            "ResourceStatus": status,
        }
        if reason:
            event["ResourceStatusReason"] = reason
        if properties:
            event["ResourceProperties"] = json.dumps(properties, default=str)
        if self.token:
            event["ClientRequestToken"] = self.token
        self.events.append(event)


def _uuid():
    return str(uuid.uuid4())


def new_id(account, region, kind, name):
    return f"arn:aws:cloudformation:{region}:{account}:{kind}/{name}/{_uuid()}"
