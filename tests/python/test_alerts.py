"""Each alert is made to fire by a real fault, in a real Prometheus that scrapes real nodes, and goes away when it is
mended as docs/runbook.md says.

A fault is a generator in `FAULTS`, by the name of its alert: it sets a node up and yields, makes the fault and yields,
and mends it. Between these the test sees that the alert is silent, fires, and is silent again. What it types to look
and to mend must stand in the section of the runbook, and what the runbook has in its `sh` blocks must be typed by
one of them. A new alert needs a divisor in `DIVISORS` and a fault with `@fault("ItsName")`.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import httpx
import pytest
from qdrant_client import models as m

import freeze
import lanes
import runbook
import server
from certificates import Authority
from prometheus import Prometheus, promtool
from rules import ALERTS, alerts, hastened, hastened_rule, masked
from waiting import DEADLINE, until
from webhook import Webhook

pytestmark = [pytest.mark.remote, pytest.mark.timeout(180)]

SCRAPE_MS = 500
# How many times faster an alert is here. What is left are seconds: the shortest that the machine surely keeps up with.
DIVISORS = {
    "QmoorNodeDown": 60,
    "QmoorEngineDown": 60,
    "QmoorEngineHeldDown": 300,
    "QmoorEngineUnstable": 240,
    "QmoorBackupOverdue": 5000,
    "QmoorBackupFailing": 300,
    "QmoorNoProvenBackup": 40_000,
    "QmoorDiskFilling": 600,
    "QmoorRequestsShed": 100,
    "QmoorWrongKeys": 100,
    "QmoorCertificateEnds": 1200,
    "QmoorScheduledRunMissed": 2400,
    "QmoorNotificationsFailing": 300,
    "QmoorAuditLost": 100,
}
FAULTS = []
FIRES_WITHIN = 90.0
POINTS = 10


def fault(alert):
    """What is decorated makes this alert fire, and mends it."""

    def note(course):
        FAULTS.append((alert, course))
        return course

    return note


# ---- the ward -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    """One for all nodes, with every rule hastened."""
    directory = tmp_path_factory.mktemp("prometheus")
    rules = directory / "alerts.yml"
    rules.write_text(hastened(DIVISORS, SCRAPE_MS))
    promtool("check", "rules", rules)
    with Prometheus(directory, rules=rules, every=f"{SCRAPE_MS}ms") as running:
        yield running


class Patient:
    """A node that will be broken and mended, in a folder of its own as an operator has it."""

    typed = set()

    def __init__(self, alert, directory, prometheus):
        self.section = runbook.anchor(alert)
        self.directory, self.prometheus = directory, prometheus
        self.node, self.key_file, self.authority = None, None, None
        self.programs = directory.with_name(directory.name + "-bin")
        self.programs.mkdir()
        (self.programs / "qmoor").symlink_to(server.BINARY)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("QMOOR_", "QDRANT_"))}
        self.environment = {**inherited, "PATH": f"{self.programs}:{os.environ['PATH']}", "NO_COLOR": "1"}

    # ---- the node ---------------------------------------------------------------------------

    @property
    def data(self):
        return self.directory / "qmoor-data/data"

    @property
    def config(self):
        return self.directory / "qmoor.toml"

    def admit(self, settings="", small=None):
        """Starts a node, with a file system of its own of some size on one of its folders, and lets Prometheus know.

        Its ports are in the file afterwards, so that it comes back to where it was.
        """
        self.config.write_text(f"[gateway]\nhttp_port = 0\ngrpc_port = 0\n{settings}")
        self.start(small)
        self.keys = self.node.ready["keys"]
        text = self.config.read_text().replace("http_port = 0", f"http_port = {self.node.http_port}")
        self.config.write_text(text.replace("grpc_port = 0", f"grpc_port = {self.node.grpc_port}"))
        self.target = self.node.ready["http"]
        ca = self.authority and self.authority.certificate
        self.key_file = self.prometheus.add(self.target, self.keys["admin"], ca)
        return self

    def start(self, small=None):
        command = [server.BINARY, "serve", "--json", "--config", self.config]
        if small is None:
            self.node = server.Server(command[1:], self.directory / "node.log")
        else:
            folder, size = small
            folder.mkdir(parents=True)
            script = shlex.join(map(str, command))
            script = f"mount -t tmpfs -o size={size} tmpfs {shlex.quote(str(folder))} && exec {script}"
            space = ["unshare", "--map-root-user", "--mount", "sh", "-ec", script]
            self.node = server.Server(space, self.directory / "node.log", program=())
        self.node.wait_until_ready()

    def fill(self):
        """Puts some points into it."""
        with lanes.Connected(lanes.stock(self.as_stock(), grpc=False, role="admin")) as client:
            client.create_collection("c", m.VectorParams(size=lanes.DIM, distance=m.Distance.COSINE))
            client.upsert("c", [lanes.point(number) for number in range(POINTS)], wait=True)
        return self

    def as_stock(self):
        self.node.ready["keys"] = self.keys
        return self.node

    def search(self):
        """The status of a search."""
        query = {"query": lanes.QUERY, "limit": 1}
        headers = {"api-key": self.keys["search"]}
        url = f"{self.node.url}/collections/c/points/query"
        return httpx.post(url, json=query, headers=headers, timeout=30).status_code

    def status(self):
        return self.verb("status")["node"]

    def verb(self, *arguments, code=0):
        return server.verb(self.node, *arguments, code=code)

    def points(self):
        count = {"exact": True}
        headers = {"api-key": self.keys["search"]}
        answer = httpx.post(f"{self.node.url}/collections/c/points/count", json=count, headers=headers, timeout=30)
        return answer.json()["result"]["count"]

    def inside(self, path):
        """A path as the node sees it."""
        return Path(f"/proc/{self.node.process.pid}/root{path}")

    # ---- what an operator does --------------------------------------------------------------

    def type(self, command, *, code=0, instead=()):
        """Types a command of the alert's section in the node's folder. `instead`: what its place holders stand for."""
        assert runbook.says(self.section, command), f"docs/runbook.md#{self.section} does not say `{command}`"
        Patient.typed.add((self.section, command))
        for word, meant in instead:
            command = command.replace(word, str(meant))
        shell = ["bash", "-o", "pipefail", "-c", command]
        if self.in_space():
            # What is mounted for the node, the operator on its host sees too.
            enter = ["nsenter", "--target", str(self.node.process.pid), "--user", "--mount", "--preserve-credentials"]
            shell = [*enter, f"--wd={self.directory}", *shell]
        ended = subprocess.run(
            shell,
            check=False,
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert ended.returncode == code, (command, ended.returncode, ended.stdout, ended.stderr, self.node.tail())
        return ended.stdout + ended.stderr

    def in_space(self):
        return self.node.arguments[:1] == ["unshare"] and self.node.process.poll() is None

    # ---- what Prometheus says ---------------------------------------------------------------

    def states(self, alert):
        """Whether it is raised for this node: nothing, `pending`, `firing`."""
        found = self.prometheus.get("alerts")["alerts"]
        wanted = {"alertname": alert, "instance": self.target}
        return {one["state"] for one in found if wanted.items() <= one["labels"].items()}

    def evaluated(self):
        """Waits until all rules have been asked once more with what is scraped from now on."""
        seen = time.time() + SCRAPE_MS / 1000

        def rules_since():
            rules = self.prometheus.get("rules")["groups"][0]["rules"]
            assert all(rule["health"] in ("ok", "unknown") for rule in rules), rules
            return all(datetime.fromisoformat(rule["lastEvaluation"]).timestamp() > seen for rule in rules)

        self.prometheus.until(rules_since)

    def until_state(self, alert, wanted, deadline):
        until(lambda: self.states(alert) == wanted, deadline)

    def discharge(self):
        if self.node is not None and self.node.process.poll() is None:
            self.node.kill()


# ---- the faults -----------------------------------------------------------------------------


@fault("QmoorNodeDown")
def the_agent_is_killed(patient):
    patient.admit().fill()
    yield
    patient.node.kill()
    yield
    assert "qmoor serve" in patient.type("qmoor status", code=1)
    # `systemctl start qmoor` runs what the unit says.
    unit = subprocess.run(
        [server.BINARY, "--config", patient.config, "render", "systemd"], check=True, capture_output=True, text=True
    ).stdout
    (started,) = re.findall(r"^ExecStart=(.+)$", unit, flags=re.MULTILINE)
    assert runbook.says(patient.section, "systemctl start qmoor")
    command = [*shlex.split(started), "--json"]
    patient.node = server.Server(command, patient.directory / "node.log", program=()).wait_until_ready()
    patient.type("qmoor status")
    assert patient.points() == POINTS


@fault("QmoorNodeDown")
def the_key_of_prometheus_is_revoked(patient):
    patient.admit()
    (old,) = [key["id"] for key in patient.verb("keys", "list") if key["role"] == "admin"]
    yield
    patient.verb("keys", "rotate", "admin")
    patient.verb("keys", "revoke", old)
    yield
    assert old not in patient.type("qmoor keys list")
    key = patient.type("qmoor keys rotate admin").splitlines()[0]
    patient.key_file.write_text(key)


@fault("QmoorEngineDown")
def the_data_is_lost(patient):
    patient.admit().fill()
    patient.verb("backup")
    yield
    pid = patient.status()["engine"]["pid"]
    shutil.rmtree(patient.data)
    os.kill(pid, signal.SIGKILL)
    yield
    patient.type("qmoor status")
    patient.type("tail -n 50 qmoor-data/state/engine.log")
    patient.type("df -h qmoor-data")
    patient.type("qmoor restore --dry-run")
    patient.type("qmoor restore --yes")
    assert patient.points() == POINTS


@fault("QmoorEngineHeldDown")
def the_engine_does_not_end_when_a_backup_stops_it(patient):
    patient.admit().fill()
    yield
    pid = patient.status()["engine"]["pid"]
    journal = patient.directory / "qmoor-data/state/journal.jsonl"
    # An engine that hangs, as one does whose disk does not answer.
    command = [sys.executable, freeze.__file__, str(journal), str(pid), "hold_all", str(DEADLINE)]
    freezer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert freezer.stdout.readline() == "watching\n"
    command = [server.BINARY, "--config", patient.config, "--quiet", "backup"]
    begun = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    yield
    assert json.loads(patient.type("qmoor --json status"))["node"]["backup"]["step"] == "stop"
    patient.type("kill -KILL PID", instead=[("PID", pid)])
    freezer.terminate()
    freezer.communicate(timeout=DEADLINE)
    _, said = begun.communicate(timeout=DEADLINE)
    assert begun.returncode == 1, "a backup of an engine that was killed is not complete"
    assert "hint" in said, said
    until(lambda: patient.search() == 200)
    assert patient.points() == POINTS


@fault("QmoorEngineUnstable")
def the_engine_is_killed_again_and_again(patient):
    patient.admit().fill()
    yield
    for _ in range(2):
        engine = until(lambda: up(patient))
        os.kill(engine, signal.SIGKILL)
        until(lambda gone=engine: up(patient) not in (None, gone))
    yield
    patient.type("qmoor status")
    # Whoever killed it has stopped: the alert goes when the hour is over.
    assert patient.node.tail().count("ended by itself") == 2
    assert patient.points() == POINTS


def up(patient):
    """The process of an engine that answers."""
    engine = patient.status()["engine"]
    return engine["pid"] if engine["up"] else None


@fault("QmoorBackupOverdue")
def nobody_has_made_a_backup_for_a_day(patient):
    patient.admit().fill()
    patient.verb("backup")
    yield
    yield
    patient.type("qmoor backups")
    patient.type("qmoor backup --explain")
    patient.type("qmoor backup")


@fault("QmoorBackupFailing")
def the_store_is_full(patient):
    store = patient.directory / "qmoor-data/store"
    patient.admit(small=(store, "160m")).fill()
    patient.verb("backup")
    yield
    ballast = patient.inside(store / "ballast")
    fill_up(ballast, leave=4 << 20)
    assert "bytes free" in patient.verb("backup", code=1)
    yield
    # The journal of systemd is this file here.
    assert runbook.says(patient.section, "journalctl -u qmoor --grep 'backup: failed'")
    assert re.search(r"backup: failed.*bytes free", patient.node.tail())
    patient.type("df -h qmoor-data/store")
    ballast.unlink()
    patient.type("qmoor backup --explain")
    patient.type("qmoor backup")


@fault("QmoorNoProvenBackup")
def nobody_has_drilled(patient):
    patient.admit().fill()
    patient.verb("backup")
    patient.verb("drill")
    yield
    yield
    patient.type("qmoor backups")
    patient.type("qmoor drill")


@fault("QmoorDiskFilling")
def the_disk_of_the_data_is_full(patient):
    patient.admit(small=(patient.data, "96m")).fill()
    patient.verb("backup")
    yield
    fill_up(patient.inside(patient.data.parent / "data/ballast"), leave=2 << 20)
    yield
    for command in ("df -h qmoor-data/data", "df -i qmoor-data/data", "du -sh qmoor-data/data qmoor-data/store"):
        patient.type(command)
    patient.type("qmoor prune --dry-run")
    # The means of this host.
    enter = ["nsenter", "--target", str(patient.node.process.pid), "--user", "--mount", "--preserve-credentials"]
    subprocess.run([*enter, "mount", "-o", "remount,size=512m", str(patient.data)], check=True, timeout=30)
    assert patient.points() == POINTS


@fault("QmoorDiskFilling")
def the_image_of_the_volume_is_too_small(patient):
    """The disk that the agent itself makes larger. Needs root and a loop device, as such a volume does."""
    if os.geteuid() != 0 or not Path("/dev/loop-control").exists():
        pytest.skip("SKIPPED: not root, or no loop devices, so no image was full")
    mount = patient.directory / "qmoor-data/volume"
    patient.admit('[volume]\nkind = "image"\nsize = "512MiB"\n').fill()
    try:
        yield
        fill_up(mount / "ballast", leave=16 << 20)
        yield
        assert patient.node.stop() == 0
        larger = patient.config.read_text().replace("512MiB", "3GiB")
        assert runbook.says(patient.section, "volume.size")
        patient.config.write_text(larger)
        patient.start()
        assert patient.points() == POINTS
    finally:
        if patient.node is not None and patient.node.process.poll() is None:
            patient.node.stop()
        # The volume of a node stays mounted, for the next start; nobody starts this one again.
        subprocess.run(["umount", mount], check=False, capture_output=True, timeout=30)
        image = mount.with_name("volume.img")
        loops = subprocess.run(["losetup", "-n", "-O", "NAME", "-j", image], check=True, capture_output=True, text=True)
        for loop in loops.stdout.split():
            subprocess.run(["losetup", "-d", loop], check=True, timeout=30)


@fault("QmoorRequestsShed")
def a_hold_was_left_on(patient):
    patient.admit('hold_budget = "100ms"\n').fill()
    assert patient.search() == 200
    yield
    patient.verb("hold", "--reads", "--lease", "10m", "--why", "left on")
    assert [patient.search() for _ in range(3)] == [429] * 3
    yield
    node = json.loads(patient.type("qmoor --json status"))["node"]
    assert node["gate"]["phase"] == "all_held" and node["busy"]["why"] == "left on"
    patient.type("qmoor backups")
    patient.type("qmoor release")
    assert patient.search() == 200


@fault("QmoorWrongKeys")
def a_client_goes_on_with_a_key_that_was_replaced(patient):
    patient.admit().fill()
    (old,) = [key["id"] for key in patient.verb("keys", "list") if key["role"] == "search"]
    yield
    fresh = patient.verb("keys", "rotate", "search")["key"]
    patient.verb("keys", "revoke", old)
    # Twenty are told, and the rest is told to stop.
    assert {patient.search() for _ in range(40)} == {401, 429}
    yield
    assert old not in patient.type("qmoor keys list")
    assert runbook.says(patient.section, "journalctl -u qmoor --grep 'key=\"-\"'")
    assert re.search(r'key="-".* status=429', patient.node.tail())
    patient.keys["search"] = fresh
    assert patient.search() == 200


@fault("QmoorCertificateEnds")
def the_certificate_ends_tomorrow(patient):
    authority = patient.authority = Authority(patient.directory / "authority")
    cert, key = patient.directory / "gateway.crt", patient.directory / "gateway.key"
    authority.sign(cert, key, days=90)
    patient.admit(f"tls_cert = {json.dumps(str(cert))}\ntls_key = {json.dumps(str(key))}\n")
    yield
    authority.sign(cert, key, days=1)
    yield
    look = "openssl x509 -noout -enddate -subject -in PATH/OF/gateway.tls_cert"
    assert "notAfter" in patient.type(look, instead=[("PATH/OF/gateway.tls_cert", cert)])
    authority.sign(cert, key, days=90)


@fault("QmoorScheduledRunMissed")
def a_hold_was_left_on_over_a_scheduled_backup(patient):
    patient.admit('[schedule]\nbackup = "*/10 * * * * *"\njitter = "0s"\n').fill()
    until(lambda: patient.status()["last_backup"])
    yield
    patient.verb("hold", "--lease", "10m", "--why", "left on", "--lock-wait", "1m")
    until(lambda: patient.status()["schedules"][0]["missed"])
    yield
    assert "left on" in patient.type("qmoor status")
    patient.type("qmoor backups")
    assert "schedule: runs were missed" in patient.node.tail()
    patient.type("qmoor release")
    assert patient.points() == POINTS


@fault("QmoorNotificationsFailing")
def the_webhook_has_moved(patient):
    with Webhook(410) as hook:
        patient.admit(f'[notify]\nwebhook = "{hook.url}"\non = ["success"]\n').fill()
        yield
        patient.verb("backup")
        until(lambda: hook.got)
        yield
        # Where it answers again, a message arrives.
        assert "200" in patient.type("qmoor notify --test")


@fault("QmoorAuditLost")
def the_disk_of_the_state_is_full(patient):
    state = patient.directory / "qmoor-data/state"
    patient.admit(small=(state, "32m"))
    yield
    ballast = patient.inside(state / "ballast")
    fill_up(ballast)
    # More than has room in the page that the file has already.
    turned_away(patient, 40)
    yield
    patient.type("df -h qmoor-data/state")
    # The journal of systemd is this file here.
    assert runbook.says(patient.section, "journalctl -u qmoor --grep 'audit: records could not be written'")
    assert "audit: records could not be written" in patient.node.tail()
    ballast.unlink()
    turned_away(patient, 1)
    until(lambda: "denied" in patient.type("qmoor audit --last 5"))


def turned_away(patient, times):
    """Requests that the audit log has a record of."""
    with httpx.Client(base_url=patient.node.url, headers={"api-key": patient.keys["search"]}, timeout=30) as client:
        assert {client.delete("/collections/c").status_code for _ in range(times)} == {403}


def fill_up(path, leave=0):
    """Writes until the disk is full, and gives some of it back."""
    with open(path, "wb", buffering=0) as ballast:
        piece = 1 << 20
        while piece:
            try:
                ballast.write(bytes(piece))
            except OSError:
                piece //= 2
        os.truncate(path, ballast.tell() - leave)


# ---- the tests ------------------------------------------------------------------------------


def test_every_alert_has_a_fault_and_a_divisor():
    assert {alert for alert, _ in FAULTS} == set(alerts()) == set(DIVISORS), "see the top of this file"


@pytest.mark.parametrize("alert, course", FAULTS, ids=[f"{alert}-{course.__name__}" for alert, course in FAULTS])
def test_a_real_fault_raises_the_alert_and_what_the_runbook_says_ends_it(alert, course, prometheus, tmp_path):
    patient = Patient(alert, tmp_path / "node", prometheus)
    patient.directory.mkdir()
    steps = course(patient)
    try:
        next(steps)
        patient.evaluated()
        assert patient.states(alert) == set(), "raised on a node that is well"
        next(steps)
        patient.until_state(alert, {"firing"}, FIRES_WITHIN)
        with pytest.raises(StopIteration):
            next(steps)
        patient.until_state(alert, set(), FIRES_WITHIN)
    finally:
        steps.close()
        patient.discharge()


def test_every_command_of_the_runbook_was_typed_against_a_fault(request):
    ran = {item.name for item in request.session.items}
    if not all(any(course.__name__ in name for name in ran) for _, course in FAULTS):
        pytest.skip("only some of the faults were made in this run")
    assert runbook.to_type() - Patient.typed == set()


# ---- the rules in less time -----------------------------------------------------------------


def test_a_hastened_file_differs_in_durations_only():
    fast = hastened(DIVISORS, SCRAPE_MS)
    assert fast != ALERTS.read_text()
    assert masked(fast) == masked(ALERTS.read_text())


def test_every_duration_of_a_rule_is_divided():
    rule = "expr: time() - a > 26 * 3600 or predict_linear(b[6h], 86400) < 0 and c < 14\nfor: 10m\n"
    fast = "expr: time() - a > 9.36 or predict_linear(b[2160ms], 8.64) < 0 and c < 14\nfor: 60ms\n"
    assert hastened_rule(rule, 10_000, 500) == fast


def test_a_window_that_would_be_too_short_for_scrapes_is_refused():
    with pytest.raises(AssertionError, match="shorter than"):
        hastened_rule("expr: rate(a[1m]) > 1\n", 60, 500)
