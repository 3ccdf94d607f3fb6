"""AWS::Events::Rule and AWS::StepFunctions::StateMachine."""

import json

from .base import Handler, gone, picked


class Rule(Handler):
    kind = "AWS::Events::Rule"
    names = "Name"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("Name") or on.name()[-64:]
        cls._put(on, name, properties)
        return name

    @staticmethod
    def _put(on, name, properties):
        events, bus = on.client("events"), picked(properties, "EventBusName")
        asked = picked(properties, "Description", "ScheduleExpression", "State", "RoleArn")
        if "EventPattern" in properties:
            asked["EventPattern"] = json.dumps(properties["EventPattern"])
        events.put_rule(Name=name, **asked, **bus)
        if properties.get("Targets"):
            events.put_targets(Rule=name, Targets=properties["Targets"], **bus)

    @classmethod
    def update(cls, on, physical, old, new):
        kept = {target["Id"] for target in new.get("Targets", [])}
        lost = [target["Id"] for target in old.get("Targets", []) if target["Id"] not in kept]
        if lost:
            on.client("events").remove_targets(Rule=physical, Ids=lost, **picked(old, "EventBusName"))
        cls._put(on, physical, new)

    @classmethod
    def delete(cls, on, physical, properties):
        events, bus = on.client("events"), picked(properties, "EventBusName")
        with gone("ResourceNotFoundException"):
            targets = events.list_targets_by_rule(Rule=physical, **bus)["Targets"]
            if targets:
                events.remove_targets(Rule=physical, Ids=[target["Id"] for target in targets], **bus)
            events.delete_rule(Name=physical, **bus)

    @classmethod
    def attribute(cls, on, physical, name):
        return on.client("events").describe_rule(Name=physical)["Arn"] if name == "Arn" else physical

    @classmethod
    def read(cls, on, physical):
        with gone("ResourceNotFoundException"):
            found = on.client("events").describe_rule(Name=physical)
            targets = on.client("events").list_targets_by_rule(Rule=physical)["Targets"]
            pattern = {"EventPattern": json.loads(found["EventPattern"])} if found.get("EventPattern") else {}
            return {**picked(found, "Description", "State", "ScheduleExpression"), **pattern, "Targets": targets}
        return None


class StateMachine(Handler):
    kind = "AWS::StepFunctions::StateMachine"
    names = "StateMachineName"

    @classmethod
    def create(cls, on, properties):
        asked = {
            "name": properties.get("StateMachineName") or on.name()[-80:],
            "type": properties.get("StateMachineType", "STANDARD"),
            "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in on.tags(properties)],
        }
        return on.client("stepfunctions").create_state_machine(**asked, **cls._asked(properties))["stateMachineArn"]

    @staticmethod
    def _asked(properties):
        definition = properties.get("DefinitionString") or json.dumps(properties["Definition"])
        for name, value in properties.get("DefinitionSubstitutions", {}).items():
            text = str(value).lower() if isinstance(value, bool) else str(value)
            definition = definition.replace(f"${{{name}}}", text)
        asked = {"definition": definition, "roleArn": properties["RoleArn"]}
        logging = properties.get("LoggingConfiguration")
        if logging:
            targets = [item["CloudWatchLogsLogGroup"]["LogGroupArn"] for item in logging.get("Destinations", [])]
            asked["loggingConfiguration"] = {
                "level": logging.get("Level", "OFF"),
                "includeExecutionData": logging.get("IncludeExecutionData", False),
                "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": target}} for target in targets],
            }
        if "TracingConfiguration" in properties:
            asked["tracingConfiguration"] = {"enabled": properties["TracingConfiguration"].get("Enabled", False)}
        return asked

    @classmethod
    def update(cls, on, physical, old, new):
        on.client("stepfunctions").update_state_machine(stateMachineArn=physical, **cls._asked(new))

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("StateMachineDoesNotExist"):
            on.client("stepfunctions").delete_state_machine(stateMachineArn=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return physical if name == "Arn" else physical.rsplit(":", 1)[-1]

    @classmethod
    def read(cls, on, physical):
        with gone("StateMachineDoesNotExist"):
            found = on.client("stepfunctions").describe_state_machine(stateMachineArn=physical)
            return {"RoleArn": found["roleArn"]}
        return None


ALL = [Rule, StateMachine]
