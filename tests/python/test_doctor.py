"""`qmoor doctor`: a node that is well, one that is broken in many ways, and servers that qmoor did not set up."""

import json
import os
import socket
import subprocess

import pytest

import server
from conftest import KEY, READ_ONLY_KEY

pytestmark = pytest.mark.remote

# What the host of a test run cannot help: one disk, its kernel's settings, no service that keeps the clock.
OF_THE_HOST = {"data-on-volume", "store-elsewhere", "map-count", "open-files", "disk-headroom", "clock", "docker-ports"}


def doctor(node, *arguments):
    """Exit code, and the checks by their id."""
    ended = server.run(node, "doctor", *arguments)
    checks = json.loads(ended.stdout)["checks"]
    for check in checks:
        assert set(check) == {"id", "verdict", "seen", "fix"} and check["seen"], check
        assert (check["fix"] is not None) or check["verdict"] in ("pass", "not_applicable"), check
    return ended.returncode, {check["id"]: check for check in checks}


def verdicts(checks):
    return {name: check["verdict"] for name, check in checks.items()}


def from_outside(url, *arguments, environment=None):
    command = [server.BINARY, "--json", "--quiet", "doctor", "--url", url, *arguments]
    environment = {**os.environ, **(environment or {})}
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=environment)
    assert ended.stdout, ended.stderr
    return ended.returncode, {check["id"]: check for check in json.loads(ended.stdout)["checks"]}


@pytest.fixture(scope="module")
def well(tmp_path_factory):
    node = server.start_node(tmp_path_factory.mktemp("well"))
    notes = node.log.parent / "notes"
    notes.mkdir()
    (notes / "a.md").write_text("A ship is moored with two anchors.")
    server.verb(node, "index", str(notes), "-c", "notes")
    server.verb(node, "backup")
    server.verb(node, "drill")
    yield node
    assert node.stop() == 0, node.tail()


def test_a_node_that_is_well_fails_nothing(well):
    code, checks = doctor(well)
    others = {name: check for name, check in checks.items() if name not in OF_THE_HOST}
    assert {check["verdict"] for check in others.values()} <= {"pass", "not_applicable"}, others
    passed = {name for name, verdict in verdicts(checks).items() if verdict == "pass"}
    assert passed >= {
        "agent-up",
        "engine-up",
        "address-held",
        "engine-bound",
        "answers-with-key",
        "refuses-without-key",
        "search-key-cannot-write",
        "search-key-no-snapshots",
        "collections-green",
        "backup-age",
        "backup-grade",
        "drill-age",
        "store-reachable",
        "secrets-modes",
        "secrets-hidden",
        "hold-budget",
    }, checks
    assert checks["security-group"]["verdict"] == "not_applicable"
    worst = set(verdicts(checks).values())
    assert code == (1 if "fail" in worst else 4 if "warn" in worst else 0)


def test_checks_are_chosen_by_name(well):
    code, checks = doctor(well, "--only", "drill-age", "--only", "refuses-without-key")
    assert (code, list(checks)) == (0, ["refuses-without-key", "drill-age"])
    ended = server.run(well, "doctor", "--only", "no-such-check")
    assert ended.returncode == 2
    assert "no-such-check" in ended.stderr and "backup-age" in ended.stderr
    listed = server.verb(well, "doctor", "--list")["checks"]
    assert len(listed) == len({check["id"] for check in listed}) >= 30


def test_a_broken_node_is_told_what_is_broken_and_what_mends_it(tmp_path):
    node = server.start_node(tmp_path, 'hold_budget = "9s"\n')
    keys = tmp_path / "qmoor-data/state/keys.json"
    keys.chmod(0o644)
    (tmp_path / "qmoor.toml").chmod(0o666)
    # A key in a log.
    with open(tmp_path / "qmoor-data/state/engine.log", "a") as log:
        log.write(f"api-key: {node.ready['keys']['search']}\n")

    code, checks = doctor(node)
    assert code == 1
    assert verdicts(checks) | {
        "backup-age": "fail",
        "drill-age": "warn",
        "secrets-modes": "fail",
        "secrets-hidden": "fail",
        "hold-budget": "warn",
    } == verdicts(checks), checks
    assert str(keys) in checks["secrets-modes"]["seen"] and "chmod" in checks["secrets-modes"]["fix"]
    assert "engine.log" in checks["secrets-hidden"]["seen"]
    assert node.ready["keys"]["search"] not in json.dumps(checks)
    assert checks["backup-age"]["fix"] == "qmoor backup"

    # Nobody can be asked here, so nothing is changed.
    assert server.run(node, "doctor", "--fix").returncode == 2
    assert keys.stat().st_mode & 0o777 == 0o644
    code, checks = doctor(node, "--fix", "--yes", "--only", "secrets-modes")
    assert (code, checks["secrets-modes"]["verdict"]) == (0, "pass")
    assert keys.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "qmoor.toml").stat().st_mode & 0o777 == 0o644

    assert node.stop() == 0, node.tail()
    code, checks = doctor(node)
    assert (code, checks["agent-up"]["verdict"]) == (1, "fail")
    assert checks["backup-age"]["verdict"] == "not_applicable"


def test_a_configuration_that_cannot_be_used_is_a_finding(tmp_path):
    config = tmp_path / "qmoor.toml"
    config.write_text("[gateway]\nhttp_prot = 6333\n")
    command = [server.BINARY, "--config", config, "--json", "doctor"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    checks = {check["id"]: check for check in json.loads(ended.stdout)["checks"]}
    assert (ended.returncode, checks["config-valid"]["verdict"]) == (1, "fail")
    assert "http_prot" in checks["config-valid"]["seen"]


def test_another_user_is_told_what_it_may_not_see(well):
    if os.geteuid() != 0:
        pytest.skip("only root becomes somebody else")
    config = well.log.parent / "qmoor.toml"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", server.BINARY, "--config", config]
    ended = subprocess.run([*command, "--json", "doctor"], check=False, capture_output=True, text=True, timeout=60)
    if not ended.stdout:
        pytest.skip("the folders of this test run, or the binary, are closed to others")
    checks = {check["id"]: check for check in json.loads(ended.stdout)["checks"]}
    assert checks["refuses-without-key"]["verdict"] == "not_applicable", checks


def test_a_server_that_qmoor_did_not_set_up(tmp_path):
    running = server.start_engine(tmp_path, KEY, READ_ONLY_KEY)
    environment = {"K": KEY, "R": READ_ONLY_KEY}
    code, checks = from_outside(running.url, "--key", "env:K", "--search-key", "env:R", environment=environment)
    found = verdicts(checks)
    for name in ("reachable", "answers-with-key", "refuses-without-key", "search-key-cannot-write", "version-current"):
        assert found[name] == "pass", checks
    assert "backup-age" not in found, "that is looked at on the node's own host"

    # The key that may do everything, in the hands of readers.
    code, checks = from_outside(running.url, "--search-key", "env:K", environment=environment)
    assert (code, checks["search-key-cannot-write"]["verdict"]) == (1, "fail"), checks
    # A wrong one.
    code, checks = from_outside(running.url, "--key", "env:W", environment={"W": "wrong"})
    assert (code, checks["answers-with-key"]["verdict"]) == (1, "fail"), checks
    assert running.stop() == 0


def test_an_open_server_is_told_apart(tmp_path):
    running = server.start_engine(tmp_path)
    code, checks = from_outside(running.url)
    assert (code, checks["refuses-without-key"]["verdict"]) == (1, "fail"), checks
    assert "API_KEY" in checks["refuses-without-key"]["fix"]
    assert running.stop() == 0


def test_a_server_that_is_not_there(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        code, checks = from_outside(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (code, checks["reachable"]["verdict"]) == (1, "fail")


def test_tls_is_looked_at_and_a_key_is_sent_to_nobody_else(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]
    name = ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    name += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run([*make, *name, "-keyout", key, "-out", cert], check=True, capture_output=True)
    key.chmod(0o600)
    node = server.start_node(tmp_path, f'tls_cert = "{cert}"\ntls_key = "{key}"\n')
    _, checks = doctor(node)
    assert (checks["tls"]["verdict"], checks["answers-with-key"]["verdict"]) == ("pass", "pass"), checks
    assert checks["tls-expiry"]["verdict"] == "warn" and "9 days" in checks["tls-expiry"]["seen"], checks

    url, keys = f"https://{node.ready['http']}", {"K": node.ready["keys"]["admin"]}
    code, checks = from_outside(url, "--key", "env:K", environment=keys)
    assert (code, checks["tls"]["verdict"]) == (1, "fail"), checks
    assert checks["answers-with-key"]["verdict"] == "not_applicable", "no key for who may be somebody else"
    _, checks = from_outside(url, "--key", "env:K", "--tls-ca", str(cert), environment=keys)
    assert (checks["tls"]["verdict"], checks["answers-with-key"]["verdict"]) == ("pass", "pass"), checks
    assert node.stop() == 0, node.tail()
