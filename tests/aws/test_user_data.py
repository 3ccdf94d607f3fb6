"""The user data of the node: accepted by cloud-init, and executed, on a machine with disks of its own."""

import hashlib
import hmac
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import yaml

from machine import MOUNT, Downloads, Machine, blank, cached, root_file_system, run
from rendered import config, offline, user_data

# The first one makes a Debian, which takes minutes.
pytestmark = pytest.mark.timeout(900)

VOLUME, OTHER = "vol-0123456789abcdef0", "vol-00000000000000abc"
PROGRAM = b"#!/bin/sh\necho qmoor\n"
INSTALLED = "usr/local/bin/qmoor"


@pytest.fixture(scope="module")
def lower():
    return root_file_system()


@pytest.fixture
def machine(lower, tmp_path):
    machine = Machine(lower, tmp_path)
    yield machine
    machine.end()


@pytest.fixture
def downloads(tmp_path):
    downloads = Downloads(tmp_path)
    downloads.files["/qmoor"] = PROGRAM
    yield downloads
    downloads.end()


@pytest.fixture
def boot(machine, downloads, tmp_path):
    """Boots the machine: `boot(environment, key=value)` with keys of the configuration."""
    shutil.copy(downloads.authority, machine.root / "etc/authority.pem")

    def boot(environment=None, **others):
        file = config(tmp_path, **{**settings(downloads), **others})
        return machine.boot(user_data(file), **{"CURL_CA_BUNDLE": "/etc/authority.pem", **(environment or {})})

    return boot


def settings(downloads):
    sha256 = hashlib.sha256(PROGRAM).hexdigest()
    return {"volume__id": VOLUME, "aws__binary_url": f"{downloads.url}/qmoor", "aws__binary_sha256": sha256}


def fine(done):
    assert done.returncode == 0, done.stderr
    return done.stderr


def failed(done, why):
    assert done.returncode == 1, f"{done.returncode}: {done.stderr}"
    assert why in done.stderr
    assert "(hint: " in done.stderr
    return done.stderr


def content(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def probe(loop, what):
    return subprocess.run(
        ["blkid", "-p", "-s", what, "-o", "value", loop], capture_output=True, text=True, timeout=10, check=False
    ).stdout.strip()


# ---- cloud-init


@pytest.fixture(scope="module")
def cloud_init():
    """cloud-init, unpacked and never installed: it would make itself at home on this host."""

    def make(to):
        wanted = run("apt-get", "-s", "install", "--no-install-recommends", "cloud-init").splitlines()
        names = [line.split()[1] for line in wanted if line.startswith("Inst ")]
        names = [name for name in names if name.startswith("python3-") or name == "cloud-init"]
        assert "cloud-init" in names
        run("apt-get", "download", "-q", *names, cwd=to)
        for package in to.glob("*.deb"):
            run("dpkg", "-x", package, to)
            package.unlink()

    if not shutil.which("apt-get") or Path("/usr/bin/cloud-init").exists():
        pytest.skip("SKIPPED: no Debian without cloud-init here")
    try:
        return cached("cloud-init", make)
    except AssertionError as error:
        pytest.skip(f"SKIPPED: cloud-init cannot be had (apt-get update?): {error}")


def schema(cloud_init, file):
    modules = {**os.environ, "PYTHONPATH": str(cloud_init / "usr/lib/python3/dist-packages")}
    return offline("/usr/bin/python3", "-m", "cloudinit.cmd.main", "schema", "--config-file", file, env=modules)


def test_cloud_init_accepts_it(cloud_init, tmp_path):
    file = tmp_path / "user-data"
    file.write_text(user_data())
    done = schema(cloud_init, file)
    assert done.returncode == 0, done.stdout + done.stderr
    # It takes what it does not know for a comment, so that a misspelt module would pass.
    assert list(yaml.safe_load(file.read_text())) == ["bootcmd"]


def test_cloud_init_would_refuse_another_shape(cloud_init, tmp_path):
    file = tmp_path / "user-data"
    file.write_text(user_data().replace("  - |", "  it: |"))
    done = schema(cloud_init, file)
    assert done.returncode == 1
    assert "bootcmd" in done.stdout + done.stderr


# ---- a first boot, and more of them


def test_a_first_boot_makes_the_node_ready(machine, boot, tmp_path):
    loop = machine.attach(blank(tmp_path / "disk"), VOLUME)
    said = fine(boot())
    assert f"formatting {VOLUME}" in said

    assert os.path.ismount(machine.root / MOUNT)
    assert (probe(loop, "TYPE"), probe(loop, "LABEL")) == ("xfs", "qmoor")
    options = "nofail,noatime,x-systemd.device-timeout=90s"
    assert f"UUID={probe(loop, 'UUID')} /{MOUNT} xfs {options} 0 0" in (machine.root / "etc/fstab").read_text()
    assert (machine.root / INSTALLED).read_bytes() == PROGRAM
    assert (machine.root / INSTALLED).stat().st_mode & 0o777 == 0o755
    assert (machine.root / "var/lib/qmoor").is_dir()
    unit = (machine.root / "etc/systemd/system/qmoor.service").read_text()
    assert f"RequiresMountsFor=/{MOUNT}" in unit
    assert f"AssertPathIsMountPoint=/{MOUNT}" in unit
    toml = (machine.root / "etc/qmoor/qmoor.toml").read_text()
    assert f'id = "{VOLUME}"' in toml
    assert 'listen = "10.0.2.15"' in toml
    asked = machine.asked()
    for wanted in ("enable qmoor-boot.service", "start --no-block qmoor-boot.service", "enable qmoor.service"):
        assert wanted in asked
    # Not waited for: it waits for the end of this.
    assert asked[-1] == "start --no-block qmoor.service"
    assert asked.index("daemon-reload") < asked.index("start --no-block qmoor-boot.service")


def test_a_second_boot_changes_nothing_and_keeps_the_data(machine, boot, tmp_path):
    loop = machine.attach(blank(tmp_path / "disk"), VOLUME)
    fine(boot())
    (machine.root / MOUNT / "points").write_text("all of them")
    before, made, inode = machine.files(), probe(loop, "UUID"), (machine.root / "etc/fstab").stat().st_ino

    assert "formatting" not in fine(boot()), "run again by hand"
    machine.shut_down()
    assert not (machine.root / MOUNT / "points").exists()
    assert "formatting" not in fine(boot()), "a reboot"

    assert (machine.root / MOUNT / "points").read_text() == "all of them"
    assert machine.files() == before
    assert probe(loop, "UUID") == made
    assert (machine.root / "etc/fstab").stat().st_ino == inode


def test_ext4_is_formatted_and_kept_too(machine, boot, tmp_path):
    loop = machine.attach(blank(tmp_path / "disk"), VOLUME)
    fine(boot(volume__filesystem="ext4"))
    (machine.root / MOUNT / "points").write_text("all of them")
    machine.shut_down()
    fine(boot(volume__filesystem="ext4"))
    assert (machine.root / MOUNT / "points").read_text() == "all of them"
    assert probe(loop, "TYPE") == "ext4"


def test_nothing_is_written_below_the_mount_point_while_the_volume_is_away(machine, boot, tmp_path):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    said = fine(boot())
    if "cannot protect" in said:
        pytest.skip("SKIPPED: the file system of this host has no immutable folders")
    machine.shut_down()
    done = machine.shell(f"touch /{MOUNT}/astray")
    assert done.returncode == 1
    assert "not permitted" in done.stderr


def test_a_new_machine_takes_a_full_disk_as_it_is(lower, downloads, tmp_path):
    """A volume that was made from a snapshot, on a machine that has never seen it."""
    first, second = (tmp_path / name for name in ("first", "second"))
    for folder in (first, second):
        folder.mkdir()
    disk, clone = blank(tmp_path / "disk"), tmp_path / "clone"
    text = user_data(config(tmp_path, **settings(downloads)))
    kept = {}
    for folder, image in ((first, disk), (second, clone)):
        machine = Machine(lower, folder)
        try:
            shutil.copy(downloads.authority, machine.root / "etc/authority.pem")
            loop = machine.attach(image, VOLUME)
            said = fine(machine.boot(text, CURL_CA_BUNDLE="/etc/authority.pem"))
            if image == disk:
                (machine.root / MOUNT / "points").write_text("all of them")
                machine.shut_down()
                shutil.copy(disk, clone)
                kept["uuid"] = probe(loop, "UUID")
            else:
                assert "formatting" not in said
                assert (machine.root / MOUNT / "points").read_text() == "all of them"
                assert probe(loop, "UUID") == kept["uuid"]
        finally:
            machine.end()


def test_after_a_restore_the_other_volume_is_mounted(machine, boot, tmp_path):
    """Both are attached, and have the same UUID: fstab may have mounted the old one."""
    disk, clone = blank(tmp_path / "disk"), tmp_path / "clone"
    machine.attach(disk, VOLUME)
    fine(boot())
    (machine.root / MOUNT / "points").write_text("old")
    machine.shut_down()
    shutil.copy(disk, clone)
    twin = machine.attach(clone, OTHER)
    fine(boot())
    (machine.root / MOUNT / "points").write_text("the one that was replaced")

    state = machine.root / "var/lib/qmoor/state"
    state.mkdir(parents=True, exist_ok=True)
    (state / "volume.json").write_text(f'{{"configured":"{VOLUME}","id":"{OTHER}"}}')
    fine(machine.unit(CURL_CA_BUNDLE="/etc/authority.pem"))
    assert (machine.root / MOUNT / "points").read_text() == "old"
    assert run("findmnt", "-n", "-o", "SOURCE", "--mountpoint", machine.root / MOUNT) == str(twin)


def test_a_volume_that_grew_has_its_room(machine, boot, tmp_path):
    disk = blank(tmp_path / "disk")
    loop = machine.attach(disk, VOLUME)
    fine(boot())
    machine.shut_down()
    before = os.statvfs(machine.root / MOUNT).f_blocks
    with disk.open("r+b") as file:
        file.truncate(1 << 30)
    run("losetup", "--set-capacity", loop)
    fine(boot())
    room = os.statvfs(machine.root / MOUNT)
    assert room.f_blocks * room.f_frsize > 900 << 20, before


# ---- disks that are not the node's


def test_a_volume_that_comes_late_is_waited_for(machine, boot, tmp_path):
    disk = blank(tmp_path / "disk")
    loop = machine.loop(disk)
    done = []
    waiting = threading.Thread(target=lambda: done.append(boot({"QMOOR_WAIT": "60"})))
    waiting.start()
    # Its script is there: the boot has begun.
    for _ in range(600):
        if (machine.root / "usr/local/sbin/qmoor-boot").exists():
            break
        waiting.join(0.05)
    assert not done
    assert machine.attach(disk, VOLUME) == loop
    waiting.join(90)
    fine(done[0])
    assert os.path.ismount(machine.root / MOUNT)


def test_a_volume_that_never_comes_is_told(machine, boot):
    failed(boot({"QMOOR_WAIT": "1"}), f"{VOLUME} is not attached")
    assert not any("start --no-block qmoor.service" in line for line in machine.asked())


def test_a_disk_without_a_link_is_found_by_its_serial(machine, boot, tmp_path):
    loop = machine.loop(blank(tmp_path / "disk"))
    (machine.root / "dev/nvme7n1").symlink_to(loop.name)
    for name, serial in (("nvme0n1", "vol00000000000000000"), ("nvme7n1", VOLUME.replace("-", ""))):
        folder = machine.root / "fake/block" / name / "device"
        folder.mkdir(parents=True)
        (folder / "serial").write_text(f"{serial}  \n")
    os.unlink(machine.root / "dev/nvme7n1")
    os.mknod(machine.root / "dev/nvme7n1", 0o60600, loop.stat().st_rdev)
    fine(boot({"QMOOR_SYS_BLOCK": "/fake/block", "QMOOR_WAIT": "1"}))
    assert probe(loop, "LABEL") == "qmoor"


def mkfs(*command):
    return lambda disk: run(*command, disk)


def partitioned(disk):
    """One Linux partition from 1 MiB on, in a table as old as the PC."""
    entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0]) + (2048).to_bytes(4, "little") + (65536).to_bytes(4, "little")
    with disk.open("r+b") as file:
        file.seek(446)
        file.write(entry + bytes(48) + b"\x55\xaa")


def unknown(disk):
    with disk.open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"somebody's own format")


def several(disk):
    """A volume of ours, and in it the head of another file system."""
    other = blank(disk.with_name("other"))
    run("mkfs.ext4", "-q", other)
    run("mkfs.xfs", "-q", "-L", "qmoor", disk)
    with disk.open("r+b") as file:
        file.seek(1024)
        file.write(other.read_bytes()[1024:2048])


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (mkfs("mkfs.ext4", "-q", "-L", "qmoor"), f"{VOLUME} holds no xfs"),
        (mkfs("mkfs.xfs", "-q"), f"{VOLUME} was not made for qmoor"),
        (mkfs("mkfs.xfs", "-q", "-L", "other"), f"{VOLUME} was not made for qmoor"),
        (mkfs("mkswap", "-q"), f"{VOLUME} holds no xfs"),
        (partitioned, f"{VOLUME} holds no xfs"),
        (unknown, f"{VOLUME} holds something unknown"),
        (several, f"{VOLUME} holds several things at once"),
    ],
    ids=["ext4", "no-label", "other-label", "swap", "partitions", "unknown", "several"],
)
def test_a_foreign_disk_is_refused_and_left_alone(machine, boot, tmp_path, make, why):
    disk = blank(tmp_path / "disk")
    make(disk)
    before = content(disk)
    machine.attach(disk, VOLUME)
    failed(boot(), why)
    assert content(disk) == before
    assert not os.path.ismount(machine.root / MOUNT)
    assert "start --no-block qmoor.service" not in machine.asked()
    assert not (machine.root / INSTALLED).exists()


def test_files_in_the_place_of_the_mount_are_not_hidden(machine, boot, tmp_path):
    (machine.root / MOUNT).mkdir(parents=True)
    (machine.root / MOUNT / "points").write_text("on the disk of the system")
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    failed(boot(), f"/{MOUNT} holds files")
    assert (machine.root / MOUNT / "points").exists()


def test_another_disk_in_the_place_of_the_mount_is_left_there(machine, boot, tmp_path):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    foreign = machine.loop(blank(tmp_path / "foreign"))
    run("mkfs.xfs", "-q", foreign)
    (machine.root / MOUNT).mkdir(parents=True)
    run("mount", foreign, machine.root / MOUNT)
    failed(boot(), f"is mounted on /{MOUNT}, and not {VOLUME}")
    assert run("findmnt", "-n", "-o", "SOURCE", "--mountpoint", machine.root / MOUNT) == str(foreign)


# ---- the program


def test_a_program_that_is_not_the_promised_one_is_refused(machine, boot, downloads, tmp_path):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    downloads.files["/qmoor"] = b"something else"
    failed(boot(), "is not the program with the SHA-256")
    assert not (machine.root / INSTALLED).exists()
    assert not (machine.root / f"{INSTALLED}.new").exists()
    assert "start --no-block qmoor.service" not in machine.asked()


@pytest.mark.parametrize("answer", [b"something else", None], ids=["wrong", "missing"])
def test_the_program_that_is_there_goes_on_instead(machine, boot, downloads, tmp_path, answer):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    fine(boot())
    machine.shut_down()
    downloads.files["/qmoor"] = answer
    failed(boot(aws__binary_sha256="ab" * 32), "the program that is there goes on")
    assert (machine.root / INSTALLED).read_bytes() == PROGRAM
    assert not (machine.root / f"{INSTALLED}.new").exists()
    assert "start --no-block qmoor.service" in machine.asked(), "the node serves"


def test_a_program_that_is_there_is_not_fetched_again(machine, boot, downloads, tmp_path):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    fine(boot())
    fine(boot())
    assert [it.path for it in downloads.seen] == ["/qmoor"]
    new = b"#!/bin/sh\necho newer\n"
    downloads.files["/qmoor-2"] = new
    sha256 = hashlib.sha256(new).hexdigest()
    fine(boot(aws__binary_url=f"{downloads.url}/qmoor-2", aws__binary_sha256=sha256))
    assert (machine.root / INSTALLED).read_bytes() == new


def test_the_program_comes_from_s3_with_the_identity_of_the_machine(machine, boot, downloads, tmp_path):
    machine.attach(blank(tmp_path / "disk"), VOLUME)
    keys = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s3cret/+=", "Token": "a+session/token=="}
    role = "/latest/meta-data/iam/security-credentials/"
    with_token = lambda text: lambda it: text if it.headers["X-aws-ec2-metadata-token"] == "T0KEN" else None  # noqa: E731
    answer = "{\n" + ",\n".join(f'  "{name}" : "{value}"' for name, value in keys.items()) + "\n}"
    downloads.files = {
        "/latest/api/token": lambda it: b"T0KEN" if it.command == "PUT" else None,
        role: with_token(b"node-Role-1"),
        f"{role}node-Role-1": with_token(answer.encode()),
        "/q/1/qmoor": lambda it: PROGRAM if signed(it, keys) else None,
    }
    servers = {"QMOOR_IMDS": downloads.plain_url, "QMOOR_S3": downloads.url}
    fine(boot(servers, aws__binary_url="s3://builds/q/1/qmoor"))
    assert (machine.root / INSTALLED).read_bytes() == PROGRAM
    fetched = downloads.seen[-1]
    assert fetched.headers["x-amz-security-token"] == keys["Token"]


def signed(request, keys):
    """Whether the signature is the one that S3 would compute.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    """
    parts = dict(it.strip().split("=", 1) for it in request.headers["Authorization"].split(" ", 1)[1].split(","))
    key_id, *scope = parts["Credential"].split("/")
    names = parts["SignedHeaders"].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token"} <= set(names)
    headers = "".join(f"{name}:{request.headers[name].strip()}\n" for name in names)
    payload = request.headers["x-amz-content-sha256"]
    canonical = "\n".join([request.command, request.path, "", headers, ";".join(names), payload])
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    text = "\n".join(["AWS4-HMAC-SHA256", request.headers["x-amz-date"], "/".join(scope), hashed])
    key = f"AWS4{keys['SecretAccessKey']}".encode()
    for piece in scope:
        key = hmac.digest(key, piece.encode(), "sha256")
    expected = hmac.digest(key, text.encode(), "sha256").hex()
    return (
        key_id == keys["AccessKeyId"]
        and scope[1:] == ["eu-central-1", "s3", "aws4_request"]
        and (expected == parts["Signature"])
    )
