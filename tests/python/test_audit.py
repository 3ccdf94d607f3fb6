"""The audit log: who did what from where, and `qmoor audit`; `qmoor status --watch`."""

import json
import os
import signal
import subprocess
import time

import pytest

import server
import waiting

pytestmark = pytest.mark.remote


@pytest.fixture()
def node(tmp_path):
    node = server.start_node(tmp_path)
    yield node
    assert node.stop() == 0, node.tail()


def key(node, role):
    return node.ready["keys"][role]


def ask(node, method, path, secret, body=None):
    """Status and text."""
    return server.raw(node.http_port, method, path, [("api-key", secret)], body)


def audit(node, *arguments):
    ended = server.run(node, "audit", *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def until(node, wanted, *arguments):
    """The entries, once there is one that is wanted: an end is written after its answer."""

    def found():
        return [entry for entry in audit(node, *arguments) if wanted(entry)]

    return waiting.until(found, 10, lambda: audit(node, *arguments))


def ended(action):
    return lambda entry: entry["action"] == action and entry["ended"]


def test_what_is_done_on_this_host_stands_there_with_who_and_how_it_ended(node):
    serve = until(node, ended("serve"))[0]
    assert serve["who"] == f"uid {os.getuid()}" and serve["result"] == "done"
    assert serve["what"]["settings_changed"] is None, "a first start has nothing to compare with"
    server.verb(node, "backup", "--batch-id", "first")
    backup = until(node, ended("backup"))[0]
    assert backup["result"] == "done" and backup["what"]["batch_id"] == "first"
    assert backup["from"].startswith("process ") and backup["ended"] >= backup["at"]
    made = json.loads(server.run(node, "keys", "rotate", "search").stdout)
    rotated = until(node, ended("keys rotate"))[0]
    assert rotated["what"] == {"role": "search", "collections": None, "overlap_ms": None}
    assert made["key"] not in json.dumps(audit(node)), "a key in the audit log"
    wrong = server.run(node, "keys", "revoke", "nothing")
    assert wrong.returncode == 1
    revoked = until(node, ended("keys revoke"))[0]
    assert revoked["result"] == "failed" and "nothing" in revoked["message"]
    server.verb(node, "hold", "--lease", "60s", "--why", "a look")
    server.verb(node, "release")
    assert until(node, ended("hold"))[0]["what"]["why"] == "a look"
    assert until(node, ended("release"))[0]["result"] == "done"


def test_what_comes_through_the_gateway_stands_there_with_key_role_and_address(node):
    collection = {"vectors": {"size": 4, "distance": "Dot"}}
    assert ask(node, "PUT", "/collections/notes", key(node, "index"), collection)[0] == 200
    assert ask(node, "DELETE", "/collections/notes?api-key=x", key(node, "admin"))[0] == 200
    deleted = until(node, ended("collections.delete"))[0]
    assert deleted["role"] == "admin" and deleted["who"].startswith("key ") and deleted["from"] == "127.0.0.1"
    assert deleted["what"] == {"path": "/collections/notes"}, "what stands behind ? may be a key"
    assert deleted["result"] == "done"
    assert ask(node, "POST", "/no/such/thing", key(node, "admin"), {})[0] == 404
    assert until(node, ended("unlisted"))[0]["message"] == "status 404"
    assert ask(node, "POST", "/qmoor/v1/backups", key(node, "index"), {"batch_id": "b7"})[0] == 200
    backup = until(node, ended("backup"))[0]
    assert (backup["role"], backup["from"], backup["what"]["batch_id"]) == ("index", "127.0.0.1", "b7")


def test_what_changes_something_is_asked_for_with_post_alone(node):
    for method in ("PUT", "DELETE", "PATCH"):
        for path in ("backup", "prune", "keys/rotate", "release"):
            assert ask(node, method, f"/qmoor/v1/agent/{path}", key(node, "admin"), {})[0] == 404, (method, path)
    assert ask(node, "POST", "/qmoor/v1/agent/release", key(node, "admin"), {})[0] == 200
    until(node, ended("release"))
    assert {entry["action"] for entry in audit(node)} == {"serve", "release"}


def test_who_may_not_is_written_down_and_not_for_ever(node):
    assert ask(node, "DELETE", "/collections/notes", key(node, "search"))[0] == 403
    denied = until(node, lambda entry: entry["result"] == "denied" and entry["role"] == "search", "--denied")[0]
    assert denied["action"] == "collections.delete" and "needs the admin key" in denied["message"]
    for _ in range(200):
        assert ask(node, "GET", "/collections", "wrong" * 9)[0] in (401, 429)
    until(node, lambda entry: entry["who"] == "nobody" and entry["from"] == "127.0.0.1", "--denied")
    server.verb(node, "release")
    until(node, ended("release"))
    denied = audit(node, "--denied", "--last", "1000")
    assert 1 < len(denied) <= 61, "at most 60 a minute without a right key, and one with"


def test_a_log_whose_disk_takes_nothing_keeps_nothing_from_being_done(tmp_path):
    (tmp_path / "qmoor-data/state/audit.jsonl").mkdir(parents=True)
    node = server.start_node(tmp_path)
    try:
        server.verb(node, "backup")
        server.verb(node, "keys", "rotate", "search")
        page = ask(node, "GET", "/qmoor/metrics", key(node, "admin"))[1]
        lost = next(line for line in page.splitlines() if line.startswith("qmoor_audit_lost_total "))
        assert float(lost.split()[1]) >= 4, lost
        assert "audit: records could not be written" in node.log.read_text()
    finally:
        assert node.stop() == 0, node.tail()


def test_settings_that_changed_are_named_and_the_log_outlives_the_agent(tmp_path):
    node = server.start_node(tmp_path)
    assert node.stop() == 0, node.tail()
    assert audit(node)[-1]["action"] == "serve", "read without an agent"
    node = server.start_node(tmp_path, '[backup]\nmax_pause = "9s"\n')
    try:
        starts = until(node, lambda entry: entry["action"] == "serve" and entry["what"]["settings_changed"])
        assert starts[0]["what"]["settings_changed"] == ["backup.max_pause"]
    finally:
        assert node.stop() == 0, node.tail()


def test_a_thing_is_written_down_before_it_is_done_and_after(node):
    server.verb(node, "backup")
    entries = until(node, ended("backup"))
    assert len(entries) == 1
    lines = (node.log.parent / "qmoor-data/state/audit.jsonl").read_text().splitlines()
    results = [json.loads(line)["result"] for line in lines if json.loads(line)["action"] == "backup"]
    assert results == ["begun", "done"], "before and after"


def test_status_watch_goes_on_and_sees_the_node_go_and_come(tmp_path):
    node = server.start_node(tmp_path)
    command = [server.BINARY, "--config", tmp_path / "qmoor.toml", "--json", "status", "--watch", "--every", "100ms"]
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = json.loads(watch.stdout.readline())
        assert line["node"]["engine"]["up"] and line["last_backup"] is None
        server.verb(node, "backup")
        seen(watch, lambda line: line["last_backup"] is not None)
        server.verb(node, "hold", "--reads")
        seen(watch, lambda line: line["node"]["gate"]["phase"] == "all_held")
        server.verb(node, "release")
        assert node.stop() == 0, node.tail()
        gone = seen(watch, lambda line: line["node"] is None)
        assert "no agent runs here" in gone["error"]
        node = server.start_node(tmp_path)
        seen(watch, lambda line: line["node"] is not None and line["node"]["engine"]["up"])
        watch.send_signal(signal.SIGINT)
        assert watch.wait(10) == 0
    finally:
        watch.kill()
        watch.wait()
        assert node.stop() == 0, node.tail()


def seen(watch, wanted):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        line = json.loads(watch.stdout.readline())
        if wanted(line):
            return line
    raise AssertionError("not seen")
