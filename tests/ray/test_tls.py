"""A node that speaks TLS, with a certificate authority of one's own; and keys from AWS Secrets Manager."""

import http.server
import json
import os
import subprocess
import threading

import pytest
from qmoor import (
    BadInput,
    GaveUp,
    Node,
    PointSchema,
    Searcher,
    Target,
    Unauthorized,
    Unreachable,
    WriteOptions,
    Writer,
    ensure_collection,
)

import corpus
import server

SCHEMA = PointSchema(doc="doc", chunk="chunk", payload=["text"])
OPTIONS = WriteOptions(server_wait_s=1, deadline_s=2, give_up_after_s=2)


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder, name):
    """Makes one: its certificate is NAME.pem."""
    folder.mkdir(exist_ok=True)
    subject = ["-subj", f"/CN={name}", "-days", "2", "-nodes"]
    basics = ["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl(folder, "req", "-x509", *curve, "-keyout", f"{name}.key", "-out", f"{name}.pem", *subject, *basics)
    return folder / f"{name}.pem"


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """The address of a node with TLS, its authority, and another authority."""
    folder = tmp_path_factory.mktemp("tls")
    ours, other = authority(folder, "ours"), authority(folder, "other")
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl(folder, "req", *curve, "-keyout", "node.key", "-out", "node.csr", "-nodes", "-subj", "/CN=node")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
    signer = ["-CA", "ours.pem", "-CAkey", "ours.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
    openssl(folder, "x509", "-req", "-in", "node.csr", "-out", "node.pem", *signer)
    (folder / "node.key").chmod(0o600)
    settings = f'tls_cert = "{folder / "node.pem"}"\ntls_key = "{folder / "node.key"}"\n'
    node = server.start_node(folder, settings)
    for role, key in node.ready["keys"].items():
        os.environ[f"SECURE_{role.upper()}"] = key
    yield f"https://127.0.0.1:{node.http_port}", str(ours), str(other)
    assert node.stop() == 0, node.tail()


def test_everything_goes_over_tls(secure):
    url, ours, _ = secure
    target = Target(url, "c", "env:SECURE_INDEX", tls_ca=ours)
    ensure_collection(target, vectors=8)
    assert Writer(target, SCHEMA).write(corpus.table({"a": 9})).points_acked == 9
    searcher = Searcher(Target(url, "c", "env:SECURE_SEARCH", tls_ca=ours))
    vector = corpus.chunk("a", 4, 9)["vector"]
    assert searcher.search(vector, 1, fields=["_ix"]).column("_ix").to_pylist() == [4]
    backup = Node(url, "env:SECURE_INDEX", tls_ca=ours).backup(batch_id="b", timeout_s=100)
    assert backup["complete"]


@pytest.mark.parametrize("trusted", ["other", None])
def test_a_certificate_that_is_not_trusted_ends_it(secure, trusted):
    url, _, other = secure
    authority = other if trusted == "other" else None
    target = Target(url, "c", "env:SECURE_INDEX", tls_ca=authority)
    for call in (
        lambda: Writer(target, SCHEMA, OPTIONS).write(corpus.table({"b": 1})),
        lambda: Searcher(target).search([1.0] * 8),
        lambda: ensure_collection(target, vectors=8),
        lambda: Node(url, "env:SECURE_ADMIN", tls_ca=authority).status(),
    ):
        with pytest.raises((Unreachable, GaveUp), match=r"(?i)cert|tls|issuer") as failure:
            call()
        assert os.environ["SECURE_INDEX"] not in str(failure.value)


def test_without_tls_the_node_is_not_reached_and_says_so(secure):
    url, ours, _ = secure
    plain = url.replace("https", "http")
    with pytest.raises((Unreachable, GaveUp)):
        Writer(Target(plain, "c", "env:SECURE_INDEX"), SCHEMA, OPTIONS).write(corpus.table({"b": 1}))
    with pytest.raises(BadInput, match="https://"):
        Node(plain, "env:SECURE_ADMIN").status()
    with pytest.raises(BadInput, match="tls_ca"):
        Searcher(Target(url, "c", "env:SECURE_INDEX", tls_ca=ours + ".missing")).search([1.0] * 8)


def test_an_authority_that_is_no_pem_is_refused(secure, tmp_path):
    url, *_ = secure
    (tmp_path / "ca.pem").write_text("not a certificate")
    target = Target(url, "c", "env:SECURE_INDEX", tls_ca=str(tmp_path / "ca.pem"))
    for call in (
        lambda: Searcher(target).search([1.0] * 8),
        Node(url, "env:SECURE_ADMIN", tls_ca=target.tls_ca).status,
    ):
        with pytest.raises(BadInput, match="no certificate in PEM"):
            call()


# ---- keys from AWS


class Secrets(http.server.BaseHTTPRequestHandler):
    """The one request of Secrets Manager that is used, answered for one secret."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.headers["x-amz-target"], asked, self.headers["authorization"]))
        found = asked["SecretId"] == self.server.name
        body = {"SecretString": self.server.secret + "\n"} if found else {"__type": "ResourceNotFoundException"}
        self.send_response(200 if found else 400)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


@pytest.fixture
def secrets(monkeypatch):
    """Where boto3 finds secrets."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Secrets) as running:
        running.asked, running.secret = [], os.environ["QMOOR_TEST_INDEX"]
        running.name = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:qmoor-index-AbCdEf"
        threading.Thread(target=running.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{running.server_address[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        yield running
        running.shutdown()


def test_a_key_from_secrets_manager(place, secrets):
    place.make()
    target = Target(place.node.url, place.name, f"aws-secret:{secrets.name}")
    assert Writer(target, SCHEMA).write(corpus.table({"a": 2})).points_acked == 2
    operation, asked, signed = secrets.asked[0]
    assert (operation, asked) == ("secretsmanager.GetSecretValue", {"SecretId": secrets.name})
    # The region is the secret's own: none is set here.
    assert "/eu-central-1/secretsmanager/" in signed
    searcher = Searcher(target)
    assert searcher.search([1.0] * 8).num_rows == 2
    assert len(secrets.asked) == 2


def test_a_secret_that_is_turned_is_read_again(place, secrets):
    place.make()
    target = Target(place.node.url, place.name, f"aws-secret:{secrets.name}")
    right, secrets.secret = secrets.secret, os.environ["QMOOR_TEST_WRONG"]
    writer = Writer(target, SCHEMA)
    with pytest.raises(Unauthorized) as failure:
        writer.write(corpus.table({"a": 2}))
    assert secrets.secret not in str(failure.value)
    secrets.secret = right
    assert writer.write(corpus.table({"a": 2})).points_acked == 2


def test_a_secret_that_is_not_there_says_which_and_what_is_needed(place, secrets, monkeypatch):
    place.make()
    other = secrets.name.replace("index", "other")
    with pytest.raises(BadInput, match="qmoor-other") as failure:
        Writer(Target(place.node.url, place.name, f"aws-secret:{other}"), SCHEMA).check()
    assert "GetSecretValue" in failure.value.hint
    with pytest.raises(BadInput, match="region"):
        Writer(Target(place.node.url, place.name, "aws-secret:qmoor-index"), SCHEMA).check()
