"""What tests on AWS start from.

emulator (session)  the running emulator: `url`, `devices` (the by-id folder), `disks` (whether volumes are devices),
                    `ask(name, **)` for POST /emulator/name
aws                 an account of its own in it: `account`, `client(service, region=, url=)`, `ask` and `calls` for this
                    account, `environment` for a program that is to act in it (AWS_ENDPOINT_URL, keys, region)
network             in that account: `vpc`, `subnet` (10.0.2.0/24 in `zone`), `ray` (two security groups), `image`, an
                    arm64 one
node                an instance in that network, with an instance profile, at 10.0.2.15: `id`, `interface`
disks               skips, loudly, where there are no loop devices
faults              `faults(plan)` starts the proxy before the emulator: `url`, `log()`, `plan(...)`

In waits.py: `until(ready, what)` waits with a deadline; `refused(code)` expects an error of AWS.
"""

import json
import os
import random
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config

HERE = Path(__file__).parent
REGION = "us-east-1"
IMAGE = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"

_session = boto3.Session()


def can_loop():
    if os.geteuid() != 0:
        return "not root"
    try:
        subprocess.run(["losetup", "--find"], check=True, capture_output=True, timeout=10)
        subprocess.run(["mkfs.xfs", "-V"], check=True, capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        return f"no loop devices or no xfsprogs: {error}"
    return None


def started(*command):
    """A program that tells where it is in one line of JSON, and ends when its standard input closes."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{command[0]} ended with {process.wait()} before it was ready")
    return process, json.loads(line)


def ended(process):
    process.stdin.close()
    process.stdout.close()
    assert process.wait(timeout=30) == 0


def posted(url, **asked):
    request = urllib.request.Request(url, data=json.dumps(asked).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())


@dataclass
class Emulator:
    url: str
    devices: Path
    pid: int
    disks: bool

    def ask(self, name, **asked):
        return posted(f"{self.url}/emulator/{name}", **asked)


@dataclass
class Aws:
    emulator: Emulator
    account: str
    keys: dict
    made: dict = field(default_factory=dict)

    def client(self, service, region=REGION, url=None, **config):
        key = (service, region, url, *config)
        if key not in self.made:
            self.made[key] = _session.client(
                service,
                region_name=region,
                endpoint_url=url or self.emulator.url,
                config=Config(**{"retries": {"total_max_attempts": 1}, "read_timeout": 60, **config}),
                **self.keys,
            )
        return self.made[key]

    def ask(self, name, **asked):
        return self.emulator.ask(name, account=self.account, **asked)

    def calls(self, action=None, mark=0):
        return self.ask("calls", action=action, mark=mark)["calls"]

    @property
    def environment(self):
        names = {"AWS_ACCESS_KEY_ID": "aws_access_key_id", "AWS_SECRET_ACCESS_KEY": "aws_secret_access_key",
                 "AWS_SESSION_TOKEN": "aws_session_token"}  # fmt: skip
        return {
            **{name: self.keys[key] for name, key in names.items()},
            "AWS_ENDPOINT_URL": self.emulator.url,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    missing = can_loop()
    folder = tmp_path_factory.mktemp("emulator")
    process, told = started("emulator", "--dir", folder, *([] if missing else ["--disks"]))
    yield Emulator(told["url"], Path(told["devices"]), told["pid"], missing is None)
    ended(process)


@pytest.fixture
def aws(emulator):
    account = str(random.randrange(10**11, 10**12))
    any_keys = {"aws_access_key_id": "AKIAEXAMPLEEXAMPLE00", "aws_secret_access_key": "any"}
    sts = _session.client("sts", region_name=REGION, endpoint_url=emulator.url, **any_keys)
    made = sts.assume_role(RoleArn=f"arn:aws:iam::{account}:role/tests", RoleSessionName="tests")["Credentials"]
    keys = {
        "aws_access_key_id": made["AccessKeyId"],
        "aws_secret_access_key": made["SecretAccessKey"],
        "aws_session_token": made["SessionToken"],
    }
    return Aws(emulator, account, keys)


@pytest.fixture
def disks(emulator):
    if not emulator.disks:
        pytest.skip(f"SKIPPED: volumes cannot be disks here: {can_loop()}")


@pytest.fixture
def network(aws):
    ec2, zone = aws.client("ec2"), f"{REGION}a"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    ray = [
        ec2.create_security_group(GroupName=f"ray-{name}", Description=f"Ray {name}", VpcId=vpc)["GroupId"]
        for name in ("indexing", "inference")
    ]
    image = aws.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"]
    return SimpleNamespace(vpc=vpc, subnet=subnet, zone=zone, ray=ray, image=image)


@pytest.fixture
def node(aws, network):
    ec2, iam = aws.client("ec2"), aws.client("iam")
    iam.create_role(RoleName="node", AssumeRolePolicyDocument="{}")
    iam.create_instance_profile(InstanceProfileName="node")
    iam.add_role_to_instance_profile(InstanceProfileName="node", RoleName="node")
    made = ec2.create_network_interface(SubnetId=network.subnet, PrivateIpAddress="10.0.2.15")
    interface = made["NetworkInterface"]["NetworkInterfaceId"]
    instance = ec2.run_instances(
        ImageId=network.image,
        InstanceType="c8g.large",
        MinCount=1,
        MaxCount=1,
        IamInstanceProfile={"Name": "node"},
        NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": interface}],
    )["Instances"][0]["InstanceId"]
    yield SimpleNamespace(id=instance, interface=interface)
    ec2.terminate_instances(InstanceIds=[instance])


@pytest.fixture
def faults(emulator):
    running = []

    def start(plan):
        process, told = started("faults", "--upstream", emulator.url, "--plan", json.dumps(plan))
        running.append(process)

        def log():
            with urllib.request.urlopen(f"{told['url']}/faults/log", timeout=10) as answer:
                return json.loads(answer.read())

        return SimpleNamespace(url=told["url"], log=log, plan=lambda p: posted(f"{told['url']}/faults/plan", **p))

    yield start
    for process in running:
        ended(process)
