"""docs/aws.md followed line by line: by an operator with a laptop, on a machine of a Ray cluster, on the node.

All of them are this machine. What stands for what is said in `Reader.here`, what is not run, and why, in `NOT_RUN`.
"""

import base64
import fnmatch
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml

import manual
import server
from rendered import BINARY, EXAMPLE, ROOT, program, template
from waits import until

PAGE = ROOT / "docs/aws.md"
BACKUPS = ROOT / "docs/backups.md"
CLUSTER = ROOT / "examples/ray-cluster.yaml"
REGION = "eu-central-1"

# Beginnings of lines that are not run here, and why; and how many lines that are.
NOT_RUN = {
    "cargo build": "the program is built already; `aws s3 cp` takes that one",
    "export nat=": "moto takes the elastic address of a NAT gateway for a private one, and refuses it",
    "aws ec2 wait nat-gateway-available": "there is no NAT gateway",
    "aws ec2 create-route --route-table-id $inside": "there is no NAT gateway",
    "qmoor remote upgrade": "the official image cannot be had here: the engine is the embedded one",
    "docker ": "the official image cannot be had here: a Qdrant by hand is the embedded engine alone",
    "sudo pkill -TERM -x qdrant": "no process here may be ended by its name: the test ends the one it has started",
    "terraform ": "test_terraform.py runs the module",
}
LINES_NOT_RUN = 10

# The node's own machine: what its user data says, with other places.
ON_THE_NODE = """#!/bin/sh
sed -e 's#/usr/local/bin/qmoor#{binary}#g' -e 's#/etc/qmoor/qmoor.toml#{config}#g' "$2" | sh -s
"""

# For a machine without it: the one thing that the page does with it.
JQ = f"""#!{sys.executable}
import json, sys
print(json.dumps(json.load(sys.stdin)[sys.argv[1].removeprefix(".")]))
"""

# What the shell of one line leaves to the next.
LINE = """
cd {laptop}
[ ! -e {exports} ] || . {exports}
{text}
status=$?
export -p >{exports}
exit $status
"""


def lines():
    """The lines of the page to be typed, and its blocks of Python, in order."""
    text = PAGE.read_text()
    python = [
        manual.Command(text[: block.start()].count("\n") + 2, f"{sys.executable} - <<'END'\n{block[1]}END")
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.M | re.S)
    ]
    return sorted([*manual.commands(PAGE), *python], key=lambda command: command.line)


def by_hand():
    """The lines of docs/backups.md that restore a snapshot without qmoor."""
    _, text = BACKUPS.read_text().split("From an EBS store", 1)
    return re.search(r"^```text\n(.*?)^```$", text, re.M | re.S)[1]


def reason(command):
    """Why a line is not run, if it is not."""
    by_line = (why for start, why in NOT_RUN.items() if command.text.startswith(start))
    return next(by_line, None)


class Node:
    """The machine of the stack: it boots with the user data that it has, and shuts down."""

    def __init__(self, aws, directory):
        self.aws, self.directory = aws, directory
        # The ports stand in the security group; an address of its own keeps them free.
        self.address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
        self.mount, self.running = directory / "mnt/qdrant", None
        directory.mkdir()

    def here(self, text):
        """Places of the machine, as they are on this one."""
        places = {
            "/var/lib/qmoor": str(self.directory / self.instance),
            "/mnt/qdrant": str(self.mount),
            "[volume]": f'[volume]\ndevices = "{self.aws.emulator.devices}"',
            f'listen = "{self.outputs["Address"]}"': f'listen = "{self.address}"',
        }
        for place, instead in places.items():
            text = text.replace(place, instead)
        return text

    def boot(self):
        """What the user data does, see test_user_data.py, and systemd after it."""
        found = self.aws.client("cloudformation", region=REGION).describe_stacks(StackName="docs")["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in found["Outputs"]}
        self.instance = self.outputs["InstanceId"]
        ec2 = self.aws.client("ec2", region=REGION)
        told = ec2.describe_instance_attribute(InstanceId=self.instance, Attribute="userData")["UserData"]["Value"]
        config = re.search(r"put 644 /etc/qmoor/qmoor.toml <<'QMOOR_END'\n(.*?)\nQMOOR_END", unpacked(told), re.S)[1]
        volume = tomllib.loads(config)["volume"]["id"]
        state = self.directory / self.instance / "state/volume.json"
        if state.exists():
            volume = json.loads(state.read_text())["id"]
        disk = self.aws.emulator.devices / f"nvme-Amazon_Elastic_Block_Store_{volume.replace('-', '')}"
        until(disk.exists, "the disk of the volume")
        if subprocess.run(["blkid", "-p", disk], capture_output=True, check=False).returncode == 2:
            subprocess.run(["mkfs.xfs", "-q", "-L", "qmoor", disk], check=True)
        file = self.directory / "qmoor.toml"
        file.write_text(self.here(config))
        self.running = server.Server(["serve", "--config", file, "--json"], self.directory / "log", self.environment)
        self.running.wait_until_ready()
        subprocess.run(["xfs_growfs", self.mount], check=True, capture_output=True)
        run = self.directory / "on-the-node"
        run.write_text(ON_THE_NODE.format(binary=BINARY, config=file))
        run.chmod(0o755)
        self.aws.ask("behaviour", instances={"exec": str(run)})

    @property
    def environment(self):
        return {**self.aws.environment, "AWS_REGION": REGION}

    def shut_down(self):
        if self.running and self.running.process.poll() is None:
            assert self.running.stop() == 0, self.running.tail()
        while os.path.ismount(self.mount):
            subprocess.run(["umount", self.mount], check=True)


def unpacked(user_data):
    """The text of user data, without what stands before each line in YAML."""
    return "\n".join(line.removeprefix("    ") for line in base64.b64decode(user_data).decode().splitlines())


def opened(data, log):
    """The engine alone, on this data."""
    arguments = ["engine", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--until-stdin-closes"]
    return server.Server(arguments, log).wait_until_ready()


class ByHand:
    """A Qdrant that somebody has set up by hand: a machine, a volume, a server on it that holds three points."""

    def __init__(self, aws, subnet, directory):
        self.ec2, self.mount = aws.client("ec2", region=REGION), directory / "srv/qdrant"
        self.mount.mkdir(parents=True)
        image = self.ec2.describe_images(Filters=[{"Name": "architecture", "Values": ["arm64"]}])["Images"][0]
        made = self.ec2.run_instances(
            ImageId=image["ImageId"], InstanceType="c8g.large", MinCount=1, MaxCount=1, SubnetId=subnet
        )
        self.machine = made["Instances"][0]["InstanceId"]
        zone = made["Instances"][0]["Placement"]["AvailabilityZone"]
        self.volume = self.ec2.create_volume(AvailabilityZone=zone, Size=2, VolumeType="gp3")["VolumeId"]
        waiter = self.ec2.get_waiter("volume_available")
        waiter.config.delay = 0.1
        waiter.wait(VolumeIds=[self.volume])
        self.ec2.attach_volume(InstanceId=self.machine, VolumeId=self.volume, Device="/dev/sdf")
        disk = aws.emulator.devices / f"nvme-Amazon_Elastic_Block_Store_{self.volume.replace('-', '')}"
        until(disk.exists, "the disk of the volume")
        subprocess.run(["mkfs.xfs", "-q", disk], check=True)
        subprocess.run(["mount", disk, self.mount], check=True)
        self.engine = opened(self.mount / "storage", directory / "engine.log")
        for path, body in {
            "/collections/old": {"vectors": {"size": 2, "distance": "Dot"}},
            "/collections/old/points?wait=true": {"points": [{"id": n, "vector": [1, n]} for n in (1, 2, 3)]},
        }.items():
            status, text = server.raw(self.engine.http_port, "PUT", path, body=body)
            assert status == 200, text

    def stop(self):
        if self.engine.process.poll() is None:
            assert self.engine.close_input() == 0, self.engine.tail()

    def end(self):
        self.stop()
        while os.path.ismount(self.mount):
            subprocess.run(["umount", self.mount], check=True)


class Reader:
    """Who follows the page."""

    def __init__(self, aws, directory):
        self.aws, self.directory = aws, directory
        self.laptop, self.node, self.old = directory / "laptop", Node(aws, directory / "machine"), None
        self.laptop.mkdir()
        (self.laptop / "examples").symlink_to(ROOT / "examples")
        programs = directory / "bin"
        programs.mkdir()
        (programs / "qmoor").symlink_to(BINARY)
        (programs / "aws").symlink_to(program("aws"))
        if not shutil.which("jq"):
            (programs / "jq").write_text(JQ)
            (programs / "jq").chmod(0o755)
        # The program for the machine: what the page has built.
        target = self.laptop / "target/release"
        target.mkdir(parents=True)
        (target / "qmoor").write_bytes(b"#!/bin/sh\n")
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("QMOOR_", "AWS_"))}
        more = {"HOME": str(directory), "PATH": f"{programs}:{os.environ['PATH']}", "NO_COLOR": "1", "AWS_PAGER": ""}
        self.environment = {**kept, **aws.environment, **more}
        self.environment.pop("AWS_REGION")

    def here(self, text):
        """A line, with the places and addresses of this machine."""
        text = re.sub(r"10\.0\.\d\.15:(?=633)", f"{self.node.address}:", text)
        text = text.replace("/dev/disk/by-id", str(self.aws.emulator.devices))
        text = re.sub(r"/mnt/(?=restored|moved)", f"{self.directory}/", text)
        text = text.replace("sudo ", "")
        if self.old:
            for told, real in (("vol", self.old.volume), ("i", self.old.machine)):
                text = text.replace(f"{told}-0f1e2d3c4b5a69788", real)
        return text

    def bash(self, text):
        """Runs it where what the lines before have exported is known."""
        script = LINE.format(laptop=self.laptop, exports=self.directory / "exports", text=self.here(text))
        return subprocess.run(
            ["bash", "-o", "pipefail", "-c", script],
            check=False,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=180,
        )

    def follow(self, command):
        """Does what a line says."""
        self.before(command.text)
        ended = self.bash(command.text)
        where = f"aws.md:{command.line}: `{command.text}`"
        log = self.node.running.tail() if self.node.running else ""
        assert ended.returncode == 0, f"{where} ended with {ended.returncode}:\n{ended.stdout}\n{log}"
        if command.expected:
            missing = manual.differs(command.expected, ended.stdout.splitlines())
            assert missing is None, f"{where}: expected `{missing}` in:\n{ended.stdout}"
        self.after(command.text)

    def before(self, text):
        """What happens at that line, and what is to be so by then."""
        if re.match(r"qmoor (up|down)\b", text):
            self.node.shut_down()
        if text.startswith("sed -i 's/^instance_type"):
            room = os.statvfs(self.node.mount)
            assert room.f_blocks * room.f_frsize > 290 << 30, "the volume was made larger"
        if text == "qmoor remote restore latest --dry-run":
            self.restore_by_hand()
        if text.startswith("export old="):
            named = [{"Name": "cidr-block", "Values": ["10.0.2.0/24"]}]
            (subnet,) = self.aws.client("ec2", region=REGION).describe_subnets(Filters=named)["Subnets"]
            self.old = ByHand(self.aws, subnet["SubnetId"], self.directory / "old")
        if text == "sync":
            self.old.stop()

    def after(self, text):
        file = self.laptop / "qmoor.toml"
        if file.exists() and 'kind = "docker"' in file.read_text():
            # The official image cannot be had here.
            file.write_text(re.sub(r'kind = "docker"\nimage = .*', 'kind = "embedded"', file.read_text()))
        if text.startswith("qmoor up"):
            self.node.boot()
        if text.startswith("aws events put-events"):
            self.machine_ended()
        if text.endswith("--role-name ray-inference"):
            self.roles_read_their_keys()

    def roles_read_their_keys(self):
        """Each of the profiles that the page has made reads one secret, and no other."""
        iam, secrets = (
            self.aws.client("iam"),
            {name: self.node.outputs[name] for name in ("IndexSecret", "SearchSecret")},
        )
        for profile, own in (("ray-indexing", "IndexSecret"), ("ray-inference", "SearchSecret")):
            (role,) = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]
            policy = iam.get_role_policy(RoleName=role["RoleName"], PolicyName="qmoor-docs")["PolicyDocument"]
            (statement,) = policy["Statement"]
            assert statement["Action"] == "secretsmanager:GetSecretValue"
            read = [name for name, arn in secrets.items() if fnmatch.fnmatchcase(arn, statement["Resource"])]
            assert read == [own], profile

    def restore_by_hand(self):
        """The lines of docs/backups.md, on the machine: they end with the data of the last backup in a folder."""
        place = self.directory / "restored"
        place.mkdir()
        text = by_hand().replace("INSTANCE", self.node.instance).replace("ZONE", f"{REGION}a")
        ended = self.bash(f"set -e\n{text}")
        assert ended.returncode == 0, f"{BACKUPS.name}:\n{text}\n{ended.stdout}"
        engine = opened(place / "data", self.directory / "by-hand.log")
        status, text = server.raw(engine.http_port, "POST", "/collections/notes/points/count", body={})
        assert (status, json.loads(text)["result"]["count"]) == (200, 1), text
        assert engine.close_input() == 0, engine.tail()
        subprocess.run(["umount", place], check=True)

    def machine_ended(self):
        """Nobody can see it from outside: the node is asked for a backup by the state machine."""
        states = self.aws.client("stepfunctions", region=REGION)

        def over():
            found = states.list_executions(stateMachineArn=self.node.outputs["BackupMachineArn"])["executions"]
            return found and all(one["status"] != "RUNNING" for one in found)

        until(over, "the state machine to end", 60)

    def end(self):
        self.node.shut_down()
        if self.old:
            self.old.end()
        for place in (self.directory / "restored", self.directory / "moved"):
            while os.path.ismount(place):
                subprocess.run(["umount", place], check=True)


@pytest.fixture
def reader(aws, disks, tmp_path):
    reader = Reader(aws, tmp_path)
    yield reader
    reader.end()


@pytest.mark.timeout(900)
def test_the_page_works_line_by_line(reader):
    for command in lines():
        if not reason(command):
            reader.follow(command)


def test_what_is_not_run_is_counted_and_has_a_reason(capsys):
    skipped = [(command.text.splitlines()[0], reason(command)) for command in lines() if reason(command)]
    with capsys.disabled():
        print(f"\nof {len(lines())} lines of {PAGE.name} {len(skipped)} are not run here:")
        for text, why in skipped:
            print(f"  {text[:60]:<60}  {why}")
    assert len(skipped) == LINES_NOT_RUN
    assert {why for _, why in skipped} == {*NOT_RUN.values()}


# ---- what the page says beside its lines


def section(title, page=PAGE):
    """The text under a heading, up to the next of its kind."""
    (text,) = re.findall(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#+ |\Z)", page.read_text(), re.M | re.S)
    return text[1]


def rows(title, page=PAGE):
    """The cells of the table in a section, without its head."""
    found = [line for line in section(title, page).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in found[2:]]


def quoted(text):
    return re.findall(r"`([^`]+)`", text)


def test_all_that_the_stack_has_is_in_the_table():
    told = [name for row in rows("What it made") for name in quoted(row[0])]
    assert sorted(told) == sorted(template()["Resources"])


def test_the_secrets_of_the_table_are_those_of_the_stack():
    resources = template()["Resources"]
    names = {it["Properties"]["Name"] for it in resources.values() if it["Type"] == "AWS::SecretsManager::Secret"}
    assert {quoted(row[0])[0] for row in rows("Keys, and who reads which")} == names


def test_the_verbs_of_the_table_are_those_that_the_document_lets_through():
    (row,) = [row for row in rows("From afar: `qmoor remote`") if row[0] == "verbs"]
    content = template()["Resources"]["Document"]["Properties"]["Content"]
    there = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True, timeout=30).stdout
    allowed = content["parameters"]["Verb"]["allowedValues"]
    assert quoted(row[1]) == [verb for verb in allowed if re.search(rf"^  {verb.split()[0]}\b", there, re.M)]


def test_every_message_of_the_table_is_one_that_the_program_says():
    sources = [*ROOT.glob("crates/*/src/**/*.rs"), *ROOT.glob("crates/*/src/**/*.sh")]
    # A text that goes on in the next line of the source is one text.
    said = re.sub(r"\\\n\s*", "", "\n".join(file.read_text() for file in sources))
    # Of AWS, which says it in its own words.
    foreign = {"ssm:SendCommand: InvalidInstanceId: …"}
    told = [message for row in rows("When something fails") for message in quoted(row[0])]
    assert len(told) > 20
    for message in set(told) - foreign:
        # Something stands for what is different each time.
        pattern = ".{0,60}?".join(re.escape(part) for part in message.split("…"))
        assert re.search(pattern, said), f"nothing says `{message}`"


def test_the_costs_are_added_up_and_are_those_of_the_example():
    table = {row[0]: row[1:] for row in rows("What it costs")}
    together, total = table.pop("together")[1], 0.0
    for what, (how, amount) in table.items():
        formula = how.replace("×", "*").replace("−", "-")
        assert re.fullmatch(r"[\d.()*/+\- ]+", formula), how
        assert round(eval(formula), 2) == float(amount), what
        total += float(amount)
    assert round(total, 2) == float(together)
    aws = tomllib.loads(EXAMPLE.read_text())["aws"]
    size, most = aws["volume_size"].removesuffix("GiB"), (aws["volume_iops"], aws["volume_throughput"])
    assert aws["instance_type"] in " ".join(table)
    assert table["volume, gp3, by the GiB"][0].startswith(f"{size} × ")
    assert [row[0].split(" ")[0] for row in table.values() if row[0].startswith("(")][:2] == [f"({n}" for n in most]


def test_every_link_to_a_heading_leads_to_one():
    for page in (PAGE, BACKUPS, ROOT / "docs/security.md", ROOT / "docs/cli.md"):
        for file, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text()):
            target = page.parent / file if file else page
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.M)
            anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in anchors, f"{page.name}: {file}#{anchor}"


def test_the_cluster_of_ray_has_the_groups_and_the_profile_of_the_page():
    cluster, aws = yaml.safe_load(CLUSTER.read_text()), tomllib.loads(EXAMPLE.read_text())["aws"]
    assert cluster["provider"]["region"] == aws["region"]
    assert cluster["provider"]["availability_zone"] == aws["zone"]
    assert cluster["head_node_type"] in cluster["available_node_types"]
    admitted = {}
    for rule in template()["Resources"]["Group"]["Properties"]["SecurityGroupIngress"]:
        admitted.setdefault(rule["SourceSecurityGroupId"], set()).add(rule["FromPort"])
    for name, kind in cluster["available_node_types"].items():
        machine = kind["node_config"]
        assert machine["SubnetIds"] == [aws["subnet"]], name
        assert set(machine["SecurityGroupIds"]) <= set(aws["index_groups"]), name
        assert all(admitted[group] == {6333, 6334} for group in machine["SecurityGroupIds"]), name
    profile = cluster["available_node_types"]["worker"]["node_config"]["IamInstanceProfile"]["Name"]
    typed = "\n".join(command.text for command in lines())
    assert f"create-instance-profile --instance-profile-name {profile}\n" in typed
    assert f"put-role-policy --role-name {profile} --policy-name qmoor-docs" in typed
    assert "(3)" in CLUSTER.read_text()
