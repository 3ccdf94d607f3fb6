"""The Terraform module: its README followed with the terraform program and its provider, where both are."""

import fnmatch
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from rendered import BINARY, EXAMPLE, ROOT, config, template

MODULE = ROOT / "terraform"
REGION = "eu-central-1"
PROVIDER = "registry.terraform.io/hashicorp/aws"


def files():
    return {file.name: file.read_text() for file in MODULE.glob("*.tf")}


def block(kind):
    """A block of the README."""
    (text,) = re.findall(rf"^```{kind}\n(.*?)^```$", (MODULE / "README.md").read_text(), re.M | re.S)
    return text


def snake(name):
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


# ---- without the program


def test_every_output_of_the_stack_is_one_of_the_module():
    value = r'aws_cloudformation_stack.node.outputs\["(\w+)"\]'
    own = rf'^output "(\w+)" \{{\n  description = "(.*)"\n  value       = {value}\n\}}$'
    told = re.findall(own, files()["outputs.tf"], re.M)
    assert len(told) == files()["outputs.tf"].count("output ")
    stack = template()["Outputs"]
    assert {(name, about, key) for name, about, key in told} == {
        (snake(key), output["Description"], key) for key, output in stack.items()
    }


def test_every_variable_has_a_type_a_meaning_and_a_line_in_the_readme():
    readme = (MODULE / "README.md").read_text()
    blocks = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}$', files()["variables.tf"], re.M | re.S)
    assert blocks
    for name, text in blocks:
        assert re.search(r"^  description = ", text, re.M), name
        assert re.search(r"^  type        = ", text, re.M), name
        assert f"| `{name}` |" in readme, name
    assert set(re.findall(r"\bvar\.(\w+)", files()["main.tf"])) == {name for name, _ in blocks}


# ---- with it


@pytest.fixture
def terraform(aws, tmp_path):
    """Runs terraform in a folder where the README was followed, for the account `aws`."""
    program = shutil.which("terraform")
    if not program:
        pytest.skip("SKIPPED: terraform is not there")
    mirror = next(filter(None, map(holds_provider, mirrors())), None)
    if not mirror:
        pytest.skip(f"SKIPPED: {PROVIDER} is in none of {', '.join(map(str, mirrors()))}")
    settings = tmp_path / "terraformrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    work = tmp_path / "work"
    (work / "qmoor").mkdir(parents=True)
    shutil.copytree(MODULE, work / "qmoor/terraform")
    (work / "main.tf").write_text(block("hcl"))
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    environment = {**kept, **aws.environment, "TF_CLI_CONFIG_FILE": str(settings), "TF_IN_AUTOMATION": "1"}
    environment.pop("AWS_REGION")

    def run(*arguments, code=0):
        done = subprocess.run(
            [program, *arguments], cwd=work, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == code, (arguments, done.stdout[-4000:], done.stderr[-4000:])
        return done.stderr if code == 1 else done.stdout

    return SimpleNamespace(run=run, work=work)


def mirrors():
    """Where providers are kept on a machine without a way to their registry."""
    told = os.environ.get("QMOOR_TERRAFORM_PLUGINS")
    usual = ["/usr/share/terraform/plugins", "/usr/local/share/terraform/plugins"]
    home = Path.home() / ".terraform.d/plugins"
    return [*([Path(told)] if told else []), home, *map(Path, usual), *sorted(Path("/opt").glob("*"))]


def holds_provider(folder):
    return folder if (folder / PROVIDER).is_dir() else None


@pytest.fixture
def network(aws):
    """What the file names, in the region that the README says."""
    ec2, zone = aws.client("ec2", region=REGION), f"{REGION}a"
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.2.0/24", AvailabilityZone=zone)["Subnet"]["SubnetId"]
    groups = [
        ec2.create_security_group(GroupName=name, Description=name, VpcId=vpc)["GroupId"] for name in ("one", "two")
    ]
    iam = aws.client("iam")
    iam.create_role(RoleName="ray-indexing", AssumeRolePolicyDocument="{}")
    found = ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"]
    image, other = sorted(image["ImageId"] for image in found)[:2]
    return SimpleNamespace(vpc=vpc, subnet=subnet, groups=groups, image=image, other=other)


def render(network, work, **more):
    """The first block of the README: what Terraform reads, beside the file it is made of."""
    names = {"aws__vpc": network.vpc, "aws__subnet": network.subnet, "aws__volume_size": "20GiB"}
    groups = {"aws__index_groups": network.groups[:1], "aws__search_groups": network.groups[1:]}
    config(work, **names, **groups, **more)
    text = block("sh").replace("ami-0123456789abcdef0", network.image).replace("qmoor ", f"{BINARY} ")
    done = subprocess.run(["bash", "-e", "-c", text], cwd=work, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(1500)
def test_the_readme_makes_changes_and_removes_a_node(terraform, aws, network):
    terraform.run("fmt", "-check", "-diff", "-recursive")
    terraform.run("init", "-input=false")
    render(network, terraform.work)
    assert "Success! The configuration is valid" in terraform.run("validate", "-no-color")
    terraform.run("apply", "-input=false", "-auto-approve", "-no-color")

    cloudformation = aws.client("cloudformation", region=REGION)
    (stack,) = cloudformation.describe_stacks(StackName="docs")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    assert json.loads(terraform.run("output", "-json"))["url"]["value"] == outputs["Url"] == "http://10.0.2.15:6333"
    policy = aws.client("iam").get_role_policy(RoleName="ray-indexing", PolicyName="qmoor-docs")["PolicyDocument"]
    assert fnmatch.fnmatchcase(outputs["IndexSecret"], policy["Statement"][0]["Resource"])
    # What qmoor would make of the same file is there already.
    environment = {**os.environ, **aws.environment}
    said = subprocess.run(
        [BINARY, "plan", "--config", terraform.work / "qmoor.toml"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "is as the file says" in said.stdout, said.stdout + said.stderr
    # 2 would be: there are changes.
    assert "No changes" in terraform.run("plan", "-input=false", "-detailed-exitcode", "-no-color")

    render(network, terraform.work, aws__alarm_email="other@example.com")
    terraform.run("plan", "-input=false", "-detailed-exitcode", code=2)
    terraform.run("apply", "-input=false", "-auto-approve")
    assert cloudformation.describe_stacks(StackName="docs")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"

    # As the README says, another machine cannot be had while the first one has the address.
    changed = (terraform.work / "node.template.json").read_text()
    (terraform.work / "node.template.json").write_text(changed.replace(network.image, network.other))
    said = terraform.run("apply", "-input=false", "-auto-approve", "-no-color", code=1)
    assert "UPDATE_ROLLBACK_COMPLETE" in said and "in use" in said, said
    (terraform.work / "node.template.json").write_text(changed)

    # And the machine is shut down before all of it goes.
    ec2 = aws.client("ec2", region=REGION)
    ec2.stop_instances(InstanceIds=[outputs["InstanceId"]])
    terraform.run("destroy", "-input=false", "-auto-approve")
    gone = cloudformation.describe_stacks(StackName=stack["StackId"])["Stacks"][0]
    assert gone["StackStatus"] == "DELETE_COMPLETE"
    kept = ec2.describe_volumes(VolumeIds=[outputs["VolumeId"]])["Volumes"][0]
    assert (kept["State"], kept["Size"]) == ("available", 20)


def test_a_file_that_is_no_template_is_refused_before_anything_is_done(terraform):
    terraform.run("init", "-input=false")
    (terraform.work / "node.template.json").write_text(EXAMPLE.read_text())
    said = terraform.run("plan", "-input=false", "-no-color", code=1)
    assert "not what `qmoor render cloudformation` prints" in " ".join(said.replace("│", " ").split())
