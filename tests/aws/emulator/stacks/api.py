"""The actions of CloudFormation. An operation is begun here and goes on in a thread of its own."""

import sys
import threading
import traceback
import uuid

from moto.core.responses import ActionResult, BaseResponse, EmptyResult

from . import changes, drift, operation, shown
from .errors import CloudFormationError, ResourceFailed, fail, invalid
from .parameters import chosen, resolved
from .registry import Registry, check_set_name
from .stack import ChangeSet, new_id, now
from .template import Template

NO_CHANGES = "The submitted information didn't contain changes. Submit different information to create a change set."
EVENTS_PER_PAGE = 100
UPDATABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE"}


class Api(BaseResponse):
    def __init__(self):
        super().__init__(service_name="cloudformation")
        self.automated_parameter_parsing = True

    # ---- what the request says -----------------------------------------------------------------

    @property
    def registry(self):
        return Registry(self.current_account, self.region)

    def stack(self, text="Stack with id {} does not exist"):
        return self.registry.get(self._get_param("StackName"), text)

    def tags(self, former=None):
        given = self._get_param("Tags")
        if given is None:
            return dict(former or {})
        return {tag["Key"]: tag["Value"] for tag in given}

    def template(self, former=None):
        if self._get_param("UsePreviousTemplate"):
            if former is None:
                invalid("UsePreviousTemplate can only be used with an existing stack.")
            return former
        if self._get_param("TemplateURL"):
            invalid("S3 error: the emulator of the tests takes no TemplateURL")
        return Template(self._get_param("TemplateBody"))

    def change(self, stack, kind, template):
        """What the request wants of a stack, as a change set; refuses what CloudFormation refuses at once."""
        parameters = chosen(template, self._get_param("Parameters", []), stack.parameters if stack else {})
        resolved(template, parameters, self.current_account, self.region)
        template.check_capabilities(self._get_param("Capabilities", []))
        if stack and stack.template:
            moved = [
                name
                for name, old in stack.live().items()
                if name in template.resources and template.resources[name]["Type"] != old.kind
            ]
            if moved:
                invalid(
                    "Update of resource type is not permitted. The new template modifies resource type of the "
                    f"following resources: [{', '.join(moved)}]"
                )
        name = self._get_param("ChangeSetName") or "direct"
        return ChangeSet(
            new_id(self.current_account, self.region, "changeSet", name),
            name,
            kind,
            template,
            parameters,
            self.tags(stack.tags if stack else None),
            self._get_param("Capabilities", []),
            description=self._get_param("Description"),
            role=self._get_param("RoleARN"),
            on_failure=self._get_param("OnStackFailure"),
        )

    def begin(self, stack, status, work, *arguments):
        """The stack goes into a state of progress now, and the work goes on beside."""
        stack.token = self._get_param("ClientRequestToken")
        stack.to(status, "User Initiated")
        threading.Thread(target=_done, args=(stack, work, arguments), daemon=True).start()

    # ---- stacks --------------------------------------------------------------------------------

    def create_stack(self):
        registry, name = self.registry, self._get_param("StackName")
        there = registry.find(name)
        if there:
            fail("AlreadyExistsException", f"Stack [{name}] already exists")
        change = self.change(None, "CREATE", self.template())
        stack = registry.new(name, {})
        stack.protected = bool(self._get_param("EnableTerminationProtection", False))
        stack.disable_rollback = bool(self._get_param("DisableRollback", False))
        on_failure = self._get_param("OnFailure", "DO_NOTHING" if stack.disable_rollback else "ROLLBACK")
        self.begin(stack, "CREATE_IN_PROGRESS", operation.create, change, on_failure)
        return ActionResult({"StackId": stack.id})

    def update_stack(self):
        stack = self.stack("Stack [{}] does not exist")
        _updatable(stack)
        change = self.change(stack, "UPDATE", self.template(stack.template))
        found = changes.changes(stack, change.template, change.parameters, change.tags)
        if not found and _same(stack, change):
            invalid("No updates are to be performed.")
        self.begin(stack, "UPDATE_IN_PROGRESS", operation.update, change)
        return ActionResult({"StackId": stack.id})

    def delete_stack(self):
        stack = self.registry.find(self._get_param("StackName"))
        if stack is None or stack.status in ("DELETE_COMPLETE", "DELETE_IN_PROGRESS"):
            return EmptyResult()
        if stack.protected:
            invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
        if stack.status in ("UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS"):
            invalid(f"Stack [{stack.id}] cannot be deleted while in status {stack.status}")
        retained = self._get_param("RetainResources", [])
        if retained and stack.status != "DELETE_FAILED":
            invalid(
                f"Invalid operation on stack [{stack.id}]. Stack must be in DELETE_FAILED state to retain resources."
            )
        if stack.template is None:
            stack.deleted = now()
            stack.to("DELETE_COMPLETE")
            return EmptyResult()
        self.begin(stack, "DELETE_IN_PROGRESS", operation.delete, set(retained))
        return EmptyResult()

    def continue_update_rollback(self):
        stack = self.stack("Stack [{}] does not exist")
        if stack.status != "UPDATE_ROLLBACK_FAILED":
            invalid(f"Stack:{stack.id} is in {stack.status} state and can not continue the update rollback.")
        skipped = set(self._get_param("ResourcesToSkip", []))
        self.begin(stack, "UPDATE_ROLLBACK_IN_PROGRESS", operation.roll_back, stack.unfinished, skipped)
        return EmptyResult()

    def describe_stacks(self):
        name = self._get_param("StackName")
        stacks = [self.stack()] if name else [s for s in self.registry.all() if s.status != "DELETE_COMPLETE"]
        return ActionResult({"Stacks": [shown.stack(stack) for stack in stacks]})

    def list_stacks(self):
        wanted = self._get_param("StackStatusFilter", [])
        stacks = [stack for stack in self.registry.all() if not wanted or stack.status in wanted]
        return ActionResult({"StackSummaries": [shown.summary(stack) for stack in stacks]})

    def describe_stack_events(self):
        stack = self.stack("Stack [{}] does not exist")
        newest_first = list(reversed(list(stack.events)))
        start = int(self._get_param("NextToken") or 0)
        end = start + EVENTS_PER_PAGE
        token = str(end) if end < len(newest_first) else None
        return ActionResult({"StackEvents": newest_first[start:end], "NextToken": token})

    def describe_stack_resources(self):
        physical = self._get_param("PhysicalResourceId")
        if physical:
            stacks = [s for s in self.registry.all() if any(r.physical == physical for r in s.live().values())]
            if not stacks:
                invalid(f"Stack for {physical} does not exist")
            stack = stacks[0]
        else:
            stack = self.stack("Stack with id {} does not exist")
        logical = self._get_param("LogicalResourceId")
        found = [r for r in shown.visible(stack) if logical in (None, r.logical)]
        return ActionResult({"StackResources": [shown.resource(stack, r) for r in found]})

    def describe_stack_resource(self):
        stack, logical = self.stack("Stack '{}' does not exist"), self._get_param("LogicalResourceId")
        found = next((r for r in shown.visible(stack) if r.logical == logical), None)
        if found is None:
            invalid(f"Resource {logical} does not exist for stack {stack.name}")
        detail = shown.resource(stack, found)
        detail["LastUpdatedTimestamp"] = detail.pop("Timestamp")
        return ActionResult({"StackResourceDetail": detail})

    def list_stack_resources(self):
        stack = self.stack()
        found = [shown.resource(stack, r) for r in shown.visible(stack)]
        for entry in found:
            entry["LastUpdatedTimestamp"] = entry.pop("Timestamp")
        return ActionResult({"StackResourceSummaries": found})

    def get_template(self):
        if self._get_param("ChangeSetName"):
            _, change = self.registry.change_set(self._get_param("StackName"), self._get_param("ChangeSetName"))
            return ActionResult({"TemplateBody": change.template.text, "StagesAvailable": ["Original", "Processed"]})
        stack = self.stack()
        text = stack.template.text if stack.template else ""
        return ActionResult({"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]})

    def validate_template(self):
        return ActionResult(shown.validated(self.template()))

    def get_template_summary(self):
        name = self._get_param("StackName")
        return ActionResult(shown.validated(self.stack().template if name else self.template(), types=True))

    def update_termination_protection(self):
        stack = self.stack("Stack [{}] does not exist")
        stack.protected = bool(self._get_param("EnableTerminationProtection"))
        return ActionResult({"StackId": stack.id})

    def set_stack_policy(self):
        self.stack("Stack [{}] does not exist").policy = self._get_param("StackPolicyBody")
        return EmptyResult()

    def get_stack_policy(self):
        return ActionResult({"StackPolicyBody": self.stack("Stack [{}] does not exist").policy})

    def list_exports(self):
        return ActionResult(
            {"Exports": [
                {"ExportingStackId": stack.id, "Name": output["ExportName"], "Value": output["OutputValue"]}
                for output, stack in self.registry.exports()
            ]}
        )  # fmt: skip

    # ---- change sets ---------------------------------------------------------------------------

    def create_change_set(self):
        registry, name = self.registry, self._get_param("StackName")
        set_name, kind = self._get_param("ChangeSetName"), self._get_param("ChangeSetType", "UPDATE")
        check_set_name(set_name)
        stack = registry.find(name)
        if kind == "CREATE":
            if stack and stack.status != "REVIEW_IN_PROGRESS":
                invalid(
                    f"Stack [{stack.name}] already exists and cannot be created again with the changeSet [{set_name}]."
                )
        else:
            if stack is None:
                invalid(f"Stack [{name}] does not exist")
            _updatable(stack)
        if stack and any(change.name == set_name for change in stack.change_sets.values()):
            fail("AlreadyExistsException", f"ChangeSet {set_name} cannot be created due to a mismatch with existing "
                 f"attribute Name")  # fmt: skip
        change = self.change(stack, kind, self.template(stack.template if stack else None))
        if stack is None:
            stack = registry.new(name, {})
            stack.to("REVIEW_IN_PROGRESS", "User Initiated")
        stack.change_sets[change.id] = change
        threading.Thread(target=_worked_out, args=(stack, change), daemon=True).start()
        return ActionResult({"Id": change.id, "StackId": stack.id})

    def describe_change_set(self):
        stack, change = self.registry.change_set(self._get_param("StackName"), self._get_param("ChangeSetName"))
        return ActionResult(shown.change_set(stack, change, self._get_param("IncludePropertyValues", False)))

    def list_change_sets(self):
        stack = self.stack("Stack [{}] does not exist")
        return ActionResult({"Summaries": [shown.change_set_summary(stack, c) for c in stack.change_sets.values()]})

    def delete_change_set(self):
        try:
            stack, change = self.registry.change_set(self._get_param("StackName"), self._get_param("ChangeSetName"))
        except CloudFormationError as error:
            if error.code == "ChangeSetNotFound":
                return EmptyResult()
            raise
        if change.execution == "EXECUTE_IN_PROGRESS":
            fail("InvalidChangeSetStatus", f"ChangeSet [{change.id}] cannot be deleted in its current execution status "
                 f"of [{change.execution}]")  # fmt: skip
        stack.change_sets.pop(change.id)
        return EmptyResult()

    def execute_change_set(self):
        stack, change = self.registry.change_set(self._get_param("StackName"), self._get_param("ChangeSetName"))
        if change.status != "CREATE_COMPLETE":
            fail(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change.id}] cannot be executed in its current status of [{change.status}]",
            )
        if change.execution != "AVAILABLE":
            fail(
                "InvalidChangeSetStatus",
                f"ChangeSet [{change.id}] cannot be executed in its current execution status of [{change.execution}]",
            )
        if stack.busy:
            invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        stack.change_set_id = change.id
        change.execution = "EXECUTE_IN_PROGRESS"
        for other in list(stack.change_sets.values()):
            if other is not change:
                stack.change_sets.pop(other.id)
        disabled = bool(self._get_param("DisableRollback", False))
        if change.kind == "CREATE":
            on_failure = change.on_failure or ("DO_NOTHING" if disabled else "ROLLBACK")
            self.begin(stack, "CREATE_IN_PROGRESS", operation.create, change, on_failure)
        else:
            self.begin(stack, "UPDATE_IN_PROGRESS", operation.update, change)
        return EmptyResult()

    # ---- drift ---------------------------------------------------------------------------------

    def detect_stack_drift(self):
        stack = self.stack("Stack [{}] does not exist")
        if stack.busy or not stack.template:
            invalid(f"Drift detection cannot be performed on stack [{stack.id}] while it is in {stack.status} state.")
        status, drifted = drift.detect(stack)
        detection = {
            "StackId": stack.id,
            "StackDriftDetectionId": str(uuid.uuid4()),
            "StackDriftStatus": status,
            "DetectionStatus": "DETECTION_COMPLETE",
            "DriftedStackResourceCount": drifted,
            "Timestamp": now(),
        }
        _detections[detection["StackDriftDetectionId"]] = [1, detection]
        return ActionResult({"StackDriftDetectionId": detection["StackDriftDetectionId"]})

    def describe_stack_drift_detection_status(self):
        found = _detections.get(self._get_param("StackDriftDetectionId"))
        if found is None:
            invalid(f"Drift detection with id {self._get_param('StackDriftDetectionId')} does not exist")
        left, detection = found
        found[0] = left - 1
        if left > 0:
            hidden = ("StackDriftStatus", "DriftedStackResourceCount")
            detection = {name: value for name, value in detection.items() if name not in hidden}
            return ActionResult({**detection, "DetectionStatus": "DETECTION_IN_PROGRESS"})
        return ActionResult(detection)

    def detect_stack_resource_drift(self):
        stack, logical = self.stack("Stack [{}] does not exist"), self._get_param("LogicalResourceId")
        if logical not in stack.live():
            invalid(f"Resource {logical} does not exist for stack {stack.name}")
        resource = stack.resources[logical]
        resource.drift = drift.compare(stack, resource)
        return ActionResult({"StackResourceDrift": resource.drift})

    def describe_stack_resource_drifts(self):
        stack, wanted = self.stack("Stack [{}] does not exist"), self._get_param("StackResourceDriftStatusFilters", [])
        found = [resource.drift for resource in stack.resources.values() if resource.drift]
        return ActionResult(
            {"StackResourceDrifts": [d for d in found if not wanted or d["StackResourceDriftStatus"] in wanted]}
        )


_detections = {}


def _updatable(stack):
    if stack.status not in UPDATABLE:
        invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def _same(stack, change):
    return (
        stack.template.outputs == change.template.outputs
        and stack.template.description == change.template.description
        and stack.tags == change.tags
    )


def _worked_out(stack, change):
    """Fills a change set with its changes."""
    try:
        change.changes = changes.changes(stack, change.template, change.parameters, change.tags, with_values=True)
        if change.kind == "UPDATE" and not change.changes and _same(stack, change):
            change.status, change.reason = "FAILED", NO_CHANGES
        else:
            change.status, change.execution = "CREATE_COMPLETE", "AVAILABLE"
    except (ResourceFailed, CloudFormationError) as error:
        change.status, change.reason = "FAILED", getattr(error, "message", str(error))
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        change.status, change.reason = "FAILED", f"the emulator of the tests cannot: {error!r}"


def _done(stack, work, arguments):
    """Runs an operation to its end; a fault of the emulator is told as the stack's state."""
    try:
        work(stack, *arguments)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        first = stack.status.split("_", maxsplit=1)[0]
        stack.to(f"{first}_FAILED", f"the emulator of the tests cannot: {error!r}")
    finally:
        change = stack.change_sets.get(stack.change_set_id)
        if change and change.execution == "EXECUTE_IN_PROGRESS":
            well = stack.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
            change.execution = "EXECUTE_COMPLETE" if well else "EXECUTE_FAILED"
