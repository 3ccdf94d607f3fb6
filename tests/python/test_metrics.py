"""The page of metrics and the alerts on it, with a real Prometheus: Debian's package of that name has both programs."""

import itertools
import json
import math
import os
import re
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from qdrant_client import models as m

import lanes
import server
from certificates import Authority
from past import volume_history
from prometheus import ALERTS, Prometheus, promtool
from rules import alerts
from server import ROOT

pytestmark = [pytest.mark.remote, pytest.mark.timeout(300)]

RUNBOOK = ROOT / "docs/runbook.md"
DASHBOARD = ROOT / "monitoring/grafana.json"
# What Grafana puts in the place of its variables: what is chosen above the panels, and a window of some scrapes.
CHOSEN = {"$job": "qmoor", "$instance": ".+", "$__rate_interval": "20s"}
# No run comes of it while a test goes on.
NEW_YEAR = "0 0 1 1 *"
# Expressions that have no answer on a node that is well, each with the reason.
SILENT = {"Schedule last missed #0": "no run was missed"}
TESTS = [ALERTS.with_name("alerts_test.yml"), ALERTS.with_name("alerts_days_test.yml")]


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


def test_a_storm_of_scrapes_disturbs_neither_requests_nor_a_backup(node):
    keys = node.ready["keys"]

    def scrapes():
        with httpx.Client(base_url=node.url, headers={"api-key": keys["admin"]}, timeout=60) as client:
            return [client.get("/qmoor/metrics").status_code for _ in range(40)]

    def searches(until_done):
        body, statuses = {"query": lanes.QUERY, "limit": 1}, []
        with httpx.Client(base_url=node.url, headers={"api-key": keys["search"]}, timeout=60) as client:
            while not until_done.is_set():
                statuses.append(client.post("/collections/c/points/query", json=body).status_code)
        return statuses

    done = threading.Event()
    with ThreadPoolExecutor(33) as pool:
        searching = pool.submit(searches, done)
        scraping = [pool.submit(scrapes) for _ in range(32)]
        try:
            assert server.verb(node, "backup")["grade"] == "clean"
            answered = [status for one in scraping for status in one.result()]
        finally:
            done.set()
        found = searching.result()
    assert answered == [200] * (32 * 40)
    assert found and set(found) == {200}


# ---- the dashboard --------------------------------------------------------------------------


def expressions():
    """Every expression of the dashboard, with where it stands, as Grafana would send it."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {}
    for panel in dashboard["panels"]:
        for number, target in enumerate(panel.get("targets", [])):
            found[f"{panel['title']} #{number}"] = target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        found[annotation["name"]] = annotation["expr"]
    return {place: as_sent(expression) for place, expression in found.items()}


def as_sent(expression):
    for variable, value in CHOSEN.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression
    return expression


@pytest.fixture
def busy(tmp_path):
    """A node of which there is something to say in every panel: behind TLS, backed up, drilled, asked and refused."""
    authority = Authority(tmp_path / "authority")
    cert, key = tmp_path / "gateway.crt", tmp_path / "gateway.key"
    authority.sign(cert, key, days=90)
    state = tmp_path / "qmoor-data/state"
    state.mkdir(parents=True)
    size = os.statvfs(state)
    (state / "volume-history.jsonl").write_text("".join(volume_history(state, size.f_blocks * size.f_frsize // 20)))
    settings = f"tls_cert = {json.dumps(str(cert))}\ntls_key = {json.dumps(str(key))}\n"
    running = server.start_node(tmp_path, f'{settings}[schedule]\nbackup = "{NEW_YEAR}"\ndrill = "{NEW_YEAR}"\n')
    try:
        trusted = ssl.create_default_context(cafile=authority.certificate)
        with httpx.Client(base_url=f"https://{running.ready['http']}", verify=trusted) as client:
            yield running, client, authority.certificate
    finally:
        running.stop()


def test_every_panel_of_the_dashboard_asks_a_query_that_has_an_answer(busy, tmp_path):
    node, client, ca = busy
    keys = node.ready["keys"]
    admin, search = ({"api-key": keys[role]} for role in ("admin", "search"))

    def ask(method, path, body, headers):
        return client.request(method, path, json=body, headers=headers).status_code

    assert ask("PUT", "/collections/c", {"vectors": {"size": 4, "distance": "Dot"}}, admin) == 200
    points = {"points": [{"id": 1, "vector": [1, 2, 3, 4]}]}
    assert ask("PUT", "/collections/c/points?wait=true", points, admin) == 200
    server.verb(node, "backup")
    server.verb(node, "drill")
    directory = tmp_path / "prometheus"
    directory.mkdir()
    with Prometheus(directory) as prometheus:
        prometheus.add(node.ready["http"], keys["admin"], ca)
        # The node is held for as long as this takes, and the requests go on.
        server.verb(node, "hold", "--lease", "10m")
        query = {"query": [1, 2, 3, 4], "limit": 1}
        missing, numbers = expressions(), itertools.count()
        assert len(missing) > 30 and set(SILENT) <= set(missing)

        def all_answered():
            assert ask("POST", "/collections/c/points/query", query, search) == 200
            assert ask("PUT", f"/collections/d{next(numbers)}", {}, search) == 403
            for place, expression in list(missing.items()):
                values = [float(one["value"][1]) for one in prometheus.get("query", query=expression)["result"]]
                if any(not math.isnan(value) for value in values):
                    del missing[place]
            return set(missing) <= set(SILENT)

        try:
            prometheus.until(all_answered, deadline=90)
        except AssertionError:
            pytest.fail(f"no data for {sorted(set(missing) - set(SILENT))}")
        server.verb(node, "release")
