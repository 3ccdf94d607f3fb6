"""The whole of it on AWS: the stack that `qmoor up` makes, the node on its volume, the keys in its secrets, verbs from
afar, and a backup on a message."""

import json
import os
import random
import stat
import subprocess

import httpx
import pytest

import server
from ebs_node import tags
from rendered import BINARY, config
from waits import until

pytestmark = pytest.mark.usefixtures("disks")

# What SSM would run on the machine, on this one: the same script, with the places of the program and its file.
ON_THE_NODE = """#!/bin/sh
sed -e 's#/usr/local/bin/qmoor#{binary}#g' -e 's#/etc/qmoor/qmoor.toml#{config}#g' "$2" | sh -s
"""


def outputs(cloudformation, stack):
    found = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in found}


class Story:
    """A stack, and the agent on its volume."""

    def __init__(self, aws, network, directory, **more):
        self.aws, self.directory = aws, directory
        settings = {
            "node__name": "docs",
            "aws__region": "us-east-1",
            "aws__vpc": network.vpc,
            "aws__subnet": network.subnet,
            "aws__zone": network.zone,
            "aws__index_groups": [network.ray[0]],
            "aws__search_groups": [network.ray[1]],
            "aws__volume_size": "20GiB",
            "aws__volume_iops": 3000,
            "aws__volume_throughput": 125,
            "aws__instance_type": "c8g.large",
            "engine__kind": "embedded",
            **more,
        }
        # What the operator has, on a laptop.
        self.file = config(directory, **settings)
        self.environment = {**os.environ, **aws.environment}

    def qmoor(self, *arguments, code=0):
        """A verb on the laptop: what it printed as JSON, or said."""
        command = [BINARY, "--config", self.file, "--json", "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=self.environment, timeout=110, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return json.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr

    def boot(self):
        """What the user data does, see test_user_data.py; and the agent, which listens here and not on 10.0.2.15."""
        self.outputs = outputs(self.aws.client("cloudformation"), "docs")
        devices = self.aws.emulator.devices
        disk = devices / f"nvme-Amazon_Elastic_Block_Store_{self.outputs['VolumeId'].replace('-', '')}"
        until(disk.exists, "the disk of the stack's volume")
        subprocess.run(["mkfs.xfs", "-q", "-L", "qmoor", disk], check=True)
        there = self.directory / "machine"
        there.mkdir()
        self.mount = there / "volume"
        text = self.file.read_text()
        for table, lines in {
            "node": f'dir = "{there / "node"}"',
            "volume": f'id = "{self.outputs["VolumeId"]}"\nmount = "{self.mount}"\ndevices = "{devices}"',
        }.items():
            kept = [
                line
                for line in text.split(f"[{table}]\n", 1)[1].splitlines()
                if line.split(" = ")[0] not in ("dir", "mount")
            ]
            text = text.split(f"[{table}]\n", 1)[0] + f"[{table}]\n{lines}\n" + "\n".join(kept)
        on_node = there / "qmoor.toml"
        # The ports stand in the security group; an address of its own keeps them free.
        address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        on_node.write_text(f'{text}\n[gateway]\nlisten = "{address}"\n')
        self.node = server.Server(["serve", "--config", on_node, "--json"], there / "node.log", self.aws.environment)
        self.node.wait_until_ready()
        program = there / "on-the-node"
        program.write_text(ON_THE_NODE.format(binary=BINARY, config=on_node))
        program.chmod(program.stat().st_mode | stat.S_IEXEC)
        self.aws.ask("behaviour", instances={"exec": str(program)})

    def key(self, role):
        secrets = self.aws.client("secretsmanager")
        return secrets.get_secret_value(SecretId=f"qmoor/docs/{role}", VersionStage="AWSCURRENT")["SecretString"]

    def status(self, key, path="/collections", **body):
        """The status of a request with this key."""
        with httpx.Client(base_url=self.node.url, headers={"api-key": key}, timeout=30) as client:
            return (client.put(path, json=body) if body else client.get(path)).status_code

    def snapshots(self):
        named = [{"Name": "tag:qmoor:node", "Values": ["docs"]}]
        return self.aws.client("ec2").describe_snapshots(OwnerIds=["self"], Filters=named)["Snapshots"]

    def end(self):
        if self.node.process.poll() is None:
            assert self.node.stop() == 0, self.node.tail()
        while os.path.ismount(self.mount):
            subprocess.run(["umount", self.mount], check=True)


@pytest.fixture
def story(aws, network, tmp_path):
    told = Story(aws, network, tmp_path)
    told.qmoor("up", "--yes")
    told.boot()
    yield told
    told.end()


def test_the_keys_may_be_parameters_instead(aws, network, tmp_path):
    told = Story(aws, network, tmp_path, aws__secrets="parameterstore")
    told.qmoor("up", "--yes")
    told.boot()
    try:

        def key(role):
            parameters = aws.client("ssm")
            found = parameters.get_parameter(Name=f"/qmoor/docs/{role}", WithDecryption=True)["Parameter"]
            assert found["Type"] == "SecureString"
            return found["Value"]

        # The agent has made them, at its first start.
        before = key("search")
        assert (told.status(before), told.status(key("index"))) == (200, 200)
        assert told.qmoor("remote", "keys", "rotate", "search")["kept_in"] == "/qmoor/docs/search"
        assert key("search") != before
        assert {told.status(key("search")), told.status(before)} == {200}
    finally:
        told.end()


def execution(aws, machine):
    """The end of the only execution of a state machine."""
    states = aws.client("stepfunctions")

    def over():
        found = states.list_executions(stateMachineArn=machine)["executions"]
        return found[0] if found and found[0]["status"] != "RUNNING" else None

    return until(over, "the state machine to end", 60)


def batch_indexed(aws, batch):
    detail = {"node": "docs", "batch_id": batch}
    entry = {"Source": "ray.indexing", "DetailType": "BatchIndexed", "Detail": json.dumps(detail)}
    assert aws.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0


def test_the_keys_are_those_of_the_secrets_and_turn_without_a_restart(story):
    # They are to be read where they are kept.
    assert not story.node.ready.get("keys")
    search, index = story.key("search"), story.key("index")
    assert story.status(search) == 200
    assert story.status(search, "/collections/c", vectors={"size": 2, "distance": "Dot"}) == 403
    assert story.status(index, "/collections/c", vectors={"size": 2, "distance": "Dot"}) == 200
    turned = story.qmoor("remote", "keys", "rotate", "search")
    assert (turned["kept_in"], turned["key"]) == ("qmoor/docs/search", "")
    fresh = story.key("search")
    assert fresh != search
    assert {story.status(fresh), story.status(search)} == {200}
    for key in (search, fresh, index, story.key("admin")):
        assert key not in story.node.log.read_text()
        for file in story.directory.rglob("*"):
            assert not file.is_file() or key.encode() not in file.read_bytes(), file


def test_verbs_run_from_afar_and_nothing_else_does(story):
    assert story.qmoor("remote", "status")["node"]["name"] == "docs"
    made = story.qmoor("remote", "backup", "--batch-id=7")
    assert made["grade"] == "clean"
    assert story.qmoor("remote", "backups")[0]["batch_id"] == "7"
    assert "cannot be run from afar" in story.qmoor("remote", "serve", code=2)
    assert "is not let through" in story.qmoor("remote", "backup", "--batch-id=$(reboot)", code=2)
    assert "there is no backup" in story.qmoor("remote", "drill", "b-never", code=1)


def test_a_message_is_followed_by_a_backup_of_that_batch(story, aws):
    batch_indexed(aws, "2026-11-25")
    ended = execution(aws, story.outputs["BackupMachineArn"])
    assert ended["status"] == "SUCCEEDED", ended
    (snapshot,) = story.snapshots()
    assert tags(snapshot)["qmoor:batch"] == "2026-11-25"
    assert len(tags(snapshot)["qmoor:manifest"]) == 64


def test_a_backup_that_does_not_come_about_is_told_to_the_topic(story, aws):
    queue = aws.client("sqs").create_queue(QueueName="told")["QueueUrl"]
    arn = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=story.outputs["AlarmTopicArn"], Protocol="sqs", Endpoint=arn)
    assert story.node.stop() == 0
    batch_indexed(aws, "8")
    assert execution(aws, story.outputs["BackupMachineArn"])["status"] == "FAILED"

    def told():
        return aws.client("sqs").receive_message(QueueUrl=queue).get("Messages")

    (message,) = until(told, "a message")
    assert "docs" in message["Body"]
    assert story.snapshots() == []
