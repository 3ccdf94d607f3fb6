"""Run Command, Step Functions, EventBridge, Secrets Manager."""

import json

import pytest

from samples import DOCUMENT, node
from stacks import Stack
from waits import refused, until

SHELL = "AWS-RunShellScript"


@pytest.fixture
def run(aws, node):
    ssm = aws.client("ssm")

    def start(*lines, document=SHELL, **parameters):
        asked = {**({"commands": list(lines)} if lines else {}), **{k: [v] for k, v in parameters.items()}}
        sent = ssm.send_command(DocumentName=document, InstanceIds=[node.id], Parameters=asked)["Command"]
        assert sent["Status"] == "Pending"
        return sent["CommandId"]

    return start


def over(ssm, command, instance):
    """The invocation, when it has ended. It is not there at once."""

    def ended():
        try:
            found = ssm.get_command_invocation(CommandId=command, InstanceId=instance)
        except ssm.exceptions.InvocationDoesNotExist:
            return None
        return found if found["Status"] not in ("Pending", "InProgress") else None

    return until(ended, "the command to end")


@pytest.mark.parametrize(
    ("lines", "status", "code", "out", "error"),
    [
        (["echo out; echo err >&2"], "Success", 0, "out\n", "err\n"),
        (["echo $AWS_SSM_REGION_NAME", "exit 3"], "Failed", 3, "us-east-1\n", ""),
        (["head -c 30000 /dev/zero | tr '\\0' x"], "Success", 0, None, ""),
    ],
)
def test_a_script_really_runs(aws, node, run, lines, status, code, out, error):
    ssm, command = aws.client("ssm"), run(*lines)
    with pytest.raises(ssm.exceptions.InvocationDoesNotExist):
        ssm.get_command_invocation(CommandId=command, InstanceId=node.id)
    found = over(ssm, command, node.id)
    assert (found["Status"], found["ResponseCode"], found["StandardErrorContent"]) == (status, code, error)
    if out is None:
        assert len(found["StandardOutputContent"]) == 24_000
        assert found["StandardOutputContent"].endswith("---Output truncated---")
    else:
        assert found["StandardOutputContent"] == out


def test_another_program_may_run_the_scripts(aws, node, run, tmp_path):
    program = tmp_path / "on-node"
    program.write_text('#!/bin/bash\necho "on $1"\nexec bash "$2"\n')
    program.chmod(0o755)
    aws.ask("behaviour", instances={"exec": str(program)})
    found = over(aws.client("ssm"), run("echo hello"), node.id)
    assert found["StandardOutputContent"] == f"on {node.id}\nhello\n"


def test_a_script_that_takes_too_long_and_one_that_is_cancelled(aws, node, run):
    ssm = aws.client("ssm")
    found = over(ssm, run("sleep 60", executionTimeout="1"), node.id)
    assert (found["Status"], found["StatusDetails"], found["ResponseCode"]) == ("TimedOut", "ExecutionTimedOut", -1)
    command = run("echo begun; sleep 60")

    def invocation():
        return ssm.list_command_invocations(CommandId=command, Details=True)["CommandInvocations"][0]

    until(lambda: invocation()["Status"] == "InProgress", "the command to begin")
    ssm.cancel_command(CommandId=command)
    until(lambda: invocation()["Status"] == "Cancelled", "the command to be cancelled")
    assert ssm.list_commands(CommandId=command)["Commands"][0]["Status"] == "Cancelled"


def test_a_document_takes_only_what_it_allows(aws, node, run):
    ssm = aws.client("ssm")
    ssm.create_document(Name="say", Content=json.dumps(DOCUMENT), DocumentType="Command")
    for batch, status in (("good", "Success"), ("bad", "Failed")):
        assert over(ssm, run(document="say", batch=batch), node.id)["Status"] == status
    with refused("InvalidParameters", '"batch" has value "$(reboot)" not matching'):
        run(document="say", batch="$(reboot)")
    with refused("InvalidParameters", '"other" is not defined'):
        run(document="say", batch="good", other="x")
    with refused("InvalidParameters", '"batch" is required'):
        run(document="say")
    with refused("InvalidDocument"):
        run(document="nothing")


def test_only_instances_that_are_managed_take_commands(aws, network, node):
    ssm = aws.client("ssm")
    bare = aws.client("ec2").run_instances(
        ImageId=network.image, InstanceType="c8g.large", MinCount=1, MaxCount=1, SubnetId=network.subnet
    )["Instances"][0]["InstanceId"]
    found = ssm.describe_instance_information()["InstanceInformationList"]
    assert [(item["InstanceId"], item["PingStatus"]) for item in found] == [(node.id, "Online")]
    for instance in (bare, "i-0123456789abcdef0"):
        with refused("InvalidInstanceId", f"Instances [[{instance}]] not in a valid state for account {aws.account}"):
            ssm.send_command(DocumentName=SHELL, InstanceIds=[instance], Parameters={"commands": ["true"]})
    aws.ask("behaviour", instances={"offline": [node.id]})
    assert ssm.describe_instance_information()["InstanceInformationList"][0]["PingStatus"] == "ConnectionLost"
    sent = ssm.send_command(DocumentName=SHELL, InstanceIds=[node.id], Parameters={"commands": ["true"]})["Command"]
    assert ssm.list_commands(CommandId=sent["CommandId"])["Commands"][0]["Status"] == "Pending"


@pytest.mark.parametrize(("batch", "status"), [("good", "SUCCEEDED"), ("bad", "FAILED")])
def test_an_event_starts_a_machine_that_runs_a_script_and_tells_of_a_failure(aws, network, batch, status):
    stack = Stack(aws, network)
    assert stack.apply(node(), "CREATE")["StackStatus"] == "CREATE_COMPLETE", stack.failures()
    ids = stack.resources()
    sqs, sns, states = aws.client("sqs"), aws.client("sns"), aws.client("stepfunctions")
    queue = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=ids["Topic"], Protocol="sqs", Endpoint=arn)

    detail = json.dumps({"batch_id": batch})
    aws.client("events").put_events(Entries=[{"Source": "tests", "DetailType": "BatchIndexed", "Detail": detail}])

    def ended():
        found = states.list_executions(stateMachineArn=ids["Machine"])["executions"]
        return found and found[0]["status"] != "RUNNING" and found[0]

    execution = until(ended, "the machine to end")
    told = states.describe_execution(executionArn=execution["executionArn"])
    assert told["status"] == status, told
    assert json.loads(told["input"])["detail"] == {"batch_id": batch}
    sent = aws.calls("SendCommand")
    assert [(call["by"], call["parameters"]["Parameters"]) for call in sent] == [("states", {"batch": [batch]})]
    messages = sqs.receive_message(QueueUrl=queue).get("Messages", [])
    assert len(messages) == (status == "FAILED")
    if status == "SUCCEEDED":
        # The times in the answer of SendCommand are text.
        assert json.loads(told["output"])["sent"]["Command"]["RequestedDateTime"].endswith("Z")


def test_a_transition_that_leads_nowhere_is_refused(aws):
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "B"}}}
    with refused("InvalidDefinition", "MISSING_TRANSITION_TARGET"):
        aws.client("stepfunctions").create_state_machine(
            name="m", definition=json.dumps(definition), roleArn=f"arn:aws:iam::{aws.account}:role/r"
        )


def test_a_promoted_secret_is_what_is_read(aws):
    secrets = aws.client("secretsmanager")
    first = secrets.create_secret(Name="key", SecretString="one")["VersionId"]
    second = secrets.put_secret_value(SecretId="key", SecretString="two", VersionStages=["AWSPENDING"])["VersionId"]
    assert secrets.get_secret_value(SecretId="key")["SecretString"] == "one"
    with refused("InvalidParameterException", first):
        secrets.update_secret_version_stage(SecretId="key", VersionStage="AWSCURRENT", MoveToVersionId=second)
    secrets.update_secret_version_stage(
        SecretId="key", VersionStage="AWSCURRENT", MoveToVersionId=second, RemoveFromVersionId=first
    )
    assert secrets.get_secret_value(SecretId="key")["SecretString"] == "two"
    secrets.put_secret_value(SecretId="key", SecretString="three")
    assert secrets.get_secret_value(SecretId="key")["SecretString"] == "three"
    assert secrets.get_secret_value(SecretId="key", VersionStage="AWSPREVIOUS")["SecretString"] == "two"
    with refused("InvalidRequestException", "No Lambda rotation function"):
        secrets.rotate_secret(SecretId="key")


def test_who_one_is(aws):
    assert aws.client("sts").get_caller_identity()["Account"] == aws.account
