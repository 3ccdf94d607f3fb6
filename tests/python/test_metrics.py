"""The page of metrics and the alerts on it, with a real Prometheus: Debian's package of that name has both programs."""

import re
import time

import httpx
import pytest
from qdrant_client import models as m

import lanes
import server
from prometheus import ALERTS, Prometheus, promtool
from server import ROOT

pytestmark = [pytest.mark.remote, pytest.mark.timeout(300)]

RUNBOOK = ROOT / "docs/runbook.md"
TESTS = [ALERTS.with_name("alerts_test.yml"), ALERTS.with_name("alerts_days_test.yml")]


def alerts():
    """Each alert's name and text."""
    parts = re.split(r"^ +- alert: (\w+)$", ALERTS.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2]))


def test_the_alerts_fire_when_they_should_and_only_then():
    promtool("check", "rules", ALERTS)
    promtool("test", "rules", *TESTS)


def test_every_alert_is_tested_both_ways():
    text = "".join(tests.read_text() for tests in TESTS)
    silent = set(re.findall(r"- \{eval_time: \S+, alertname: (\w+)\}", text))
    firing = set(re.findall(r"^ +alertname: (\w+)\n +exp_alerts:\n", text, flags=re.MULTILINE))
    assert silent >= set(alerts()) and firing == set(alerts())


def test_every_alert_leads_to_a_section_of_the_runbook_that_names_it():
    sections = re.split(r"^## (.+)$", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]
    by_anchor = {title.lower().replace(" ", "-"): text for title, text in zip(sections[::2], sections[1::2])}
    led_to = set()
    for name, text in alerts().items():
        (anchor,) = re.findall(r"^ +runbook: docs/runbook\.md#(\S+)$", text, flags=re.MULTILINE)
        assert f"`{name}`" in by_anchor[anchor], name
        led_to.add(anchor)
    assert led_to == set(by_anchor)


def test_the_alerts_ask_for_metrics_that_there_are():
    listed = set(re.findall(r"^\| `(qmoor_\w+)` \|", (ROOT / "docs/metrics.md").read_text(), flags=re.MULTILINE))
    assert listed
    assert set(re.findall(r"\bqmoor_\w+", ALERTS.read_text())) <= listed


@pytest.fixture
def node(tmp_path):
    """A node with ten points in one collection."""
    running = server.start_node(tmp_path)
    with lanes.Connected(lanes.stock(running, grpc=False, role="admin")) as client:
        client.create_collection("c", m.VectorParams(size=lanes.DIM, distance=m.Distance.COSINE))
        client.upsert("c", [lanes.point(number) for number in range(10)], wait=True)
    yield running
    running.stop()


def page(node):
    answer = httpx.get(f"{node.url}/qmoor/metrics", headers={"api-key": node.ready["keys"]["admin"]}, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.text


def raised(prometheus):
    """Alerts that fire, or will if it goes on."""
    return {alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"]}


def test_the_page_is_as_prometheus_would_have_it(node):
    server.verb(node, "backup")
    ours = [line for line in page(node).splitlines(keepends=True) if re.match(r"(# (HELP|TYPE) )?qmoor_", line)]
    promtool("check", "metrics", given="".join(ours))


def test_prometheus_reads_a_node_through_a_backup_and_sees_its_end(node, tmp_path):
    began = time.time()
    directory = tmp_path / "prometheus"
    directory.mkdir()
    with Prometheus(directory, node.url.removeprefix("http://"), node.ready["keys"]["admin"]) as prometheus:
        prometheus.until(lambda: prometheus.value("up") == 1)
        rules = prometheus.get("rules")["groups"][0]["rules"]
        assert [rule["name"] for rule in rules] == list(alerts())

        with lanes.Connected(lanes.stock(node, grpc=True, role="search")) as client:
            for _ in range(7):
                client.query_points("c", query=[1.0] * lanes.DIM)
        asked = 'qmoor_gateway_requests_total{role="search",operation="points.query",status="2xx"}'
        prometheus.until(lambda: prometheus.value(asked) == 7)
        assert prometheus.value("qmoor_engine_metrics_scraped") == 1
        # Qdrant's own, under its name.
        assert prometheus.value("collections_total") == 1
        assert prometheus.value("qmoor_backup_last_success_timestamp_seconds") == 0

        report = server.verb(node, "backup")
        prometheus.until(lambda: prometheus.value("qmoor_backups_complete") == 1)
        assert prometheus.value('qmoor_backup_last_points{grade="clean"}') == 10
        pause = prometheus.value('qmoor_backup_last_pause_seconds{grade="clean"}')
        assert pause == pytest.approx(report["pause_ms"] / 1000)
        assert prometheus.value("qmoor_backup_last_success_timestamp_seconds") >= began
        # Every scrape so far came through, those during the pause too.
        assert prometheus.value("min_over_time(up[10m])") == 1
        prometheus.until(lambda: all(rule["health"] == "ok" for rule in prometheus.get("rules")["groups"][0]["rules"]))

        assert node.stop() == 0, node.tail()
        prometheus.until(lambda: prometheus.value("up") == 0)
        prometheus.until(lambda: "QmoorNodeDown" in raised(prometheus))
