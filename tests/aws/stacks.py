"""Doing things with stacks as a user does: a change set, looked at, carried out, waited for."""

from itertools import count

from samples import text
from waits import until

_numbers = count(1)


class Stack:
    def __init__(self, aws, network, name="node"):
        self.aws, self.network, self.name = aws, network, name
        self.cloudformation = aws.client("cloudformation")

    def parameters(self, **more):
        network = self.network
        values = {"Subnet": network.subnet, "Vpc": network.vpc, "Ray": network.ray[0], "Image": network.image, **more}
        return [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in values.items()]

    def plan(self, template, kind="UPDATE", tags=(), **parameters):
        """A new change set, worked out."""
        name = f"change-{next(_numbers)}"
        self.cloudformation.create_change_set(
            StackName=self.name,
            ChangeSetName=name,
            ChangeSetType=kind,
            TemplateBody=text(template),
            Capabilities=["CAPABILITY_IAM"],
            Tags=[{"Key": key, "Value": value} for key, value in tags],
            Parameters=[p for p in self.parameters(**parameters) if p["ParameterKey"] in template["Parameters"]],
        )

        def worked_out():
            found = self.cloudformation.describe_change_set(StackName=self.name, ChangeSetName=name)
            return found if found["Status"] in ("CREATE_COMPLETE", "FAILED") else None

        return until(worked_out, "the change set to be worked out")

    def carry_out(self, plan, **more):
        self.cloudformation.execute_change_set(StackName=self.name, ChangeSetName=plan["ChangeSetName"], **more)
        return self.settled()

    def apply(self, template, kind="UPDATE", **more):
        """The stack after it was brought to the template."""
        return self.carry_out(self.plan(template, kind, **more))

    def settled(self):
        def over():
            found = self.describe()
            return found if not found["StackStatus"].endswith("_IN_PROGRESS") else None

        return until(over, "the stack to settle")

    def delete(self, **more):
        stack_id = self.describe()["StackId"]
        self.cloudformation.delete_stack(StackName=self.name, **more)

        def over():
            found = self.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]
            return found if found["StackStatus"] in ("DELETE_COMPLETE", "DELETE_FAILED") else None

        return until(over, "the stack to be deleted")

    def describe(self):
        return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]

    def outputs(self):
        return {item["OutputKey"]: item["OutputValue"] for item in self.describe()["Outputs"]}

    def resources(self):
        """Logical to physical id."""
        found = self.cloudformation.describe_stack_resources(StackName=self.name)["StackResources"]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}

    def events(self, logical=None):
        """(logical id, status, reason), the oldest first."""
        pages = self.cloudformation.get_paginator("describe_stack_events").paginate(StackName=self.name)
        found = [event for page in pages for event in page["StackEvents"]]
        return [
            (event["LogicalResourceId"], event["ResourceStatus"], event.get("ResourceStatusReason"))
            for event in reversed(found)
            if logical in (None, event["LogicalResourceId"])
        ]

    def failures(self):
        return [event for event in self.events() if "FAILED" in event[1]]


def changes(plan):
    """Logical id to its change."""
    return {item["ResourceChange"]["LogicalResourceId"]: item["ResourceChange"] for item in plan["Changes"]}
