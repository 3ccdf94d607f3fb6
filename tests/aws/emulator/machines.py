"""Step Functions: tasks act in the account of the machine's role, errors have AWS's names, waits are short."""

import json
import logging
import sys
import uuid
from datetime import date, datetime
from types import SimpleNamespace

from moto.core.exceptions import AWSError
from moto.stepfunctions.parser import api
from moto.stepfunctions.parser.api import InvalidDefinition
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import state_task_service_aws_sdk as sdk
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import WaitFunction
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from .aws import client
from .patch import replaces
from .world import DEFAULT_ACCOUNT, world

ERROR_NAMES = {
    "cloudformation": "CloudFormation", "cloudwatch": "CloudWatch", "ec2": "Ec2", "eventbridge": "EventBridge",
    "iam": "Iam", "s3": "S3", "secretsmanager": "SecretsManager", "sns": "Sns", "sqs": "Sqs", "ssm": "Ssm",
    "sts": "Sts",
}  # fmt: skip


def _client(region, service, state_credentials=None):
    role = getattr(state_credentials, "role_arn", "") or ""
    account = role.split(":")[4] if role.count(":") >= 5 else DEFAULT_ACCOUNT
    return client(service, region, account, by="states")


def _everywhere():
    """The function has been imported by name into many modules."""
    for name, module in list(sys.modules.items()):
        if name.startswith("moto.stepfunctions.") and hasattr(module, "boto_client_for"):
            module.boto_client_for = _client


def _named():
    """moto's errors of this service have their code where its answers do not look for it."""
    for error in vars(api).values():
        if isinstance(error, type) and issubclass(error, AWSError) and hasattr(error, "status_code"):
            error.TYPE, error.STATUS = error.code, error.status_code


_everywhere()
_named()
# A failed state is what tests ask for, and is in the history.
logging.getLogger("moto.stepfunctions").setLevel(logging.CRITICAL)
sdk._SERVICE_ERROR_NAMES.update(ERROR_NAMES)


def plain(value):
    """Times as text, since a state's output is JSON."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else value


@replaces(sdk.StateTaskServiceAwsSdk)
def _eval_service_task(former, self, env, resource_runtime_part, normalised_parameters, state_credentials):
    former(self, env, resource_runtime_part, normalised_parameters, state_credentials)
    env.stack[-1] = plain(env.stack[-1])


def longest():
    return world.behaviour(DEFAULT_ACCOUNT, "machines")["longest_wait"]


@replaces(WaitFunction)
def _wait_interval(former, self, env, wait_seconds):
    # Less than a second would be taken for an interruption, and begun again.
    env.program_state_event.wait(min(wait_seconds, longest()))


def _short_sleep(seconds):
    import time

    time.sleep(min(seconds, longest()))


retrier_decl.time = SimpleNamespace(sleep=_short_sleep)


@replaces(StepFunctionsParserBackend)
def start_execution(former, self, state_machine_arn, name=None, *arguments, **more):
    return former(self, state_machine_arn, name or str(uuid.uuid4()), *arguments, **more)


@replaces(StepFunctionsParserBackend)
def create_state_machine(former, self, name, definition, *arguments, **more):
    check(definition)
    return former(self, name, definition, *arguments, **more)


@replaces(StepFunctionsParserBackend)
def update_state_machine(former, self, arn, definition=None, *arguments, **more):
    if definition is not None:
        check(definition)
    return former(self, arn, definition, *arguments, **more)


def check(definition):
    """Refuses transitions that lead nowhere, as CreateStateMachine does."""
    try:
        machine = json.loads(definition)
    except ValueError as error:
        raise InvalidDefinition(f"Invalid State Machine Definition: 'INVALID_JSON_DESCRIPTION: {error}'") from error
    wrong = list(lost(machine, ""))
    if wrong:
        text = ", ".join(f"MISSING_TRANSITION_TARGET: Missing target: {name} at {path}" for path, name in wrong)
        raise InvalidDefinition(f"Invalid State Machine Definition: '{text}'")


def lost(machine, path):
    """(path, name) of each transition to a state that is not there."""
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        yield f"{path}/StartAt", machine.get("StartAt")
    for name, state in states.items():
        here = f"{path}/States/{name}"
        ways = [("Next", state.get("Next")), ("Default", state.get("Default"))]
        for kind in ("Catch", "Choices"):
            ways += [(f"{kind}[{i}]/Next", way.get("Next")) for i, way in enumerate(state.get(kind, []))]
        yield from ((f"{here}/{way}", target) for way, target in ways if target is not None and target not in states)
        inner = state.get("Branches", []) + [state[key] for key in ("Iterator", "ItemProcessor") if key in state]
        for index, branch in enumerate(inner):
            yield from lost(branch, f"{here}/Branches[{index}]")
