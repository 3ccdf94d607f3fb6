"""The template of examples/aws.toml: linters and rules of our own find nothing, and would find what they claim."""

import copy
import json
import re

import boto3
import pytest
from botocore.validate import ParamValidator

import rules
from rendered import EXAMPLE, ROOT, config, offline, program, properties, qmoor, template

session = boto3.Session(region_name="eu-central-1", aws_access_key_id="none", aws_secret_access_key="none")

# Variants that have resources of their own.
VARIANTS = {
    "example": {},
    "parameters": {"aws__secrets": "parameterstore"},
    "own-key": {
        "aws__kms_key": "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
        "aws__binary_url": "s3://builds/qmoor/1/qmoor",
    },
    "copies": {
        "store__copy_region": "eu-west-1",
        "store__lock": "governance",
        "aws__kms_key": "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
    },
    "restic": {"store__kind": "restic", "engine__kind": "embedded", "aws__alarm_email": ""},
}


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request, tmp_path_factory):
    return template(config(tmp_path_factory.mktemp(request.param), **VARIANTS[request.param]))


@pytest.fixture(scope="module")
def example():
    return template(EXAMPLE)


def written(folder, content, name="template.json"):
    file = folder / name
    file.write_text(content if isinstance(content, str) else json.dumps(content, indent=1))
    return file


def course(template):
    """The state machine, with what the stack fills in."""
    machine = properties(template, "BackupMachine")
    text = machine["DefinitionString"]
    for name in machine["DefinitionSubstitutions"]:
        assert f"${{{name}}}" in text
        text = text.replace(f"${{{name}}}", "i-0123456789abcdef0" if name == "Machine" else f"the-{name}")
    assert "${" not in text
    return json.loads(text)


# ---- linters


def cfn_lint(folder, content):
    done = offline(program("cfn-lint"), "--format", "json", "--", written(folder, content))
    return {found["Rule"]["Id"]: found["Message"] for found in json.loads(done.stdout or "[]")}


def statelint(folder, content):
    done = offline(program("statelint"), written(folder, content, "machine.json"))
    return (done.stdout + done.stderr).strip()


def checkov(folder, content):
    command = [program("checkov", "QMOOR_CHECKOV", ".venv-checkov"), "--skip-download", "--framework", "cloudformation"]
    command += ["--config-file", ROOT / "tests/aws/checkov.yaml", "--output", "json", "--quiet"]
    done = offline(*command, "--file", written(folder, content))
    summary = json.loads(done.stdout)
    assert summary["summary"]["passed"] > 20, "it has looked at the template"
    return {found["check_id"] for found in summary["results"]["failed_checks"]}


def test_cfn_lint_finds_nothing(variant, tmp_path):
    assert cfn_lint(tmp_path, variant) == {}


def test_cfn_lint_would_find_it(example, tmp_path):
    bad = copy.deepcopy(example)
    properties(bad, "Machine")["InstanceType"] = "c8g.3xlarge"
    properties(bad, "Attachment")["VolumeId"] = {"Ref": "Volumes"}
    properties(bad, "Volume")["VolumeType"] = "gp9"
    properties(bad, "BackupRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = ["ssm:SendCommands"]
    properties(bad, "BackupMachine")["DefinitionSubstitutions"].pop("Topic")
    found = cfn_lint(tmp_path, bad)
    assert set(found) == {"E1020", "E1029", "E3030", "E3628", "W3037"}, found


def test_statelint_finds_nothing(variant, tmp_path):
    assert statelint(tmp_path, course(variant)) == ""


@pytest.mark.parametrize("where", ["Next", "Catch", "Default", "Choice"])
def test_statelint_would_find_a_target_that_is_not_there(example, tmp_path, where):
    bad = course(example)
    match where:
        case "Next":
            bad["States"]["Longer"]["Next"] = "Nowhere"
        case "Catch":
            bad["States"]["Send"]["Catch"][0]["Next"] = "Nowhere"
        case "Default":
            bad["States"]["Answered"]["Default"] = "Nowhere"
        case "Choice":
            bad["States"]["Complete"]["Choices"][0]["Next"] = "Nowhere"
    assert "Nowhere" in statelint(tmp_path, bad)


def test_checkov_finds_nothing_but_what_is_explained(example, tmp_path):
    assert checkov(tmp_path, example) == set()


def test_checkov_would_find_it(example, tmp_path):
    bad = copy.deepcopy(example)
    properties(bad, "Volume")["Encrypted"] = False
    del properties(bad, "Topic")["KmsMasterKeyId"]
    properties(bad, "EventRole")["Policies"][0]["PolicyDocument"]["Statement"][0] |= {"Action": "*", "Resource": "*"}
    assert checkov(tmp_path, bad) >= {"CKV_AWS_3", "CKV_AWS_26", "CKV_AWS_107"}


# ---- rules of our own


@pytest.mark.parametrize("rule", rules.ALL, ids=lambda rule: rule.__name__)
def test_our_rules_find_nothing(variant, rule):
    assert rule(variant) == []


def imds_v1(bad):
    properties(bad, "Machine")["MetadataOptions"]["HttpTokens"] = "optional"


def two_hops(bad):
    properties(bad, "Machine")["MetadataOptions"]["HttpPutResponseHopLimit"] = 2


def from_a_network(bad):
    rule = properties(bad, "Group")["SecurityGroupIngress"][0]
    del rule["SourceSecurityGroupId"]
    rule["CidrIp"] = "10.0.0.0/16"


def from_a_network_apart(bad):
    rule = {"GroupId": {"Ref": "Group"}, "IpProtocol": "tcp", "FromPort": 6333, "ToPort": 6333, "CidrIp": "0.0.0.0/0"}
    bad["Resources"]["Extra"] = {"Type": "AWS::EC2::SecurityGroupIngress", "Properties": rule}


def open_egress(bad):
    properties(bad, "Group")["SecurityGroupEgress"][0] = {"IpProtocol": "-1", "CidrIp": "0.0.0.0/0"}


def no_egress_rule(bad):
    del properties(bad, "Group")["SecurityGroupEgress"]


def public_address(bad):
    properties(bad, "Machine")["NetworkInterfaces"][0]["AssociatePublicIpAddress"] = True


def plain_root(bad):
    properties(bad, "Machine")["BlockDeviceMappings"][0]["Ebs"]["Encrypted"] = False


def deleted_data(bad):
    bad["Resources"]["Volume"]["DeletionPolicy"] = "Delete"


def any_resource(bad):
    properties(bad, "SearchPolicy")["PolicyDocument"]["Statement"][0]["Resource"] = "*"


def any_action(bad):
    properties(bad, "EventRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Action"] = "states:*"


def any_snapshot(bad):
    for policy in properties(bad, "Role")["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "ec2:DeleteSnapshot" in statement["Action"]:
                del statement["Condition"]


def written_secret(bad):
    properties(bad, "AdminSecret")["SecretString"] = "hunter2"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (imds_v1, rules.metadata),
        (two_hops, rules.metadata),
        (from_a_network, rules.ingress),
        (from_a_network_apart, rules.ingress),
        (open_egress, rules.egress),
        (no_egress_rule, rules.egress),
        (public_address, rules.public),
        (plain_root, rules.encryption),
        (deleted_data, rules.kept),
        (any_resource, rules.wildcards),
        (any_action, rules.wildcards),
        (any_snapshot, rules.unconditional),
        (written_secret, rules.secrets),
    ],
    ids=lambda it: it.__name__,
)
def test_our_rules_would_find_it(example, change, rule):
    bad = copy.deepcopy(example)
    change(bad)
    assert rule(bad) != []


# ---- names that AWS must know


def service(name):
    return session.client(name).meta.service_model


def filled(value):
    """What a state gives to a call, with a text in place of what it takes from its input."""
    if isinstance(value, dict):
        return {
            key.removesuffix(".$"): filled(it)
            if not key.endswith(".$")
            else ["any"]
            if key == "Values.$"
            else "any " * 9
            for key, it in value.items()
        }
    return [filled(it) for it in value] if isinstance(value, list) else value


def misunderstood(course):
    """What AWS would not understand of the calls of a state machine."""
    found = []
    for name, state in course["States"].items():
        if state["Type"] != "Task":
            continue
        called = re.fullmatch(r"arn:aws:states:::(?:aws-sdk:)?(\w+):(\w+)", state["Resource"])
        call = called[2][0].upper() + called[2][1:]
        if call not in service(called[1]).operation_names:
            found.append(f"{name}: there is no {called[1]}:{call}")
            continue
        operation = service(called[1]).operation_model(call)
        given = filled(state["Parameters"])
        # The arguments of the verb are a list that is made of one text.
        given.get("Parameters", {}).update(Arguments=["any"])
        if call != "SendCommand":
            given.pop("Parameters", None)
        found += [
            f"{name}: {it}" for it in [ParamValidator().validate(given, operation.input_shape).generate_report()] if it
        ]
        members = [it for path in state["ResultSelector"].values() for it in re.findall(r"\$\.(\w+)", path)]
        found += [f"{name}: {call} gives no {it}" for it in members if it not in operation.output_shape.members]
    return found


def test_the_state_machine_calls_what_there_is(variant):
    assert misunderstood(course(variant)) == []


def test_a_call_that_aws_would_not_understand_would_be_found(example):
    bad = course(example)
    bad["States"]["Send"]["Resource"] += "s"
    bad["States"]["Ask"]["Parameters"]["Instance"] = "i-1"
    bad["States"]["Look"]["Parameters"]["OwnerIds"] = "self"
    bad["States"]["Tell"]["ResultSelector"] = {"id.$": "$.Message"}
    assert sorted(it.split(":")[0] for it in misunderstood(bad)) == ["Ask", "Look", "Send", "Tell"]


# Permissions that are no calls of their own, and services that only their agents call.
NO_CALL = {
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
    "ssm:ListInstanceAssociations",
    "ssm:UpdateInstanceInformation",
}
CLIENT = {"states": "stepfunctions"}


def test_every_permission_is_for_a_call_that_there_is(variant):
    seen = 0
    for _, statement in rules.statements(variant):
        for action in rules.listed(statement["Action"]):
            prefix, name = action.split(":")
            if prefix in ("ec2messages", "ssmmessages") or action in NO_CALL:
                continue
            assert name in service(CLIENT.get(prefix, prefix)).operation_names, action
            seen += 1
    assert seen > 20


# ---- the document that operators run


@pytest.fixture(scope="module")
def document(example):
    return properties(example, "Document")["Content"]


def refused(pattern, text):
    return re.search(pattern, text) is None


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "latest",
        "20261125T014200Z-3f2a",
        "latest --yes --lock-wait=10m",
        "--batch-id=2026-11-25_nightly.7 --label=corpus=2026-11 --label=model=bge-m3 --mode=freeze",
        "index --overlap=1h --collections=docs,notes-*",
        "1.19.1",
        "--dry-run",
    ],
)
def test_arguments_that_verbs_take_are_admitted(document, arguments):
    assert not refused(document["parameters"]["Arguments"]["allowedPattern"], arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        "; id", "$(id)", "`id`", "latest; id", "latest && id", "latest | sh", "latest > /etc/passwd", "a\nid", "a\tb",
        "--config=/tmp/other.toml", "--config /tmp/x", "--key=file:/etc/shadow", "'", '"', "\\", "${IFS}", "*", "~",
        "--batch-id=$(id)", "--batch-id='a b'", "--why=a;id", "-h", "--", "a  b", " a", "{{ Verb }}", "../x", "é",
        "--label=a=/etc/passwd", "--unknown=1", "a " * 40 + "a",
    ],
)  # fmt: skip
def test_nothing_that_a_shell_would_read_is_admitted(document, arguments):
    assert refused(document["parameters"]["Arguments"]["allowedPattern"], arguments)


def test_every_parameter_is_limited(document):
    for name, parameter in document["parameters"].items():
        assert {"allowedValues", "allowedPattern"} & set(parameter), name
    steps = json.dumps(document["mainSteps"])
    assert set(re.findall(r"{{ (\w+) }}", steps)) == set(document["parameters"])
    assert not refused(document["parameters"]["Timeout"]["allowedPattern"], "43200")
    assert refused(document["parameters"]["Timeout"]["allowedPattern"], "0")


def test_its_flags_are_those_of_its_verbs(document):
    helps = ""
    for verb in document["parameters"]["Verb"]["allowedValues"]:
        if verb != "doctor" or "doctor" in qmoor("--help"):
            helps += qmoor(*verb.split(), "--help")
    flags = re.search(r"--\(([a-z|-]+)\)", document["parameters"]["Arguments"]["allowedPattern"])[1].split("|")
    assert [flag for flag in flags if f"--{flag}" not in helps] == []


def test_the_state_machine_gives_the_document_what_it_admits(example, document):
    given = course(example)["States"]["Send"]["Parameters"]["Parameters"]
    assert given["Verb"][0] in document["parameters"]["Verb"]["allowedValues"]
    text = re.search(r"States\.Format\('(.*?)'", given["Arguments.$"])[1]
    pattern = document["parameters"]["Arguments"]["allowedPattern"]
    assert not refused(pattern, text.replace("{}", "nightly-7"))
    assert refused(pattern, text.replace("{}", "a; id")), "such a batch is told to the topic, and not run"
    assert not refused(document["parameters"]["Timeout"]["allowedPattern"], given["Timeout"][0])
