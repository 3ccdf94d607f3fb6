"""A machine to boot on: a Debian root file system of its own, disks that are loop devices, and a server for downloads.

Within it everything is real but `systemctl`, which records what it is asked to do, and `docker`, which is only there.
"""

import hashlib
import http.server
import ipaddress
import os
import shlex
import shutil
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from rendered import ROOT

CACHE = Path(os.environ.get("QMOOR_CACHE", ROOT / ".cache-aws"))
PACKAGES = "ca-certificates,curl,e2fsprogs,xfsprogs"
MOUNT = "mnt/qdrant"


def run(*command, **more):
    done = subprocess.run([str(it) for it in command], capture_output=True, text=True, timeout=600, check=False, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def cached(name, make):
    """A folder that is made once."""
    folder = CACHE / name
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        (CACHE / ".gitignore").write_text("*\n")
        new = CACHE / f"{name}.{os.getpid()}"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            make(new)
        except BaseException:
            shutil.rmtree(new)
            raise
        new.rename(folder)
    return folder


def root_file_system():
    """A Debian like that of the host, made by debootstrap."""
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: a root file system needs root")
    for program in ("debootstrap", "losetup", "mkfs.xfs"):
        if not shutil.which(program):
            pytest.skip(f"SKIPPED: {program} is not there: apt-get install debootstrap mount xfsprogs")
    try:
        loop = run("losetup", "--find")
    except AssertionError as error:
        pytest.skip(f"SKIPPED: there are no loop devices: {error}")
    assert loop.startswith("/dev/loop")
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    name = release.get("VERSION_CODENAME", "stable").strip('"')
    return cached(f"root-{name}", lambda to: run("debootstrap", "--variant=minbase", f"--include={PACKAGES}", name, to))


class Machine:
    """`boot` does what cloud-init and systemd would do with the user data."""

    def __init__(self, lower, folder):
        self.root = folder / "root"
        self.loops = {}
        for name in ("root", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir={lower},upperdir={folder / 'upper'},workdir={folder / 'work'}"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "-t", "tmpfs", "dev", self.root / "dev")
        for name, minor in (("null", 3), ("zero", 5), ("urandom", 9)):
            os.mknod(self.root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
        (self.root / "dev/disk/by-id").mkdir(parents=True)
        self.stand_in("systemctl", 'echo "$*" >>/var/log/systemctl')
        self.stand_in("docker", "exit 1")

    def stand_in(self, name, text):
        file = self.root / "usr/bin" / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def loop(self, image):
        """A disk of this machine, without a name of its own."""
        loop = Path(run("losetup", "--find", "--show", image))
        self.loops[image] = loop
        node = self.root / "dev" / loop.name
        if not node.exists():
            os.mknod(node, 0o600 | stat.S_IFBLK, loop.stat().st_rdev)
        return loop

    def attach(self, image, volume):
        """Attaches an EBS volume."""
        loop = self.loops.get(image) or self.loop(image)
        serial = volume.replace("-", "")
        (self.root / f"dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{serial}").symlink_to(f"../../{loop.name}")
        return loop

    def shell(self, script, **environment):
        """Runs a script in here."""
        clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C", **environment}
        # It ends all that it started, so that the disks can be taken away.
        command = ["timeout", "--kill-after=5", "90", "chroot", self.root, "sh", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False, env=clean)

    def init(self, user_data):
        """What cloud-init does at each boot."""
        commands = yaml.safe_load(user_data)["bootcmd"]
        assert all(isinstance(it, str) for it in commands), "cloud-init puts these into one script"
        done = self.shell("\n".join(commands))
        assert done.returncode == 0, done.stderr

    def unit(self, **environment):
        """What systemd does with qmoor-boot.service."""
        unit = (self.root / "etc/systemd/system/qmoor-boot.service").read_text()
        lines = dict(line.split("=", 1) for line in unit.splitlines() if "=" in line)
        script = f"set -a; . {lines['EnvironmentFile']}; exec {lines['ExecStart']}"
        return self.shell(script, **environment)

    def boot(self, user_data, **environment):
        self.init(user_data)
        return self.unit(**environment)

    def shut_down(self):
        """Everything that a reboot forgets."""
        while os.path.ismount(self.root / MOUNT):
            run("umount", self.root / MOUNT)
        (self.root / "var/log/systemctl").unlink(missing_ok=True)

    def asked(self):
        """What systemctl was asked for since the machine started."""
        log = self.root / "var/log/systemctl"
        return log.read_text().splitlines() if log.exists() else []

    def files(self):
        """All that is on the disk of the system, by content."""
        found = {}
        for file in sorted((self.root.parent / "upper").rglob("*")):
            name = file.relative_to(self.root.parent / "upper")
            if file.is_file() and not file.is_symlink() and name != Path("var/log/systemctl"):
                found[str(name)] = (oct(file.stat().st_mode), hashlib.sha256(file.read_bytes()).hexdigest())
        return found

    def end(self):
        self.shut_down()
        subprocess.run(["chattr", "-i", self.root / MOUNT], capture_output=True, check=False)
        for name in ("dev", "proc", ""):
            run("umount", self.root / name)
        for loop in self.loops.values():
            run("losetup", "--detach", loop)


class Downloads:
    """A server for downloads, over https, with a certificate of its own: `files` by their path, `seen` requests."""

    def __init__(self, folder):
        self.files, self.seen = {}, []
        self.authority = folder / "authority.pem"
        key, self.certificate = self.certified(folder)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.seen.append(self)
                answer = outer.files.get(self.path)
                content = answer(self) if callable(answer) else answer
                self.send_response(404 if content is None else 200)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                self.wfile.write(content or b"")

            do_PUT = do_GET

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.authority, key)
        self.https = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.https.socket = context.wrap_socket(self.https.socket, server_side=True)
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        for server in (self.https, self.http):
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def certified(self, folder):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "downloads")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .sign(key, hashes.SHA256())
        )
        self.authority.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        file = folder / "key.pem"
        form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        file.write_bytes(key.private_bytes(serialization.Encoding.PEM, *form))
        return file, made

    @property
    def url(self):
        return f"https://127.0.0.1:{self.https.server_port}"

    @property
    def plain_url(self):
        return f"http://127.0.0.1:{self.http.server_port}"

    def end(self):
        for server in (self.https, self.http):
            server.shutdown()
            server.server_close()


def blank(file, mib=512):
    """The file of a disk that was never written to."""
    with file.open("wb") as disk:
        disk.truncate(mib << 20)
    return file


def quoted(text):
    return shlex.quote(str(text))
