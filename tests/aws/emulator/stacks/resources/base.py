"""What all handlers have, and what they work with."""

import random
import string
import threading
import time

from botocore.exceptions import ClientError

from ...aws import client
from ...world import world
from .. import schemas
from ..errors import NothingDone, ResourceFailed

POLL_SECONDS = 0.02


class Context:
    """On whose behalf a handler acts: a resource of a stack."""

    def __init__(self, stack, logical):
        self.stack, self.logical = stack, logical
        self.account, self.region = stack.account, stack.region

    def client(self, service):
        return client(service, self.region, self.account)

    @property
    def ec2(self):
        return self.client("ec2")

    def name(self):
        """A name for a resource that got none: STACK-LOGICAL-SUFFIX."""
        suffix = "".join(random.choices(string.ascii_letters + string.digits, k=12))
        return f"{self.stack.name}-{self.logical}-{suffix}"[-128:]

    def tags(self, properties):
        """Those of the stack, CloudFormation's own, and those of the resource, which win."""
        own = {item["Key"]: item["Value"] for item in properties.get("Tags", [])}
        system = {
            "aws:cloudformation:stack-name": self.stack.name,
            "aws:cloudformation:stack-id": self.stack.id,
            "aws:cloudformation:logical-id": self.logical,
        }
        return [{"Key": key, "Value": value} for key, value in {**self.stack.tags, **own, **system}.items()]

    def plain_tags(self, properties):
        """Without CloudFormation's own, for services that do not get them."""
        return [tag for tag in self.tags(properties) if not tag["Key"].startswith("aws:")]

    def until(self, ready, what):
        """Waits until `ready` answers something true; a resource that takes too long has failed."""
        deadline = time.monotonic() + world.behaviour(self.account, "stacks")["patience"]
        pause = threading.Event()
        while True:
            answer = ready()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise ResourceFailed(f"Exceeded attempts to wait: {what}")
            pause.wait(POLL_SECONDS)


class Handler:
    """A resource type. Properties come typed and resolved; `physical` is what Ref gives."""

    kind = ""
    # The property that names the resource; one that was given by hand cannot be replaced beside itself.
    names = None

    @classmethod
    def create(cls, on, properties):
        """Makes the resource; its physical id."""
        raise NotImplementedError(cls.kind)

    @classmethod
    def ready(cls, on, physical):
        """Waits until what was created can be used."""

    @classmethod
    def update(cls, on, physical, old, new):
        """Changes what need not be replaced."""
        changed = sorted(name for name in {*old, *new} if old.get(name) != new.get(name))
        raise NothingDone(f"Update to resource type {cls.kind} is not supported: {', '.join(changed)}")

    @classmethod
    def replaces(cls, old, new):
        """Whether a change needs a new resource; conditional ones are decided here."""
        changed = [name for name in {*old, *new} if old.get(name) != new.get(name)]
        return any(schemas.recreation(cls.kind, name) == schemas.ALWAYS for name in changed)

    @classmethod
    def delete(cls, on, physical, properties):
        """Removes it; one that is gone already is no failure."""
        raise NotImplementedError(cls.kind)

    @classmethod
    def ref(cls, on, physical):
        return physical

    @classmethod
    def attribute(cls, on, physical, name):
        raise ResourceFailed(f"Attribute {name} of {cls.kind} is not known")

    @classmethod
    def read(cls, on, physical):
        """The properties as they are now, as far as drift detection covers them; None when it is gone."""
        return {}

    @classmethod
    def without_others(cls, actual, physical, resources):
        """What was read, less what other resources of the stack have attached."""
        return actual


def gone(*codes):
    """A context that takes these error codes as: it was gone already."""

    class Gone:
        def __enter__(self):
            return self

        def __exit__(self, kind, error, trace):
            return isinstance(error, ClientError) and error.response["Error"]["Code"] in codes

    return Gone()


def picked(properties, *names):
    """The properties that are there and go to the API under the same name."""
    return {name: properties[name] for name in names if properties.get(name) is not None}


def retag(on, physical, old, new):
    """Brings the tags of an EC2 resource up to date."""
    before = {tag["Key"]: tag["Value"] for tag in on.tags(old)}
    after = {tag["Key"]: tag["Value"] for tag in on.tags(new)}
    lost = [{"Key": key} for key in before if key not in after]
    if lost:
        on.ec2.delete_tags(Resources=[physical], Tags=lost)
    on.ec2.create_tags(Resources=[physical], Tags=[{"Key": key, "Value": value} for key, value in after.items()])
