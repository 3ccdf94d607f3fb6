"""An operation of a stack: create, update, delete, with events, rollback and clean-up, in the order of AWS."""

import copy
import threading
import uuid

from botocore.exceptions import BotoCoreError, ClientError

from ..aws import client
from ..world import world
from . import removal, schemas
from .errors import CloudFormationError, NothingDone, ResourceFailed
from .intrinsics import Resolver
from .parameters import resolved
from .resources import HANDLERS
from .resources.base import Context
from .stack import Resource, now

HANDLER_CODES = {"NotFound": "NotFound", "AlreadyExists": "AlreadyExists", "Limit": "ServiceLimitExceeded"}


class Failed(Exception):
    """The operation cannot go on; which resources are to blame."""

    def __init__(self, verb, names):
        super().__init__(f"The following resource(s) failed to {verb}: [{', '.join(names)}]. ")


def reason_of(error, kind):
    """What the event says of an error at a resource of this type."""
    if isinstance(error, ClientError):
        told = error.response["Error"]
        service = kind.split("::")[1].capitalize()
        code = next((name for part, name in HANDLER_CODES.items() if part in told["Code"]), "InvalidRequest")
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return (
            f'Resource handler returned message: "{told["Message"]} (Service: {service}, Status Code: {status}, '
            f'Request ID: {uuid.uuid4()}) (SDK Attempt Count: 1)" (RequestToken: {uuid.uuid4()}, '
            f"HandlerErrorCode: {code})"
        )
    return str(error) or type(error).__name__


def pseudo(stack):
    return {
        "AWS::AccountId": stack.account,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": stack.region,
        "AWS::StackId": stack.id,
        "AWS::StackName": stack.name,
        "AWS::URLSuffix": "amazonaws.com",
    }


def resolver(stack, template, parameters, reference=None):
    """A resolver whose references are the resources that the stack has now."""

    def live(name, attribute):
        found = stack.resources.get(name)
        if found is None or not found.live:
            raise ResourceFailed(f"Unresolved resource dependencies [{name}] in the Resources block of the template")
        handler, on = HANDLERS[found.kind], Context(stack, name)
        return handler.attribute(on, found.physical, attribute) if attribute else handler.ref(on, found.physical)

    zones = client("ec2", stack.region, stack.account).describe_availability_zones()["AvailabilityZones"]
    values = resolved(template, parameters, stack.account, stack.region)
    return Resolver(template, values, pseudo(stack), reference or live, [zone["ZoneName"] for zone in zones])


class Operation:
    """Brings a stack to a template. What was done is kept, so that it can be undone."""

    def __init__(self, stack, template, parameters, tags):
        self.stack, self.template = stack, template
        self.retagged = stack.tags != tags
        stack.tags = tags
        self.resolver = resolver(stack, template, parameters)
        self.made = []
        self.replaced = []
        self.undo = []
        # How the former template had the resources, for their policies.
        self.former_raw = {name: resource.raw for name, resource in stack.resources.items()}

    def converge(self):
        """Creates, changes and replaces, wave by wave; raises Failed."""
        for wave in self.template.waves(self.resolver.active()):
            steps = []
            for name in wave:
                try:
                    steps.append(self._plan(name))
                except (ResourceFailed, CloudFormationError, ClientError, KeyError) as error:
                    raw = self.template.resources[name]
                    there = self.stack.resources.get(name)
                    resource = there if there and there.live else Resource(name, raw["Type"], raw)
                    self.stack.resources[name] = resource
                    verb = "UPDATE" if resource.live else "CREATE"
                    self.stack.tell(resource, f"{verb}_FAILED", reason_of(error, raw["Type"]))
                    raise Failed(verb.lower(), [name]) from error
            self._wave([step for step in steps if step])

    def _plan(self, name):
        raw = self.template.resources[name]
        kind, old = raw["Type"], self.stack.resources.get(name)
        properties = schemas.typed(kind, self.resolver.resolve(raw.get("Properties") or {}))
        wrong = schemas.problems(kind, properties)
        if wrong:
            raise ResourceFailed(f"Properties validation failed for resource {name} with message:\n" + "\n".join(wrong))
        if old is None or not old.live:
            resource = Resource(name, kind, raw, properties)
            self.stack.resources[name] = resource
            return self._create, resource, properties
        old.raw = raw
        if old.properties == properties and not (self.retagged and "Tags" in schemas.schema(kind)["properties"]):
            return None
        if HANDLERS[kind].replaces(old.properties, properties):
            return self._replace, old, properties
        return self._update, old, properties

    def _wave(self, steps):
        stack, failed = self.stack, None
        for act, resource, _ in steps:
            text = "Requested update requires the creation of a new physical resource; hence creating one."
            verb = "CREATE" if act == self._create else "UPDATE"
            stack.tell(resource, f"{verb}_IN_PROGRESS", text if act == self._replace else None)
        for act, resource, properties in steps:
            verb = "CREATE" if act == self._create else "UPDATE"
            if failed:
                word = "creation" if verb == "CREATE" else "update"
                stack.tell(resource, f"{verb}_FAILED", f"Resource {word} cancelled")
                continue
            pause(stack)
            try:
                planned = world.failure(stack.account, {resource.kind, resource.logical}, verb.lower())
                if planned:
                    raise ResourceFailed(planned)
                act(resource, properties)
                stack.tell(resource, f"{verb}_COMPLETE")
            except (ResourceFailed, CloudFormationError, ClientError, BotoCoreError, KeyError) as error:
                stack.tell(resource, f"{verb}_FAILED", reason_of(error, resource.kind))
                failed = Failed(verb.lower(), [resource.logical])
        if failed:
            raise failed

    def _create(self, resource, properties):
        handler, on = HANDLERS[resource.kind], Context(self.stack, resource.logical)
        physical = handler.create(on, properties)
        resource.physical, resource.properties = physical, properties
        self.made.append(resource)
        self.stack.tell(resource, "CREATE_IN_PROGRESS", "Resource creation Initiated")
        handler.ready(on, physical)

    def _replace(self, resource, properties):
        handler, on = HANDLERS[resource.kind], Context(self.stack, resource.logical)
        if (
            handler.names
            and properties.get(handler.names)
            and (properties[handler.names] == resource.properties.get(handler.names))
        ):
            raise ResourceFailed(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {properties[handler.names]} and update the stack again."
            )
        former = copy.copy(resource)
        physical = handler.create(on, properties)
        resource.physical, resource.properties = physical, properties
        self.replaced.append(former)

        def back():
            self.made.append(copy.copy(resource))
            resource.physical, resource.properties = former.physical, former.properties

        self.undo.append((resource, back))
        self.stack.tell(resource, "UPDATE_IN_PROGRESS", "Resource creation Initiated")
        handler.ready(on, physical)

    def _update(self, resource, properties):
        handler, on = HANDLERS[resource.kind], Context(self.stack, resource.logical)
        former = resource.properties

        def back():
            handler.update(on, resource.physical, properties, former)
            resource.properties = former

        # Before it is tried: half an update has to be undone as well.
        self.undo.append((resource, back))
        try:
            handler.update(on, resource.physical, former, properties)
        except NothingDone:
            self.undo.pop()
            raise
        resource.properties = properties

    def outputs(self):
        found = []
        for name, output in self.template.outputs.items():
            if "Condition" in output and not self.resolver.condition(output["Condition"]):
                continue
            entry = {"OutputKey": name, "OutputValue": str(self.resolver.resolve(output["Value"]))}
            if output.get("Description"):
                entry["Description"] = output["Description"]
            if output.get("Export"):
                entry["ExportName"] = self.resolver.resolve(output["Export"]["Name"])
            found.append(entry)
        return found


def pause(stack):
    threading.Event().wait(world.behaviour(stack.account, "stacks")["pause"])


def create(stack, change, on_failure):
    """From CREATE_IN_PROGRESS, which the stack is in already, to its end."""
    stack.template, stack.parameters, stack.capabilities = change.template, change.parameters, change.capabilities
    doing = None
    try:
        doing = Operation(stack, change.template, change.parameters, change.tags)
        doing.converge()
        stack.outputs = doing.outputs()
        stack.to("CREATE_COMPLETE")
    except (Failed, ResourceFailed, CloudFormationError, ClientError) as error:
        told = str(error)
        if on_failure == "DO_NOTHING":
            stack.to("CREATE_FAILED", told.strip())
            return
        status, done = ("DELETE_IN_PROGRESS", "DELETE_COMPLETE") if on_failure == "DELETE" else (
            "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE",
        )  # fmt: skip
        stack.to(status, f"{told.strip()} Rollback requested by user.")
        lost = removal.remove(stack, doing.made if doing else [], change.template, creating=True)
        if on_failure == "DELETE":
            stack.deleted = now()
        stack.to(done if not lost else done.replace("COMPLETE", "FAILED"), None if not lost else removal.told(lost))


def update(stack, change):
    """From UPDATE_IN_PROGRESS, which the stack is in already, to its end."""
    former = (stack.template, stack.parameters, stack.tags, stack.capabilities)
    before = stack.live()
    doing = None
    try:
        doing = Operation(stack, change.template, change.parameters, change.tags)
        doing.converge()
        stack.template, stack.parameters, stack.capabilities = change.template, change.parameters, change.capabilities
        outputs = doing.outputs()
    except (Failed, ResourceFailed, CloudFormationError, ClientError) as error:
        stack.to("UPDATE_ROLLBACK_IN_PROGRESS", str(error).strip())
        stack.template, stack.parameters, stack.tags, stack.capabilities = former
        roll_back(stack, doing, set())
        return
    stack.outputs, stack.updated = outputs, now()
    stack.to("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    gone = [resource for name, resource in before.items() if name not in doing.resolver.active()]
    removal.remove(stack, [*gone, *doing.replaced], former[0], replaced=doing.replaced)
    stack.to("UPDATE_COMPLETE")


def roll_back(stack, doing, skipped):
    """Undoes an update; what cannot be undone leaves the stack in UPDATE_ROLLBACK_FAILED."""
    stack.unfinished = doing
    while doing and doing.undo:
        resource, back = doing.undo.pop()
        if resource.logical in skipped:
            stack.tell(resource, "UPDATE_COMPLETE", "Resource skipped")
            continue
        pause(stack)
        stack.tell(resource, "UPDATE_IN_PROGRESS")
        try:
            planned = world.failure(stack.account, {resource.kind, resource.logical}, "rollback")
            if planned:
                raise ResourceFailed(planned)
            back()
        except (ResourceFailed, ClientError, BotoCoreError) as error:
            doing.undo.append((resource, back))
            stack.tell(resource, "UPDATE_FAILED", reason_of(error, resource.kind))
            stack.to("UPDATE_ROLLBACK_FAILED", str(Failed("update", [resource.logical])).strip())
            return
        stack.tell(resource, "UPDATE_COMPLETE")
    for resource in stack.live().values():
        if resource.status == "UPDATE_FAILED":
            stack.tell(resource, "UPDATE_COMPLETE")
    stack.to("UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS")
    if doing:
        removal.remove(stack, doing.made, doing.template, creating=True)
        for name, raw in doing.former_raw.items():
            stack.resources[name].raw = raw
    # What was to be made and never was.
    stack.resources = {name: resource for name, resource in stack.resources.items() if resource.physical}
    stack.unfinished = None
    stack.to("UPDATE_ROLLBACK_COMPLETE")


def delete(stack, retained):
    """From DELETE_IN_PROGRESS to its end."""
    resources = list(stack.live().values())
    lost = removal.remove(stack, resources, stack.template, retained=retained)
    if lost:
        stack.to("DELETE_FAILED", removal.told(lost))
        return
    stack.deleted = now()
    stack.to("DELETE_COMPLETE")
