"""`qmoor plan`, `up` and `down` against the emulator: what is made is described back, since that a stack is complete
says nothing of what is in it."""

import json
import os
import pty
import subprocess
from types import SimpleNamespace

import pytest

from conftest import IMAGE, REGION
from rendered import AMI, BINARY, config
from waits import until

STACK = "docs"
ADDRESS = "10.0.2.15"
OTHER_REGION = "eu-west-1"
SECONDS = 100


@pytest.fixture
def node(aws, network, tmp_path):
    return Node(aws, network, tmp_path)


class Node:
    """An operator with a file, before an account."""

    def __init__(self, aws, network, folder):
        self.aws, self.network, self.folder = aws, network, folder
        self.ec2, self.cloudformation = aws.client("ec2"), aws.client("cloudformation")
        self.keys = {
            "aws__region": REGION,
            "aws__vpc": network.vpc,
            "aws__subnet": network.subnet,
            "aws__zone": network.zone,
            "aws__address": ADDRESS,
            "aws__index_groups": [network.ray[0]],
            "aws__search_groups": [network.ray[1]],
        }

    def command(self, *arguments, **keys):
        file = config(self.folder, **{**self.keys, **keys})
        return [BINARY, *arguments, "--config", file]

    def environment(self, **others):
        return {"PATH": os.environ["PATH"], **self.aws.environment, **others}

    def run(self, *arguments, environment=None, **keys):
        """What a verb says, with `keys` in the file set otherwise."""
        done = subprocess.run(
            self.command(*arguments, "--json", **keys),
            env=environment or self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        told = json.loads(done.stdout) if done.stdout else None
        return SimpleNamespace(code=done.returncode, out=told, talk=done.stderr)

    def up(self, *arguments, **keys):
        done = self.run("up", "--yes", *arguments, **keys)
        assert done.code == 0, done.talk
        return done

    def plan(self, *arguments, **keys):
        done = self.run("plan", *arguments, **keys)
        assert done.code == 0, done.talk
        return done.out

    def effects(self, *arguments, **keys):
        """Name of a resource to what happens to it."""
        return {change["name"]: change["effect"] for change in self.plan(*arguments, **keys)["changes"]}

    def refused(self, *words, verb=("up", "--yes"), code=1, **more):
        """The verb does nothing, and says all of these words."""
        before = self.state()
        done = self.run(*verb, **more)
        assert (done.code, done.out) == (code, None), done.talk
        assert "hint: " in done.talk
        for word in words:
            assert word in done.talk, done.talk
        assert self.state() == before
        return done.talk

    def image(self, name):
        """One of Amazon's, by the name under which it is published."""
        name = f"/aws/service/ami-amazon-linux-latest/{name}"
        return self.aws.client("ssm").get_parameter(Name=name)["Parameter"]["Value"]

    # ---- what there is

    def stacks(self):
        return {stack["StackName"]: stack for stack in self.cloudformation.describe_stacks()["Stacks"]}

    def state(self):
        """All that a verb which does nothing must leave as it is."""
        stacks = {name: (stack["StackStatus"], self.change_sets(name)) for name, stack in self.stacks().items()}
        volumes = sorted(volume["VolumeId"] for volume in self.ec2.describe_volumes()["Volumes"])
        return stacks, volumes

    def change_sets(self, stack=STACK):
        """Those that may still be carried out."""
        found = self.cloudformation.list_change_sets(StackName=stack)["Summaries"]
        return [change["ChangeSetName"] for change in found if change["ExecutionStatus"] == "AVAILABLE"]

    def resources(self):
        found = self.cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in found}

    def instance(self, instance_id=None):
        instance_id = instance_id or self.resources()["Machine"]
        return self.ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]

    def volume(self, volume_id):
        return self.ec2.describe_volumes(VolumeIds=[volume_id])["Volumes"][0]


def tags(thing):
    return {tag["Key"]: tag["Value"] for tag in thing["Tags"] if not tag["Key"].startswith("aws:")}


# ---- made


def test_the_node_is_made_as_the_file_says(node):
    done = node.up()
    network, ids, told = node.network, node.resources(), done.out["outputs"]
    assert done.out["changed"] is True
    assert "CREATE_COMPLETE" in done.talk and "Interface" in done.talk

    interface = node.ec2.describe_network_interfaces(NetworkInterfaceIds=[ids["Interface"]])["NetworkInterfaces"][0]
    assert interface["PrivateIpAddress"] == told["Address"] == ADDRESS
    assert interface["SubnetId"] == network.subnet
    assert [group["GroupId"] for group in interface["Groups"]] == [ids["Group"]] == [told["SecurityGroupId"]]

    machine = node.instance()
    assert (machine["InstanceId"], machine["ImageId"]) == (told["InstanceId"], network.image)
    assert (machine["InstanceType"], machine["Architecture"]) == ("c8g.2xlarge", "arm64")
    assert [nic["NetworkInterfaceId"] for nic in machine["NetworkInterfaces"]] == [ids["Interface"]]
    assert machine["MetadataOptions"]["HttpTokens"] == "required"
    assert machine["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert "PublicIpAddress" not in machine
    assert machine["IamInstanceProfile"]["Arn"].endswith("/" + ids["Profile"])
    assert tags(machine)["qmoor:node"] == "docs"

    volume = node.volume(told["VolumeId"])
    assert (volume["VolumeType"], volume["Size"], volume["Iops"], volume["Throughput"]) == ("gp3", 200, 6000, 500)
    assert (volume["Encrypted"], volume["AvailabilityZone"]) == (True, network.zone)
    assert tags(volume)["qmoor:node"] == "docs" and tags(volume)["qmoor:role"] == "data"
    assert [at["InstanceId"] for at in volume["Attachments"]] == [machine["InstanceId"]]
    root = next(disk for disk in machine["BlockDeviceMappings"] if disk["Ebs"]["VolumeId"] != told["VolumeId"])
    assert node.volume(root["Ebs"]["VolumeId"])["Encrypted"] is True


def test_the_doors_keys_and_messages_are_made_as_the_file_says(node):
    node.up()
    ids, aws = node.resources(), node.aws
    group = node.ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"][0]
    doors = {
        (rule["FromPort"], pair["GroupId"]) for rule in group["IpPermissions"] for pair in rule["UserIdGroupPairs"]
    }
    assert doors == {(port, ray) for port in (6333, 6334) for ray in node.network.ray}
    assert all(not rule["IpRanges"] and not rule["Ipv6Ranges"] for rule in group["IpPermissions"])
    assert [(rule["FromPort"], rule["ToPort"]) for rule in group["IpPermissionsEgress"]] == [(443, 443)]

    secrets = aws.client("secretsmanager")
    keys = {role: secrets.get_secret_value(SecretId=f"qmoor/docs/{role}") for role in ("admin", "index", "search")}
    assert len({key["SecretString"] for key in keys.values()}) == 3
    assert all(len(key["SecretString"]) == 48 for key in keys.values())

    iam = aws.client("iam")
    profile = iam.get_instance_profile(InstanceProfileName=ids["Profile"])["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == [ids["Role"]]
    policy = iam.get_policy(PolicyArn=ids["SearchPolicy"])["Policy"]
    version = iam.get_policy_version(PolicyArn=ids["SearchPolicy"], VersionId=policy["DefaultVersionId"])
    assert version["PolicyVersion"]["Document"]["Statement"][0]["Resource"] == keys["search"]["ARN"]

    document = json.loads(aws.client("ssm").get_document(Name=ids["Document"])["Content"])
    assert document["mainSteps"][0]["action"] == "aws:runShellScript"
    rules = aws.client("events").list_rules()["Rules"]
    assert json.loads(rules[0]["EventPattern"])["detail-type"] == ["BatchIndexed"]
    machine = aws.client("stepfunctions").describe_state_machine(stateMachineArn=ids["BackupMachine"])
    assert ids["Machine"] in machine["definition"] and "${" not in machine["definition"]
    told = aws.client("sns").list_subscriptions_by_topic(TopicArn=ids["Topic"])["Subscriptions"]
    assert [one["Endpoint"] for one in told] == ["oncall@example.com"]


def test_what_up_tells_has_no_secret_and_all_that_clients_need(node):
    done = node.up()
    secrets = node.aws.client("secretsmanager")
    value = secrets.get_secret_value(SecretId="qmoor/docs/search")
    told = done.out["outputs"]
    assert value["SecretString"] not in json.dumps(done.out) + done.talk
    assert told["SearchSecret"] == value["ARN"]
    assert (told["Url"], told["GrpcUrl"]) == (f"http://{ADDRESS}:6333", f"http://{ADDRESS}:6334")
    assert told["ClientRule"] == f"tcp 6333 and 6334 to {told['SecurityGroupId']}"
    statement = done.out["policies"]["search"]["Statement"][0]
    assert statement["Action"] == "secretsmanager:GetSecretValue" and "qmoor/docs/search" in statement["Resource"]
    text = subprocess.run(
        node.command("up", "--yes"), env=node.environment(), capture_output=True, text=True, timeout=SECONDS, check=True
    )
    for word in (ADDRESS, told["SearchPolicyArn"], told["IndexSecret"], told["ClientRule"]):
        assert word in text.stdout


def test_a_stack_is_protected_until_down_takes_it_away(node):
    node.up()
    assert node.stacks()[STACK]["EnableTerminationProtection"] is True
    assert tags(node.stacks()[STACK]) == {"qmoor:node": "docs"}


# ---- shown and changed


def test_a_plan_shows_all_and_leaves_nothing_behind(node):
    before = node.state()
    told = node.plan()
    assert (told["action"], told["stack"], told["account"]) == ("create", STACK, node.aws.account)
    assert (told["image"], told["image_from"]) == (node.network.image, "the newest Amazon Linux 2023")
    assert {change["effect"] for change in told["changes"]} == {"adds"}
    assert {"Volume", "Machine", "Interface"} <= {change["name"] for change in told["changes"]}
    assert node.state() == before
    text = subprocess.run(
        node.command("plan"), env=node.environment(), capture_output=True, text=True, timeout=SECONDS, check=True
    ).stdout
    assert f"stack {STACK} in {REGION}, account {node.aws.account}: is to be made" in text
    assert "Volume" in text and "AWS::EC2::Volume" in text


def test_up_again_with_no_change_says_so_and_leaves_no_change_set(node):
    node.up()
    last = node.stacks()[STACK].get("LastUpdatedTime")
    again = node.up()
    assert again.out["changed"] is False and again.out["outputs"]["Address"] == ADDRESS
    assert node.plan()["action"] == "nothing"
    assert node.change_sets() == []
    assert node.stacks()[STACK].get("LastUpdatedTime") == last


def test_what_other_hands_have_changed_is_shown(node):
    node.up()
    assert node.plan()["drift"] == []
    assert node.run("status").out["drift"] == []
    volume = node.resources()["Volume"]
    node.ec2.modify_volume(VolumeId=volume, Iops=9000)
    (seen,) = node.plan()["drift"]
    assert (seen["resource"], seen["id"], seen["found"]) == ("Volume", volume, "9000")
    status = node.run("status")
    assert (status.code, status.out["status"], status.out["drift"]) == (0, "CREATE_COMPLETE", [seen])


def test_a_volume_grows_in_place_and_a_machine_restarts_for_its_size(node):
    volume = node.up().out["outputs"]["VolumeId"]
    machine = node.resources()["Machine"]
    larger = {"aws__volume_size": "300GiB", "aws__instance_type": "c8g.large"}
    assert {"Volume": "changes", "Machine": "restarts"}.items() <= node.effects(**larger).items()
    done = node.up(**larger)
    assert "the machine is shut down and started" in done.talk
    assert node.volume(volume)["Size"] == 300
    assert node.instance()["InstanceType"] == "c8g.large"
    assert node.resources()["Machine"] == machine


def test_the_image_stays_until_another_one_is_asked_for(node):
    other = node.image("al2023-ami-minimal-kernel-default-arm64")
    node.up(aws__ami=other)
    told = node.plan()
    assert (told["action"], told["image"]) == ("nothing", other)
    told = node.plan("--new-ami")
    assert (told["image"], told["machine_anew"]) == (node.network.image, True)
    effects = {change["name"]: change["effect"] for change in told["changes"]}
    assert (effects["Machine"], effects["Attachment"]) == ("replaces", "replaces")


def test_another_machine_takes_the_place_with_the_same_address_and_volume(node):
    other = node.image("al2023-ami-minimal-kernel-default-arm64")
    first = node.up(aws__ami=other).out["outputs"]
    done = node.up("--new-ami")
    now = done.out["outputs"]
    assert "the volume and the address stay" in done.talk
    assert now["InstanceId"] != first["InstanceId"]
    for kept in ("Address", "VolumeId", "InterfaceId", "SearchSecret", "BackupMachineArn", "AlarmTopicArn"):
        assert now[kept] == first[kept]
    assert node.instance(first["InstanceId"])["State"]["Name"] == "terminated"
    machine = node.instance()
    assert (machine["ImageId"], machine["PrivateIpAddress"]) == (node.network.image, ADDRESS)
    assert [at["InstanceId"] for at in node.volume(now["VolumeId"])["Attachments"]] == [now["InstanceId"]]
    states = node.aws.client("stepfunctions").describe_state_machine(stateMachineArn=now["BackupMachineArn"])
    assert now["InstanceId"] in states["definition"] and first["InstanceId"] not in states["definition"]
    calls = [call["action"] for call in node.aws.calls()]
    shut_down = calls.index("StopInstances")
    assert "DetachVolume" not in calls[:shut_down], "a mounted volume does not come off a machine that runs"


def test_a_machine_that_cannot_be_made_anew_is_made_by_the_next_up(node):
    other = node.image("al2023-ami-minimal-kernel-default-arm64")
    first = node.up(aws__ami=other).out["outputs"]
    node.aws.ask("fail", what="Machine", reason="We currently do not have sufficient capacity in the zone.")
    done = node.run("up", "--yes", "--new-ami")
    assert done.code == 1
    for word in ("sufficient capacity", "no machine now, and its data is safe", "`qmoor up` makes the machine"):
        assert word in done.talk
    now = node.up().out["outputs"]
    assert (now["VolumeId"], now["InterfaceId"]) == (first["VolumeId"], first["InterfaceId"])
    assert node.instance()["State"]["Name"] == "running"


def test_a_change_that_would_replace_the_volume_is_refused(node):
    node.up()
    subnet = node.ec2.create_subnet(VpcId=node.network.vpc, CidrBlock="10.0.3.0/24", AvailabilityZone=f"{REGION}b")[
        "Subnet"
    ]["SubnetId"]
    moved = {"aws__subnet": subnet, "aws__zone": f"{REGION}b", "aws__address": "10.0.3.15"}
    node.refused("only a new, blank volume could have that", "(AvailabilityZone)", "a backup and a restore", **moved)
    told = node.plan(**moved)
    assert len(told["refused"]) == 1
    key = "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef"
    node.refused("only a new, blank volume could have that", "(KmsKeyId)", aws__kms_key=key)
    node.refused("200 GiB, and cannot shrink", aws__volume_size="100GiB")


def test_a_change_of_a_volume_that_a_restore_has_replaced_is_refused(node):
    old = node.up().out["outputs"]["VolumeId"]
    told = [{"Key": "qmoor:node", "Value": "docs"}, {"Key": "qmoor:role", "Value": "data"}]
    new = node.ec2.create_volume(
        AvailabilityZone=node.network.zone,
        Size=200,
        VolumeType="gp3",
        TagSpecifications=[{"ResourceType": "volume", "Tags": told}],
    )["VolumeId"]
    node.ec2.create_tags(Resources=[old], Tags=[{"Key": "qmoor:role", "Value": "replaced"}])
    node.refused(old, "which a restore has replaced", f"modify-volume --volume-id {new}", aws__volume_iops=9000)
    assert node.volume(old)["Iops"] != 9000


# ---- in the way


def test_without_credentials_it_says_where_to_get_some(node):
    bare = {name: value for name, value in node.environment().items() if not name.startswith("AWS_S")}
    bare = {name: value for name, value in bare.items() if name != "AWS_ACCESS_KEY_ID"}
    bare["AWS_SHARED_CREDENTIALS_FILE"] = "/dev/null"
    node.refused("no AWS credentials", "aws configure", environment=bare)


def test_the_region_is_the_file_s_and_a_wrong_one_is_told(node):
    wrong = {"aws__region": OTHER_REGION, "aws__zone": f"{OTHER_REGION}a"}
    node.refused(f"there is no subnet {node.network.subnet} in {OTHER_REGION}", "aws.region and aws.subnet", **wrong)
    node.up()
    elsewhere = node.run("plan", environment=node.environment(AWS_REGION=OTHER_REGION))
    assert elsewhere.out["action"] == "nothing", "AWS_REGION is for those who have no file"


@pytest.mark.parametrize(
    ("address", "words"),
    [("10.0.3.15", "is not in the subnet"), ("10.0.2.3", "keeps for itself"), ("10.0.2.255", "keeps for itself")],
)
def test_an_address_outside_the_subnet_or_of_aws_is_refused(node, address, words):
    node.refused(f"the address {address}", words, "10.0.2.4 to 10.0.2.254", aws__address=address)


def test_an_address_that_is_taken_is_refused_with_who_has_it(node):
    taken = node.ec2.create_network_interface(
        SubnetId=node.network.subnet, PrivateIpAddress=ADDRESS, Description="a database"
    )["NetworkInterface"]["NetworkInterfaceId"]
    node.refused(f"the address {ADDRESS} is taken, by {taken}", "a database", "another aws.address")


def test_subnet_and_zone_belong_together(node):
    node.refused(f"is in {REGION}a, and not in {REGION}b", f'set aws.zone = "{REGION}a"', aws__zone=f"{REGION}b")
    other = node.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    talk = node.refused(f"is in {node.network.vpc}, and not in {other}", aws__vpc=other)
    assert talk.count("error: ") == 3, "the groups are of another one too, and all is said at once"


def test_a_group_that_is_not_there_or_of_another_vpc_is_refused(node):
    other = node.ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    foreign = node.ec2.create_security_group(GroupName="ray", Description="Ray", VpcId=other)["GroupId"]
    node.refused(f"{foreign} is of {other}", "aws.index_groups", aws__index_groups=[foreign])
    gone = "sg-0123456789abcdef0"
    node.refused(f"no security group {gone}", "aws.search_groups", aws__search_groups=[gone])


def test_a_type_that_the_zone_or_the_quota_does_not_admit_is_refused(node):
    offers = node.ec2.describe_instance_type_offerings(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["c8g.2xlarge"]}]
    )["InstanceTypeOfferings"]
    there = {offer["Location"] for offer in offers}
    zones = {zone["ZoneName"] for zone in node.ec2.describe_availability_zones()["AvailabilityZones"]}
    zone = min(zones - there)
    made = node.ec2.create_subnet(VpcId=node.network.vpc, CidrBlock="10.0.3.0/24", AvailabilityZone=zone)
    elsewhere = {"aws__subnet": made["Subnet"]["SubnetId"], "aws__zone": zone, "aws__address": "10.0.3.15"}
    node.refused(f"there is no c8g.2xlarge in {zone}, but in {min(there)}", **elsewhere)
    node.aws.ask("behaviour", quotas={"vcpus": 4})
    node.refused("c8g.2xlarge has 8 virtual processors; 0 of the 4", "Service Quotas")


def test_an_image_that_is_not_there_or_does_not_fit_is_refused(node):
    node.refused(f"the image {AMI} is not there", "aws.ami", aws__ami=AMI)
    other = node.image("al2023-ami-kernel-default-x86_64")
    node.refused(f"{other} is for x86_64, and c8g.2xlarge is arm64", aws__ami=other)


def test_a_stack_of_somebody_else_is_not_touched(node):
    template = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    node.cloudformation.create_stack(StackName=STACK, TemplateBody=template)
    until(lambda: node.stacks()[STACK]["StackStatus"] == "CREATE_COMPLETE", "the stack of somebody else")
    words = f"the stack `{STACK}` is not of the node `docs`"
    node.refused(words)
    node.refused(words, verb=("down", "--yes"))


# ---- asked


def test_where_nobody_can_be_asked_nothing_is_begun(node):
    mark = node.aws.ask("mark")["mark"]
    for verb in ("up", "down"):
        node.refused("no terminal to ask on", "--yes", verb=(verb,), code=2)
    assert {call["action"] for call in node.aws.calls(mark=mark)} <= {
        "DescribeStacks", "DescribeVolumes", "ListChangeSets", "GetCallerIdentity",
    }  # fmt: skip


class Asked:
    """A verb at a terminal."""

    def __init__(self, node, *arguments):
        self.mine, theirs = pty.openpty()
        self.process = subprocess.Popen(
            node.command(*arguments, "--quiet", "--json"), env=node.environment(), stdin=theirs,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        os.close(theirs)

    def question(self):
        """Reads up to the question."""
        line = self.process.stderr.readline()
        assert "Type yes:" in line, line + self.process.stderr.read()
        return line

    def answer(self, word):
        os.write(self.mine, f"{word}\n".encode())
        out, talk = self.process.communicate(timeout=SECONDS)
        os.close(self.mine)
        return SimpleNamespace(code=self.process.returncode, out=out, talk=talk)


def test_an_operator_is_asked_and_another_answer_than_yes_changes_nothing(node):
    asked = Asked(node, "up")
    asked.question()
    done = asked.answer("y")
    assert (done.code, done.out) == (1, "")
    assert "nothing was changed" in done.talk and "--yes" in done.talk
    assert node.stacks() == {}, "not even the empty stack of the change set is left"
    asked = Asked(node, "up")
    asked.question()
    done = asked.answer("yes")
    assert done.code == 0, done.talk
    assert json.loads(done.out)["changed"] is True


# ---- two operators


def test_who_declines_leaves_the_plan_of_another_for_the_same_new_stack(node):
    first = Asked(node, "up")
    first.question()
    assert node.plan()["action"] == "create"
    second = Asked(node, "up")
    second.question()
    assert second.answer("no").code == 1
    done = first.answer("yes")
    assert done.code == 0, done.talk


def test_while_somebody_changes_the_stack_nobody_else_does(node):
    node.up()
    node.aws.ask("behaviour", stacks={"pause": 3.0})
    slow = subprocess.Popen(
        node.command("up", "--yes", aws__volume_size="300GiB"), env=node.environment(), stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: node.stacks()[STACK]["StackStatus"] == "UPDATE_IN_PROGRESS", "the first operator")
    for verb in (("up", "--yes"), ("plan",), ("down", "--yes")):
        done = node.run(*verb, aws__volume_size="400GiB")
        assert done.code == 3, done.talk
        assert "somebody is changing the stack" in done.talk and "wait until" in done.talk
    assert slow.wait(SECONDS) == 0


def test_who_is_outrun_while_being_asked_is_told(node):
    node.up()
    (node.folder / "other").mkdir()
    other = Node(node.aws, node.network, node.folder / "other")
    node.keys["aws__volume_size"] = "300GiB"
    asked = Asked(node, "up")
    asked.question()
    volume = other.up(aws__volume_size="400GiB").out["outputs"]["VolumeId"]
    done = asked.answer("yes")
    assert done.code == 3, done.talk
    assert "somebody else has changed the stack" in done.talk and "run it again" in done.talk
    assert node.volume(volume)["Size"] == 400


# ---- bad days


def test_a_failure_is_told_by_its_first_cause_and_leads_on(node):
    node.aws.ask("fail", what="Machine", reason="We currently do not have sufficient capacity in the zone.")
    done = node.run("up", "--yes")
    assert (done.code, done.out) == (1, None)
    error = next(line for line in done.talk.splitlines() if line.startswith("error:"))
    assert "Machine (AWS::EC2::Instance): We currently do not have sufficient capacity" in error
    assert "choose another aws.instance_type" in done.talk and "`qmoor down`" in done.talk
    node.refused("is in ROLLBACK_COMPLETE", "can only be deleted", "`qmoor down`")
    node.refused("is in ROLLBACK_COMPLETE", verb=("plan",))
    down = node.run("down", "--yes")
    assert down.code == 0, down.talk
    assert down.out["kept_volumes"] == [], "a volume that never held anything is not kept"
    node.up()


def test_a_change_that_fails_leaves_all_as_it_was(node):
    volume = node.up().out["outputs"]["VolumeId"]
    node.aws.ask("fail", what="Machine", operation="update", reason="no such type today")
    done = node.run("up", "--yes", aws__instance_type="c8g.large", aws__volume_size="300GiB")
    assert done.code == 1
    assert "no such type today; all is as it was before" in done.talk
    assert node.instance()["InstanceType"] == "c8g.2xlarge"
    assert node.volume(volume)["Size"] == 200, "it is changed last, because it cannot be taken back"
    node.up(aws__instance_type="c8g.large", aws__volume_size="300GiB")
    assert node.volume(volume)["Size"] == 300


def test_a_stack_that_cannot_be_taken_back_says_how_to_go_on(node):
    node.up()
    change = {"aws__admin_groups": node.network.ray, "aws__instance_type": "c8g.large"}
    node.aws.ask("fail", what="Machine", operation="update", reason="no such type today")
    node.aws.ask("fail", what="Group", operation="rollback", reason="nor the old rules")
    done = node.run("up", "--yes", **change)
    assert done.code == 1
    assert "Machine (AWS::EC2::Instance): no such type today" in done.talk, "the first cause, not the last event"
    assert "UPDATE_ROLLBACK_FAILED" in done.talk and "continue-update-rollback" in done.talk
    words = ("is in UPDATE_ROLLBACK_FAILED", f"continue-update-rollback --stack-name {STACK} --region {REGION}")
    node.refused(*words)
    node.cloudformation.continue_update_rollback(StackName=STACK)
    until(lambda: node.stacks()[STACK]["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE", "the rollback")
    node.up(**change)


def test_throttled_on_every_second_call_and_cut_off_it_still_gets_there(node, faults):
    cut = [{"action": action, "at": [1], "do": "cut_after"} for action in ("CreateChangeSet", "ExecuteChangeSet")]
    proxy = faults({"rules": [*cut, {"action": "*", "every": 2, "do": "throttle"}]})
    through = node.environment(AWS_ENDPOINT_URL=proxy.url)
    done = node.run("up", "--yes", environment=through)
    assert done.code == 0, done.talk
    assert node.instance()["State"]["Name"] == "running"
    assert len(node.stacks()) == 1 and node.change_sets() == []
    done = node.run("down", "--yes", environment=through)
    assert done.code == 0, done.talk
    assert node.stacks() == {}


def test_each_service_can_have_an_endpoint_of_its_own(node):
    services = ("STS", "EC2", "CLOUDFORMATION", "SSM", "SERVICE_QUOTAS")
    own = {f"AWS_ENDPOINT_URL_{service}": node.aws.environment["AWS_ENDPOINT_URL"] for service in services}
    done = node.run("plan", environment=node.environment(AWS_ENDPOINT_URL="http://127.0.0.1:1", **own))
    assert done.code == 0, done.talk
    done = node.run("plan", environment=node.environment(AWS_ENDPOINT_URL="nonsense"))
    assert done.code == 1
    assert "`nonsense` is not an address of STS" in done.talk


def test_a_proxy_is_taken_from_the_environment(node):
    gone = {"HTTP_PROXY": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"}
    done = node.run("plan", environment=node.environment(**gone))
    assert done.code == 1
    assert "cannot talk to" in done.talk and "a proxy if there is one" in done.talk
    done = node.run("plan", environment=node.environment(**gone, NO_PROXY="127.0.0.1"))
    assert done.code == 0, done.talk


# ---- taken away


def test_down_keeps_the_data_and_up_goes_on_with_it(node):
    first = node.up().out["outputs"]
    done = node.run("down", "--yes")
    assert done.code == 0, done.talk
    assert (done.out["deleted"], done.out["kept_volumes"]) == (True, [first["VolumeId"]])
    assert f"volume {first['VolumeId']}, 200 GiB, data" in done.talk
    assert node.stacks() == {}
    assert node.instance(first["InstanceId"])["State"]["Name"] == "terminated"
    volume = node.volume(first["VolumeId"])
    assert (volume["State"], tags(volume)["qmoor:role"]) == ("available", "data")

    words = f"{first['VolumeId']} is left from before"
    node.refused(words, f'volume.id = "{first["VolumeId"]}"')
    now = node.up(volume__id=first["VolumeId"]).out["outputs"]
    assert now["VolumeId"] == first["VolumeId"]
    assert [at["InstanceId"] for at in node.volume(now["VolumeId"])["Attachments"]] == [now["InstanceId"]]
    assert "Volume" not in node.resources(), "no second volume is made and paid for"
    assert node.plan(volume__id=first["VolumeId"])["action"] == "nothing"
    node.refused("the volume vol-0123456789abcdef0 is not there", volume__id="vol-0123456789abcdef0")


def test_down_deletes_the_data_when_told_twice_and_nobody_else_s(node):
    told = node.up().out["outputs"]
    mine = node.ec2.create_snapshot(
        VolumeId=told["VolumeId"],
        TagSpecifications=[{"ResourceType": "snapshot", "Tags": [{"Key": "qmoor:node", "Value": "docs"}]}],
    )["SnapshotId"]
    theirs = node.ec2.create_snapshot(VolumeId=told["VolumeId"])["SnapshotId"]
    once = ("down", "--yes", "--delete-data")
    node.refused("deletes the volumes and all snapshots", "--yes-delete-data docs", verb=once, code=2)
    node.refused("the node is `docs`, and not `dogs`", verb=(*once, "--yes-delete-data", "dogs"), code=2)
    done = node.run(*once, "--yes-delete-data", "docs")
    assert done.code == 0, done.talk
    assert (done.out["deleted_volumes"], done.out["deleted_snapshots"]) == ([told["VolumeId"]], [mine])
    assert (done.out["kept_volumes"], done.out["kept_snapshots"]) == ([], [])
    assert "DELETED FOR GOOD" in done.talk
    left = node.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert [snapshot["SnapshotId"] for snapshot in left] == [theirs]
    node.up()


def test_down_without_a_stack_says_so(node):
    done = node.run("down", "--yes")
    assert (done.code, done.out["deleted"]) == (0, False)
    assert f"there is no stack {STACK}" in done.talk


def test_down_goes_on_where_it_stopped(node):
    node.up()
    node.aws.ask("fail", what="Group", operation="delete", reason="resource sg-1 has a dependent object")
    done = node.run("down", "--yes")
    assert done.code == 1
    assert "Group (AWS::EC2::SecurityGroup)" in done.talk and "take that away first" in done.talk
    node.refused("is in DELETE_FAILED", "`qmoor down` goes on deleting it")
    done = node.run("down", "--yes")
    assert done.code == 0, done.talk
    assert node.stacks() == {}


def test_the_image_is_looked_up_where_amazon_publishes_it(node):
    assert node.aws.client("ssm").get_parameter(Name=IMAGE)["Parameter"]["Value"] == node.plan()["image"]
