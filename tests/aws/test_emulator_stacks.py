"""CloudFormation: what a stack makes, what a change set tells, how it fails, what it leaves."""

import base64
import json

import pytest

from samples import node, text
from stacks import Stack, changes
from waits import refused, until


@pytest.fixture
def stack(aws, network):
    return Stack(aws, network)


@pytest.fixture
def made(stack):
    """A stack of the whole template."""
    assert stack.apply(node(), "CREATE")["StackStatus"] == "CREATE_COMPLETE", stack.failures()
    return stack


def test_each_resource_is_as_the_template_says(aws, network, stack):
    ec2 = aws.client("ec2")
    plan = stack.plan(node(), "CREATE", Mail="a@example.com")
    assert stack.describe()["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert {change["Action"] for change in changes(plan).values()} == {"Add"}
    assert stack.carry_out(plan)["StackStatus"] == "CREATE_COMPLETE", stack.failures()
    ids, outputs = stack.resources(), stack.outputs()
    assert outputs["Address"] == "10.0.2.15" and outputs["Volume"] == ids["Volume"]

    volume = ec2.describe_volumes(VolumeIds=[ids["Volume"]])["Volumes"][0]
    figures = {name: volume[name] for name in ("Size", "VolumeType", "Iops", "Throughput", "Encrypted")}
    assert figures == {"Size": 10, "VolumeType": "gp3", "Iops": 4000, "Throughput": 250, "Encrypted": True}
    tags = {tag["Key"]: tag["Value"] for tag in volume["Tags"]}
    assert tags["role"] == "data" and tags["aws:cloudformation:logical-id"] == "Volume"
    assert volume["Attachments"][0]["InstanceId"] == ids["Node"]

    instance = ec2.describe_instances(InstanceIds=[ids["Node"]])["Reservations"][0]["Instances"][0]
    assert instance["PrivateIpAddress"] == "10.0.2.15" and instance["EbsOptimized"]
    assert [group["GroupId"] for group in instance["SecurityGroups"]] == [ids["Group"]]
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    assert instance["MetadataOptions"]["HttpPutResponseHopLimit"] == 1
    assert instance["NetworkInterfaces"][0]["NetworkInterfaceId"] == ids["Interface"]
    assert instance["IamInstanceProfile"]["Arn"].endswith(ids["Profile"])
    data = ec2.describe_instance_attribute(InstanceId=ids["Node"], Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(data).decode() == f"VOLUME={ids['Volume']} KEY={ids['Key']}"

    group = ec2.describe_security_groups(GroupIds=[ids["Group"]])["SecurityGroups"][0]
    ports = {(rule["FromPort"], rule["UserIdGroupPairs"][0]["GroupId"]) for rule in group["IpPermissions"]}
    assert ports == {(6333, network.ray[0]), (9000, network.ray[0])}
    assert [(rule["FromPort"], rule["IpRanges"][0]["CidrIp"]) for rule in group["IpPermissionsEgress"]] == [
        (443, "0.0.0.0/0")
    ]

    iam = aws.client("iam")
    policy = iam.get_role_policy(RoleName=ids["Role"], PolicyName="own")["PolicyDocument"]
    assert policy["Statement"][0]["Resource"] == ids["Key"]
    attached = iam.list_attached_role_policies(RoleName=ids["Role"])["AttachedPolicies"]
    assert [item["PolicyName"] for item in attached] == ["AmazonSSMManagedInstanceCore"]
    reader = iam.get_policy_version(PolicyArn=ids["Reader"], VersionId="v1")["PolicyVersion"]["Document"]
    assert reader["Statement"][0]["Resource"] == ids["Key"]
    secret = aws.client("secretsmanager").get_secret_value(SecretId="node/search")["SecretString"]
    assert len(secret) == 40 and secret.isalnum()
    mailing = aws.client("sns").list_subscriptions_by_topic(TopicArn=ids["Topic"])["Subscriptions"]
    assert [item["Endpoint"] for item in mailing] == ["a@example.com"]
    machine = aws.client("stepfunctions").describe_state_machine(stateMachineArn=ids["Machine"])
    assert ids["Node"] in machine["definition"] and "${" not in machine["definition"]
    alarm = aws.client("cloudwatch").describe_alarms(AlarmNames=[ids["Alarm"]])["MetricAlarms"][0]
    assert alarm["Dimensions"][0]["Value"] == ids["Node"]


def test_no_change_is_told_in_the_words_of_aws(made):
    plan = made.plan(node())
    assert (plan["Status"], plan["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert plan["StatusReason"].startswith("The submitted information didn't contain changes.")
    with refused("InvalidChangeSetStatus", "[FAILED]"):
        made.carry_out(plan)
    with refused("ValidationError", "No updates are to be performed."):
        made.cloudformation.update_stack(
            StackName="node", TemplateBody=text(node()), Parameters=made.parameters(), Capabilities=["CAPABILITY_IAM"]
        )


def test_a_change_set_tells_what_is_replaced_and_because_of_what(made):
    found = changes(made.plan(node(), Size=20, Kind="c8g.xlarge", Address="10.0.2.16"))
    volume = found["Volume"]
    assert (volume["Replacement"], volume["Scope"]) == ("False", ["Properties"])
    assert [(d["Evaluation"], d["ChangeSource"], d.get("CausingEntity")) for d in volume["Details"]] == [
        ("Static", "ParameterReference", "Size"),
        ("Dynamic", "DirectModification", None),
    ]
    # A changed address makes a new interface, and so a new instance: surely the first, as far as is known the second.
    assert (found["Interface"]["Replacement"], found["Interface"]["PolicyAction"]) == ("True", "ReplaceAndDelete")
    causes = {d.get("CausingEntity") for d in found["Node"]["Details"]}
    assert found["Node"]["Replacement"] == "Conditional" and causes == {"Interface", "Kind", None}
    assert found["Attachment"]["Details"][0]["CausingEntity"] == "Node"
    assert "Role" not in found and "Topic" not in found

    template = node()
    template["Resources"]["Logs"]["Properties"]["Tags"] = [{"Key": "a", "Value": "b"}]
    template["Resources"]["Volume"]["DeletionPolicy"] = "Retain"
    del template["Resources"]["Rule"]
    found = changes(made.plan(template))
    assert {name: (change["Action"], change["Scope"]) for name, change in found.items()} == {
        "Logs": ("Modify", ["Tags"]),
        "Volume": ("Modify", ["DeletionPolicy"]),
        "Rule": ("Remove", []),
    }


def test_a_change_set_is_found_within_its_stack(aws, network, made):
    other = Stack(aws, network, "other")
    asked = {"ChangeSetName": "same", "TemplateBody": text({"Resources": {"Logs": {"Type": "AWS::Logs::LogGroup"}}})}
    for stack in (other, Stack(aws, network, "third")):
        stack.cloudformation.create_change_set(StackName=stack.name, ChangeSetType="CREATE", **asked)
        found = stack.cloudformation.describe_change_set(StackName=stack.name, ChangeSetName="same")
        assert found["StackName"] == stack.name
    with refused("ChangeSetNotFound"):
        made.cloudformation.describe_change_set(StackName="node", ChangeSetName="same")
    with refused("ValidationError", "already exists and cannot be created again"):
        made.plan(node(), "CREATE")
    with refused("ValidationError", "does not exist"):
        made.cloudformation.describe_stacks(StackName="none")


def test_an_update_is_really_carried_out(aws, made):
    ec2, ids = aws.client("ec2"), made.resources()
    template = node()
    template["Resources"]["Volume"]["Properties"]["Throughput"] = 500
    template["Resources"]["Node"]["Properties"]["DisableApiTermination"] = True
    template["Resources"]["Role"]["Properties"]["ManagedPolicyArns"] = []
    statement = template["Resources"]["Reader"]["Properties"]["PolicyDocument"]["Statement"][0]
    statement["Action"] = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
    mark = aws.ask("mark")["mark"]
    told = made.apply(template, Size=30, Kind="c8g.xlarge", tags=[("team", "search")])
    assert told["StackStatus"] == "UPDATE_COMPLETE", made.failures()
    assert made.resources() == ids
    volume = ec2.describe_volumes(VolumeIds=[ids["Volume"]])["Volumes"][0]
    assert (volume["Size"], volume["Throughput"]) == (30, 500)
    assert {"Key": "team", "Value": "search"} in volume["Tags"]
    instance = ec2.describe_instances(InstanceIds=[ids["Node"]])["Reservations"][0]["Instances"][0]
    assert (instance["InstanceType"], instance["State"]["Name"]) == ("c8g.xlarge", "running")
    # The type of an instance is changed while it is stopped.
    assert [c["by"] for c in aws.calls("StopInstances", mark)] == ["cloudformation"]
    iam = aws.client("iam")
    assert not iam.list_attached_role_policies(RoleName=ids["Role"])["AttachedPolicies"]
    assert iam.get_policy(PolicyArn=ids["Reader"])["Policy"]["DefaultVersionId"] == "v2"


def test_what_needs_another_instance_collides_with_the_fixed_interface(aws, made):
    """CloudFormation makes the new one first: the interface and the volume are taken, and it goes back."""
    image = next(
        image["ImageId"]
        for image in aws.client("ec2").describe_images()["Images"]
        if image["Architecture"] == "arm64" and image["ImageId"] != made.network.image
    )
    ids = made.resources()
    plan = made.plan(node(), Image=image)
    assert changes(plan)["Node"]["Replacement"] == "True"
    assert made.carry_out(plan)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert made.resources() == ids
    found = made.cloudformation.describe_stack_resources(StackName="node")["StackResources"]
    assert {item["ResourceStatus"] for item in found} <= {"CREATE_COMPLETE", "UPDATE_COMPLETE"}
    reasons = [reason for name, status, reason in made.events("Node") if status == "UPDATE_FAILED"]
    assert "is currently in use" in reasons[0] and reasons[0].startswith("Resource handler returned message:")
    assert ("node", "UPDATE_ROLLBACK_IN_PROGRESS") in [event[:2] for event in made.events("node")]


def test_a_failed_update_takes_back_what_it_made(aws, made):
    ids = made.resources()
    template = node()
    template["Resources"]["More"] = {"Type": "AWS::SNS::Topic", "Properties": {}}
    template["Resources"]["Bad"] = {
        "Type": "AWS::EC2::NetworkInterface",
        "DependsOn": "More",
        "Properties": {"SubnetId": {"Ref": "Subnet"}, "PrivateIpAddress": "10.0.2.3"},
    }
    template["Resources"]["Topic"]["Properties"]["DisplayName"] = "Other alarms"
    template["Resources"]["Volume"]["DeletionPolicy"] = "Delete"
    del template["Resources"]["Logs"]
    assert made.apply(template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert made.resources() == ids
    topics = aws.client("sns").list_topics()["Topics"]
    assert [topic["TopicArn"] for topic in topics] == [ids["Topic"]]
    attributes = aws.client("sns").get_topic_attributes(TopicArn=ids["Topic"])["Attributes"]
    assert attributes["DisplayName"] == "Alarms"
    reasons = [reason for _, status, reason in made.events("Bad") if status == "CREATE_FAILED"]
    assert "Address 10.0.2.3 is in subnet's reserved address range" in reasons[0]
    assert [status for _, status, _ in made.events("More")][-1] == "DELETE_COMPLETE"
    # The policy of the former template holds again.
    made.delete()
    assert len(aws.client("ec2").describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1


def test_a_volume_is_never_replaced(made):
    template = node()
    template["Resources"]["Volume"]["Properties"]["AvailabilityZone"] = "us-east-1b"
    assert made.apply(template)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = [reason for _, status, reason in made.events("Volume") if status == "UPDATE_FAILED"]
    assert reasons == ["Update to resource type AWS::EC2::Volume is not supported: AvailabilityZone"]


def test_a_failed_creation_is_rolled_back_with_its_first_cause(aws, stack):
    aws.ask("fail", what="AWS::EC2::NetworkInterface", reason="Insufficient something")
    told = stack.apply(node(), "CREATE")
    assert told["StackStatus"] == "ROLLBACK_COMPLETE"
    events = stack.events()
    failed = [event for event in events if event[1] == "CREATE_FAILED"]
    assert failed[0] == ("Interface", "CREATE_FAILED", "Insufficient something")
    assert {reason for _, _, reason in failed[1:]} == {"Resource creation cancelled"} and len(failed) > 1
    assert ("node", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Interface]. "
            "Rollback requested by user.") in events  # fmt: skip
    ec2 = aws.client("ec2")
    assert not ec2.describe_instances()["Reservations"] and not ec2.describe_volumes()["Volumes"]
    assert not aws.client("sns").list_topics()["Topics"]
    # The volume was to be saved before it goes, and was.
    assert len(ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]) == 1
    with refused("ValidationError", "is in ROLLBACK_COMPLETE state and can not be updated"):
        stack.plan(node())
    assert stack.delete()["StackStatus"] == "DELETE_COMPLETE"


def test_a_failed_update_that_cannot_be_undone(aws, made):
    """A volume that has grown does not shrink again."""
    aws.ask("fail", what="Alarm", operation="update", reason="No alarm today")
    template = node()
    template["Resources"]["Alarm"]["Properties"]["Period"] = 120
    template["Resources"]["Alarm"]["DependsOn"] = "Volume"
    assert made.apply(template, Size=20)["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    reasons = [reason for _, status, reason in made.events("Volume") if status == "UPDATE_FAILED"]
    assert "New size cannot be smaller than existing size" in reasons[0] or "IncorrectModificationState" in reasons[0]
    with refused("ValidationError", "UPDATE_ROLLBACK_FAILED state and can not be updated"):
        made.plan(node())
    made.cloudformation.continue_update_rollback(StackName="node", ResourcesToSkip=["Volume"])
    assert made.settled()["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_deleting_keeps_what_the_policies_say(aws, made):
    ec2, ids = aws.client("ec2"), made.resources()
    template = node()
    template["Resources"]["Key"]["DeletionPolicy"] = "Retain"
    made.apply(template)
    made.cloudformation.update_termination_protection(StackName="node", EnableTerminationProtection=True)
    with refused("ValidationError", "cannot be deleted while TerminationProtection is enabled"):
        made.cloudformation.delete_stack(StackName="node")
    made.cloudformation.update_termination_protection(StackName="node", EnableTerminationProtection=False)
    stack_id = made.describe()["StackId"]
    assert made.delete()["StackStatus"] == "DELETE_COMPLETE"
    with refused("ValidationError", "Stack with id node does not exist"):
        made.describe()
    assert made.cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"] == "DELETE_COMPLETE"
    assert not ec2.describe_volumes()["Volumes"]
    saved = ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert [snapshot["VolumeId"] for snapshot in saved] == [ids["Volume"]]
    instance = ec2.describe_instances(InstanceIds=[ids["Node"]])["Reservations"][0]["Instances"][0]
    assert instance["State"]["Name"] == "terminated"
    assert aws.client("secretsmanager").describe_secret(SecretId=ids["Key"])["Name"] == "node/search"
    with refused("NoSuchEntity"):
        aws.client("iam").get_role(RoleName=ids["Role"])


def test_a_volume_that_does_not_come_off_stops_the_deletion(aws, made):
    aws.ask("behaviour", volumes={"detach_never": True}, stacks={"patience": 0.5})
    assert made.delete()["StackStatus"] == "DELETE_FAILED"
    assert "Attachment" in made.describe()["StackStatusReason"]
    aws.ask("usual")
    # The detachment that was begun goes on; a volume that is in use yet is not deleted.
    ec2, volume = aws.client("ec2"), made.resources()["Volume"]
    until(
        lambda: ec2.describe_volumes(VolumeIds=[volume])["Volumes"][0]["State"] == "available",
        "the volume to come off",
    )
    assert made.delete(RetainResources=["Attachment"])["StackStatus"] == "DELETE_COMPLETE"


def test_drift_is_seen(aws, network, made):
    cloudformation, ids, ec2 = made.cloudformation, made.resources(), aws.client("ec2")

    def drift():
        asked = cloudformation.detect_stack_drift(StackName="node")["StackDriftDetectionId"]
        first = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
        assert first["DetectionStatus"] == "DETECTION_IN_PROGRESS"
        done = cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=asked)
        found = cloudformation.describe_stack_resource_drifts(
            StackName="node", StackResourceDriftStatusFilters=["MODIFIED", "DELETED"]
        )["StackResourceDrifts"]
        return done["StackDriftStatus"], {
            item["LogicalResourceId"]: [
                (one["PropertyPath"], one["DifferenceType"], one["ActualValue"]) for one in item["PropertyDifferences"]
            ]
            for item in found
        }

    assert drift() == ("IN_SYNC", {})
    ec2.authorize_security_group_ingress(
        GroupId=ids["Group"], IpProtocol="tcp", FromPort=6333, ToPort=6333, CidrIp="0.0.0.0/0"
    )
    ec2.modify_volume(VolumeId=ids["Volume"], Iops=5000)
    ec2.modify_instance_metadata_options(InstanceId=ids["Node"], HttpTokens="optional")
    aws.client("cloudwatch").delete_alarms(AlarmNames=[ids["Alarm"]])
    status, found = drift()
    assert status == "DRIFTED" and set(found) == {"Group", "Volume", "Node", "Alarm"}
    assert found["Volume"] == [("/Iops", "NOT_EQUAL", "5000")]
    assert found["Node"] == [("/MetadataOptions/HttpTokens", "NOT_EQUAL", "optional")]
    added = [json.loads(value) for _, kind, value in found["Group"] if kind == "ADD"]
    # The rule that is a resource of its own is no drift of its group.
    assert added == [{"IpProtocol": "tcp", "FromPort": 6333, "ToPort": 6333, "CidrIp": "0.0.0.0/0"}]


@pytest.mark.parametrize(
    ("change", "code", "text_"),
    [
        (
            lambda t: t["Resources"]["Logs"].update(Type="AWS::Logs::Nothing"),
            "ValidationError",
            "Unrecognized resource",
        ),
        (lambda t: t["Resources"].clear(), "ValidationError", "At least one Resources member"),
        (lambda t: t["Parameters"]["Size"].update(MinValue=50), "ValidationError", "must be a number not less than 50"),
        (lambda t: t["Parameters"].update(More={"Type": "String"}), "ValidationError", "[More] must have values"),
        (lambda t: t["Outputs"].update(X={"Value": {"Ref": "Y"}}), "ValidationError", "Unresolved resource depend"),
        (lambda t: t["Resources"]["Volume"].update(DependsOn="Attachment"), "ValidationError", "Circular dependency"),
        (
            lambda t: t["Resources"]["Role"]["Properties"].update(RoleName="mine"),
            "InsufficientCapabilitiesException",
            "[CAPABILITY_NAMED_IAM]",
        ),
    ],
)
def test_a_template_that_is_wrong_is_refused_at_once(stack, change, code, text_):
    template = node()
    change(template)
    with refused(code, text_):
        stack.plan(template, "CREATE")


def test_two_operators_at_once(aws, stack):
    aws.ask("behaviour", stacks={"pause": 0.05})
    plan = stack.plan(node(), "CREATE")
    stack.cloudformation.execute_change_set(StackName="node", ChangeSetName=plan["ChangeSetId"])
    with refused("ValidationError", "is in CREATE_IN_PROGRESS state and can not be updated"):
        stack.plan(node(), Size=20)
    aws.ask("usual")
    assert stack.settled()["StackStatus"] == "CREATE_COMPLETE"
