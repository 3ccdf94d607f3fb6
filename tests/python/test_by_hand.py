"""What an operator does by hand: holding and releasing, looking at the plan, waiting for whoever is at work."""

import concurrent.futures

import httpx
import pytest

import server

pytestmark = pytest.mark.remote


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    running = server.start_node(tmp_path_factory.mktemp("by-hand"))
    key = {"api-key": running.ready["keys"]["admin"]}
    with httpx.Client(base_url=running.url, headers=key, timeout=30) as client:
        client.put("/collections/c", json={"vectors": {"size": 2, "distance": "Dot"}}).raise_for_status()
        running.client = client
        yield running
    assert running.stop() == 0, running.tail()


def write(node, number):
    points = [{"id": number, "vector": [1, 2]}]
    return node.client.put("/collections/c/points?wait=true", json={"points": points}).status_code


def test_a_hold_by_hand_holds_writes_and_not_reads_until_it_is_released(node):
    held = server.verb(node, "hold", "--lease", "60s", "--why", "a look")
    assert held["gate"]["phase"] == "writes_held"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        writing = pool.submit(write, node, 1)
        assert node.client.post("/collections/c/points/count", json={}).status_code == 200
        assert not writing.done()
        assert "a look" in server.verb(node, "backup", code=3)
        assert server.verb(node, "release")["released"] is True
        assert writing.result() == 200
    assert server.verb(node, "release")["released"] is False


def test_a_hold_by_hand_ends_with_its_lease(node):
    server.verb(node, "hold", "--lease", "300ms", "--reads")
    assert write(node, 2) == 200
    assert server.verb(node, "status")["node"]["gate"]["phase"] == "open"
    assert "at most" in server.verb(node, "hold", "--lease", "2h", code=2)


def test_a_backup_waits_for_whoever_is_at_work_for_as_long_as_it_is_told(node):
    server.verb(node, "hold", "--lease", "1s")
    made = server.verb(node, "backup", "--lock-wait", "60s")
    assert made["grade"] == "clean"


def test_the_plan_of_a_backup_does_nothing(node):
    before = server.verb(node, "backups")
    plan = server.verb(node, "backup", "--explain")
    assert plan["grade"] == "clean"
    assert plan["steps"][0] == "gate"
    assert plan["steps"].index("stop") < plan["steps"].index("snapshot") < plan["steps"].index("start")
    assert server.verb(node, "backups") == before
    # The directory is on no file system of its own.
    assert "cannot be frozen" in server.verb(node, "backup", "--explain", "--mode", "freeze", code=1)


def test_a_backup_that_is_not_waited_for_goes_on_by_itself(node):
    begun = server.verb(node, "backup", "--wait=false")
    # The next one waits for it.
    server.verb(node, "backup", "--lock-wait", "60s")
    ids = [backup["id"] for backup in server.verb(node, "backups") if backup["complete"]]
    assert begun["id"] in ids


def test_an_operator_elsewhere_does_it_through_the_gateway_with_the_admin_key(node, monkeypatch, tmp_path):
    monkeypatch.setenv("QMOOR_NODE", node.url)
    monkeypatch.setenv("QMOOR_NODE_KEY", node.ready["keys"]["admin"])
    # Nothing here but the address and the key: neither the file nor the socket of the node.
    elsewhere = server.Elsewhere(tmp_path)
    assert elsewhere.verb("status")["node"]["gate"]["phase"] == "open"
    made = elsewhere.verb("backup", "--batch-id", "from afar")
    assert made["grade"] == "clean"
    assert made["id"] in [backup["id"] for backup in server.verb(node, "backups")]
    assert elsewhere.verb("drill", made["id"])["ok"] is True
    assert elsewhere.verb("keys", "rotate", "search")["key"].startswith("qm_search_")
    for role in ("search", "index"):
        monkeypatch.setenv("QMOOR_NODE_KEY", node.ready["keys"][role])
        assert "error:" in elsewhere.verb("backups", code=1)
        refused = httpx.post(f"{node.url}/qmoor/v1/agent/prune", headers={"api-key": node.ready["keys"][role]}, json={})
        assert refused.status_code == 403
    assert httpx.get(f"{node.url}/qmoor/v1/agent/status").status_code == 401
    monkeypatch.setenv("QMOOR_NODE", "https://127.0.0.1:1")
    assert "no address of a gateway" in elsewhere.verb("status", code=2)
    monkeypatch.delenv("QMOOR_NODE_KEY")
    assert "no variable" in elsewhere.verb("status", code=2)
