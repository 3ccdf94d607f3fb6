"""EventBridge: rules really start state machines and tell topics."""

import json
import uuid
from datetime import UTC, datetime

from moto.events.exceptions import ValidationException
from moto.events.models import EventsBackend, EventTemplateParser, Rule

from .aws import client
from .patch import replaces

OURS = (":states:", ":sns:")


@replaces(Rule)
def send_to_targets(former, self, original_event, transform_input=True):
    if self.state != "ENABLED" or self.event_pattern is None:
        return
    if self.event_pattern.matches_event(original_event):
        for target in self.targets:
            if any(part in target["Arn"] for part in OURS):
                _send(self, target, original_event)
    everyone = self.targets
    try:
        self.targets = [target for target in everyone if not any(part in target["Arn"] for part in OURS)]
        if self.targets:
            former(self, original_event, transform_input)
    finally:
        self.targets = everyone


def _send(rule, target, original):
    event = {name: value for name, value in original.items() if name != "ingestion-time"}
    if isinstance(event.get("time"), int | float):
        event["time"] = datetime.fromtimestamp(event["time"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    text = _input(target, event)
    if ":states:" in target["Arn"]:
        states = client("stepfunctions", rule.region_name, rule.account_id, by="events")
        name = f"{event['id']}_{uuid.uuid4()}"
        states.start_execution(stateMachineArn=target["Arn"], name=name[:80], input=text)
    else:
        client("sns", rule.region_name, rule.account_id, by="events").publish(TopicArn=target["Arn"], Message=text)


def _input(target, event):
    if "Input" in target:
        return target["Input"]
    if "InputPath" in target and target["InputPath"] != "$":
        found = event
        for step in target["InputPath"].removeprefix("$.").split("."):
            found = found[step]
        return json.dumps(found)
    if "InputTransformer" in target:
        rule = target["InputTransformer"]
        made = EventTemplateParser.parse(
            input_template=rule.get("InputTemplate"), input_paths_map=rule.get("InputPathsMap", {}), event=event
        )
        return made if isinstance(made, str) else json.dumps(made)
    return json.dumps(event)


@replaces(EventsBackend)
def put_targets(former, self, name, event_bus_arn, targets):
    for target in targets:
        if ":states:" in target["Arn"] and not target.get("RoleArn"):
            raise ValidationException(f"RoleArn is required for target {target['Arn']}.")
    return former(self, name, event_bus_arn, targets)
