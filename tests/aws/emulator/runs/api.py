"""The actions of Run Command."""

import os
import time
import uuid
from collections import defaultdict
from datetime import timedelta

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models import ec2_backends
from moto.ssm.responses import SimpleSystemManagerResponse as Response

from ..patch import adds, replaces
from ..world import world
from .documents import find, refuse, steps
from .run import RUNNING, Run, cut, now

# The limits of GetCommandInvocation and of ListCommandInvocations with Details.
OUT, ERR, DETAIL = 24_000, 8_000, 2_500
KEPT = defaultdict(dict)


class Command:
    def __init__(self, asked, runs):
        self.id = str(uuid.uuid4())
        self.asked, self.runs = asked, {run.instance_id: run for run in runs}
        self.sent, self.requested = time.monotonic(), now()
        self.seconds = asked.get("TimeoutSeconds", 3600)

    def look(self):
        """Ends what could not be delivered in time."""
        if time.monotonic() - self.sent > self.seconds:
            for run in self.runs.values():
                if run.status == "Pending":
                    run.expire()

    @property
    def status(self):
        self.look()
        found = [run.status for run in self.runs.values()]
        for status in ("InProgress", "Pending", "Failed", "TimedOut", "Cancelled"):
            if status in found:
                return status
        return "Success"

    def shown(self):
        status, runs = self.status, list(self.runs.values())
        names = ("Comment", "Parameters", "Targets", "MaxConcurrency", "MaxErrors", "DocumentVersion")
        return {
            "CommandId": self.id,
            "DocumentName": self.asked["DocumentName"],
            "RequestedDateTime": self.requested,
            "ExpiresAfter": self.requested + timedelta(seconds=self.seconds),
            "InstanceIds": list(self.runs),
            "Status": status,
            "StatusDetails": status if status != "TimedOut" else runs[0].details,
            "TimeoutSeconds": self.seconds,
            "TargetCount": len(runs),
            "CompletedCount": sum(run.status not in RUNNING for run in runs),
            "ErrorCount": sum(run.status in ("Failed", "TimedOut") for run in runs),
            "DeliveryTimedOutCount": sum(run.details == "DeliveryTimedOut" for run in runs),
            **{name: self.asked[name] for name in names if self.asked.get(name)},
        }


def managed(account, region):
    """Instances that the agent runs on: with an instance profile and not ended, as InstanceId to instance."""
    backend = ec2_backends[account][region]
    return {
        instance.id: instance
        for instance in backend.all_instances()
        if instance.state == "running" and backend.iam_instance_profile_associations.get(instance.id)
    }


def offline(account):
    return set(world.behaviour(account, "instances")["offline"])


@replaces(Response)
def send_command(former, self):
    names = ("DocumentName", "DocumentVersion", "Comment", "Parameters", "Targets", "MaxConcurrency", "MaxErrors",
             "InstanceIds", "TimeoutSeconds")  # fmt: skip
    asked = {name: self._get_param(name) for name in names if self._get_param(name) is not None}
    there = managed(self.current_account, self.region)
    wanted = _targets(asked, there)
    unfit = [instance_id for instance_id in wanted if instance_id not in there]
    if unfit:
        refuse(
            "InvalidInstanceId",
            f"Instances [[{', '.join(unfit)}]] not in a valid state for account {self.current_account}",
        )
    if not 30 <= asked.get("TimeoutSeconds", 3600) <= 2_592_000:
        refuse("ValidationException", "TimeoutSeconds must be between 30 and 2592000")
    document = find(asked["DocumentName"], asked.get("DocumentVersion"), self.current_account, self.region)
    plan = steps(document, asked.get("Parameters", {}))
    silent = offline(self.current_account)
    program = world.behaviour(self.current_account, "instances")["exec"] or os.environ.get("EMULATOR_EXEC")
    command = Command(asked, [Run(i, plan, self.region, program, i in silent) for i in wanted])
    KEPT[self.current_account, self.region][command.id] = command
    # What was sent is pending in the answer, however fast it is.
    shown = command.shown() | {"Status": "Pending", "StatusDetails": "Pending", "CompletedCount": 0, "ErrorCount": 0}
    return ActionResult({"Command": shown})


def _targets(asked, there):
    wanted = list(asked.get("InstanceIds", []))
    for target in asked.get("Targets", []):
        key, values = target["Key"], set(target["Values"])
        if key.lower() == "instanceids":
            wanted += target["Values"]
        for instance in there.values():
            tags = {tag["key"]: tag["value"] for tag in instance.get_tags()}
            if (key.startswith("tag:") and tags.get(key[4:]) in values) or (key == "tag-key" and values & set(tags)):
                wanted.append(instance.id)
    return list(dict.fromkeys(wanted))


def _command(self):
    found = KEPT[self.current_account, self.region].get(self._get_param("CommandId"))
    if found is None:
        refuse("InvalidCommandId", "")
    found.look()
    return found


def _commands(self):
    """The one that is asked for, or all."""
    if self._get_param("CommandId"):
        return [_command(self)]
    return list(KEPT[self.current_account, self.region].values())


@replaces(Response)
def get_command_invocation(former, self):
    command, instance_id = _command(self), self._get_param("InstanceId")
    run = command.runs.get(instance_id)
    late = time.monotonic() - command.sent < world.behaviour(self.current_account, "instances")["late"]
    if run is None or late:
        # An invocation is not there at once: https://repost.aws/questions, and every SDK's waiter retries it.
        refuse("InvocationDoesNotExist", "")
    plugins = run.plugins
    name = self._get_param("PluginName")
    if name:
        plugins = [plugin for plugin in plugins if plugin.name == name]
        if not plugins:
            refuse("InvalidPluginName", "")
    elif len(plugins) > 1:
        plugins = [run._worst()]
    plugin = plugins[0]
    began, ended = plugin.began, plugin.ended
    seconds = (ended - began).total_seconds() if began and ended else 0
    return ActionResult(
        {
            "CommandId": command.id,
            "InstanceId": instance_id,
            "Comment": command.asked.get("Comment", ""),
            "DocumentName": command.asked["DocumentName"],
            "DocumentVersion": command.asked.get("DocumentVersion", "$DEFAULT"),
            "PluginName": plugin.name,
            "ResponseCode": plugin.code,
            "ExecutionStartDateTime": began.isoformat() if began else "",
            "ExecutionElapsedTime": f"PT{seconds:.3f}S",
            "ExecutionEndDateTime": ended.isoformat() if ended else "",
            "Status": run.status,
            "StatusDetails": run.details,
            "StandardOutputContent": cut(plugin.out, OUT),
            "StandardOutputUrl": "",
            "StandardErrorContent": cut(plugin.err, ERR),
            "StandardErrorUrl": "",
        }
    )


@replaces(Response)
def list_commands(former, self):
    found = _commands(self)
    instance_id = self._get_param("InstanceId")
    found = [command for command in found if instance_id is None or instance_id in command.runs]
    return ActionResult({"Commands": [command.shown() for command in reversed(found)]})


@adds(Response)
def list_command_invocations(self):
    found = _commands(self)
    instance_id, details = self._get_param("InstanceId"), self._get_param("Details", False)
    return ActionResult(
        {
            "CommandInvocations": [
                _invocation(command, run, details)
                for command in reversed(found)
                for run in command.runs.values()
                if instance_id in (None, run.instance_id)
            ]
        }
    )


def _invocation(command, run, details):
    shown = {
        "CommandId": command.id,
        "InstanceId": run.instance_id,
        "Comment": command.asked.get("Comment", ""),
        "DocumentName": command.asked["DocumentName"],
        "RequestedDateTime": command.requested,
        "Status": run.status,
        "StatusDetails": run.details,
        "CommandPlugins": [],
    }
    for plugin in run.plugins if details else []:
        error = f"\n----------ERROR-------\n{plugin.err}" if plugin.err else ""
        entry = {
            "Name": plugin.name,
            "Status": plugin.status,
            "StatusDetails": plugin.details,
            "ResponseCode": plugin.code,
            "ResponseStartDateTime": plugin.began,
            "ResponseFinishDateTime": plugin.ended,
            "Output": cut(plugin.out + error, DETAIL),
        }
        shown["CommandPlugins"].append({name: value for name, value in entry.items() if value is not None})
    return shown


@adds(Response)
def cancel_command(self):
    command = _command(self)
    for instance_id in self._get_param("InstanceIds") or list(command.runs):
        if instance_id not in command.runs:
            refuse("InvalidInstanceId", "")
        command.runs[instance_id].cancel()
    return EmptyResult()


@adds(Response)
def describe_instance_information(self):
    there, silent = managed(self.current_account, self.region), offline(self.current_account)
    wanted = None
    for rule in self._get_param("Filters") or []:
        if rule["Key"] == "InstanceIds":
            wanted = set(rule["Values"])
    for rule in self._get_param("InstanceInformationFilterList") or []:
        if rule["key"] == "InstanceIds":
            wanted = set(rule["valueSet"])
    found = [instance for i, instance in there.items() if wanted is None or i in wanted]
    return ActionResult(
        {
            "InstanceInformationList": [
                {
                    "InstanceId": instance.id,
                    "PingStatus": "ConnectionLost" if instance.id in silent else "Online",
                    "LastPingDateTime": now(),
                    "AgentVersion": "3.3.987.0",
                    "IsLatestVersion": True,
                    "PlatformType": "Linux",
                    "PlatformName": "Amazon Linux",
                    "PlatformVersion": "2023",
                    "ResourceType": "EC2Instance",
                    "IPAddress": instance.private_ip,
                    "ComputerName": instance.private_dns_name,
                }
                for instance in found
            ]
        }
    )
