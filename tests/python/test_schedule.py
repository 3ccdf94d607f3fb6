"""Backups and drills by schedule, and who is told of them: a real node, a webhook and a command of the test."""

import calendar
import json
import os
import re
import subprocess
import time

import httpx
import pytest
from qdrant_client import models as m

import lanes
import server
from waiting import until
from webhook import Webhook

pytestmark = [pytest.mark.remote, pytest.mark.timeout(300)]

EVERY_SECOND = "* * * * * *"
# No run comes of it while a test goes on.
NEW_YEAR = "0 0 1 1 *"


def node_of(directory, *, schedule="", notify="", gateway=""):
    settings = f'{gateway}\n[schedule]\njitter = "0s"\n{schedule}\n[notify]\n{notify}\n'
    return server.start_node(directory, settings)


def fill(node):
    """Something to back up."""
    with lanes.Connected(lanes.stock(node, grpc=False, role="admin")) as client:
        client.create_collection("c", m.VectorParams(size=lanes.DIM, distance=m.Distance.COSINE))
        client.upsert("c", [lanes.point(number) for number in range(10)], wait=True)


def status(node):
    return server.verb(node, "status")["node"]


def schedule_of(node, job="backup"):
    (found,) = [schedule for schedule in status(node)["schedules"] if schedule["job"] == job]
    assert set(found) == {"job", "cron", "next", "last", "missed", "last_missed"}
    return found


def journal(node):
    path = node.log.parent / "qmoor-data/state/journal.jsonl"
    # What follows the last line's end is being written.
    records = [json.loads(line) for line in path.read_text().split("\n")[:-1]]
    return [{"backup": record["backup"], **record["event"]} for record in records]


def begun(node):
    """The backups that were begun, well or not."""
    return [record for record in journal(node) if record["type"] == "begin"]


def backups(node):
    """The backups that ended well."""
    return [record for record in journal(node) if record["type"] == "finished" and record["ok"]]


def ledger(node, job="backup"):
    return node.log.parent / f"qmoor-data/state/schedule-{job}.json"


def seconds(moment):
    return calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


def test_backups_and_drills_are_made_by_schedule_one_after_the_other(tmp_path):
    # Both at the same moment, with time enough for the one that comes second.
    together = "*/5 * * * * *"
    node = node_of(tmp_path, schedule=f'backup = "{together}"\ndrill = "{together}"')
    fill(node)
    until(lambda: len(backups(node)) >= 2 and status(node)["last_drill"])
    assert status(node)["last_drill"]["ok"]
    now = schedule_of(node)
    assert now["cron"] == together and now["last"] and now["next"]
    command = [server.BINARY, "--config", tmp_path / "qmoor.toml", "status"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert re.search(r"^next backup  .* by schedule `\*/5 \* \* \* \* \*`", text, re.MULTILINE), text
    assert re.search(r"^next drill   .* by schedule", text, re.MULTILINE), text
    assert node.stop() == 0, node.tail()

    records = [record for record in journal(node) if record["backup"].startswith("b-")]
    assert {(record["why"], record["batch_id"]) for record in begun(node)} == {("schedule", None)}
    # Nothing begins before what began earlier has ended.
    running = None
    for record in records:
        if record["type"] == "begin":
            assert running is None, (running, record)
            running = record["backup"]
        elif record["type"] == "finished":
            assert running == record["backup"]
            running = None
        elif record["type"] == "drilled":
            assert running is None, record


def test_a_run_missed_while_the_node_was_killed_is_made_once_after_the_start(tmp_path):
    node = node_of(tmp_path, schedule=f'backup = "{NEW_YEAR}"')
    fill(node)
    until(lambda: schedule_of(node)["next"])
    assert backups(node) == []
    node.kill()
    # As if the last look had been years ago, and nothing were made up for.
    ledger(node).write_text(json.dumps({"cron": NEW_YEAR, "handled": "2023-11-30T00:00:00Z", "missed": 0}))
    config = tmp_path / "qmoor.toml"
    config.write_text(config.read_text().replace("[notify]", 'catch_up = "0s"\n[notify]'))
    node = server.Server(["serve", "--config", config, "--json"], node.log).wait_until_ready()
    until(lambda: schedule_of(node)["missed"] == time.gmtime().tm_year - 2023)
    assert begun(node) == []
    node.kill()

    # Of those that were due each minute for an hour the last one is made up for, and once.
    minutely = "* * * * *"
    hour_ago = time.strftime("%Y-%m-%dT%H:%M:30Z", time.gmtime(time.time() - 3600))
    ledger(node).write_text(json.dumps({"cron": minutely, "handled": hour_ago, "missed": 0}))
    config.write_text(config.read_text().replace(NEW_YEAR, minutely).replace('"0s"\n[notify]', '"1h"\n[notify]'))
    start = time.time()
    node = server.Server(["serve", "--config", config, "--json"], node.log).wait_until_ready()
    until(lambda: backups(node))
    assert schedule_of(node)["missed"] in (59, 60)
    assert len(begun(node)) <= 1 + int(time.time() // 60 - start // 60), "one for the hour, one for each minute since"
    assert node.stop() == 0, node.tail()


def test_a_run_that_was_killed_is_made_again_and_no_third_time(tmp_path):
    node = node_of(tmp_path, schedule=f'backup = "{NEW_YEAR}"')
    fill(node)
    until(lambda: schedule_of(node)["next"])
    node.kill()
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    cut_off = {"due": now, "begun": now, "tries": 1}
    there = {"cron": NEW_YEAR, "handled": now, "missed": 0, "unfinished": cut_off}
    ledger(node).write_text(json.dumps(there))
    config = tmp_path / "qmoor.toml"
    node = server.Server(["serve", "--config", config, "--json"], node.log).wait_until_ready()
    until(lambda: len(backups(node)) == 1)
    until(lambda: schedule_of(node)["last"])
    assert schedule_of(node)["missed"] == 0
    node.kill()

    there["unfinished"]["tries"] = 2
    ledger(node).write_text(json.dumps(there))
    node = server.Server(["serve", "--config", config, "--json"], node.log).wait_until_ready()
    until(lambda: schedule_of(node)["missed"] == 1)
    assert len(backups(node)) == 1
    assert node.stop() == 0, node.tail()


def test_nothing_is_begun_that_cannot_be_noted_first(tmp_path):
    in_the_way = tmp_path / "qmoor-data/state/schedule-backup.json"
    in_the_way.mkdir(parents=True)
    node = node_of(tmp_path, schedule=f'backup = "{EVERY_SECOND}"')
    fill(node)
    until(lambda: "nothing is begun, because it cannot be noted" in node.log.read_text())
    assert begun(node) == []
    # Which is no reason for anything else to stop.
    server.verb(node, "backup")
    in_the_way.rmdir()
    until(lambda: len(begun(node)) >= 2)
    assert node.log.read_text().count("nothing is begun") == 1
    assert node.stop() == 0, node.tail()


def test_a_node_that_is_busy_has_a_run_wait_and_then_miss_it(tmp_path):
    with Webhook() as hook:
        node = node_of(tmp_path, schedule=f'backup = "{NEW_YEAR}"', notify=f'webhook = "{hook.url}"')
        fill(node)
        until(lambda: schedule_of(node)["next"])
        assert node.stop() == 0
        config = tmp_path / "qmoor.toml"
        config.write_text(config.read_text().replace(NEW_YEAR, "*/2 * * * * *"))
        node = server.Server(["serve", "--config", config, "--json"], node.log).wait_until_ready()
        until(lambda: server.run(node, "hold", "--lease", "60s").returncode == 0)
        made = len(begun(node))
        missed = schedule_of(node)["missed"]
        until(lambda: schedule_of(node)["missed"] >= missed + 2)
        (message, *_) = until(lambda: [one for one in hook.messages("run_missed") if "was busy" in one["message"]])
        assert (message["ok"], message["by"], message["id"]) == (False, "schedule", None)
        assert len(begun(node)) == made
        server.verb(node, "release")
        until(lambda: len(begun(node)) > made)
        assert node.stop() == 0, node.tail()


def test_a_webhook_is_told_after_two_faults_too_and_its_address_is_nowhere(tmp_path):
    with Webhook(500, 500) as hook:
        secret = tmp_path / "webhook"
        secret.write_text(hook.url + "\n")
        secret.chmod(0o600)
        node = node_of(tmp_path, notify=f'webhook_file = "{secret}"\non = ["success"]')
        fill(node)
        report = server.verb(node, "backup")
        until(lambda: len(hook.got) == 3)
        assert len({json.dumps(got) for got in hook.got}) == 1
        path, kind, message = hook.got[0]
        assert (path, kind) == ("/s3cret", "application/json")
        assert set(message) == {"node", "event", "ok", "at", "by", "id", "message", "qmoor"}
        assert (message["node"], message["event"], message["ok"]) == ("qmoor", "backup_succeeded", True)
        assert (message["by"], message["id"]) == ("hand", report["id"])
        assert abs(seconds(message["at"]) - time.time()) < 120

        # A drill too, and what was not chosen is not told.
        server.verb(node, "drill")
        until(lambda: hook.messages("drill_succeeded"))
        page = httpx.get(f"{node.url}/qmoor/metrics", headers={"api-key": node.ready["keys"]["admin"]}).text
        assert 'qmoor_notifications_sent_total{channel="webhook"} 2' in page
        assert 'qmoor_notifications_failed_total{channel="webhook"} 0' in page

        # One that others can read is no secret any more.
        secret.chmod(0o644)
        trial = server.run(node, "notify", "--test")
        assert trial.returncode == 1 and "others can read it" in trial.stdout
        ended = server.run(node, "doctor", "--only", "secrets-modes")
        assert ended.returncode == 1 and str(secret) in ended.stdout
        assert node.stop() == 0, node.tail()
    assert "s3cret" not in node.log.read_text()


def test_a_webhook_over_tls_must_have_a_certificate_that_the_system_takes(tmp_path):
    pair = (tmp_path / "cert.pem", tmp_path / "key.pem")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10"]
    names = ["-subj", "/CN=hook", "-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"]
    subprocess.run([*make, *names, "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    with Webhook(tls=pair) as hook:
        node = node_of(tmp_path, notify=f'webhook = "{hook.url}"')
        ended = server.run(node, "notify", "--test")
        assert ended.returncode == 1 and "certificate" in ended.stdout, ended.stdout
        assert hook.got == []
        assert node.stop() == 0, node.tail()
        arguments = ["serve", "--config", tmp_path / "qmoor.toml", "--json"]
        node = server.Server(arguments, node.log, {"SSL_CERT_FILE": str(pair[0])}).wait_until_ready()
        assert server.verb(node, "notify", "--test")["webhook"]["ok"]
        assert [message["event"] for _, _, message in hook.got] == ["test"]
        assert node.stop() == 0, node.tail()


def test_an_engine_that_does_not_come_up_is_told_before_the_agent_ends(tmp_path):
    with Webhook() as hook:
        config = tmp_path / "qmoor.toml"
        config.write_text(f'[gateway]\nhttp_port = 0\ngrpc_port = 0\n[notify]\nwebhook = "{hook.url}"\n')
        # A file, where the engine needs a folder.
        (tmp_path / "qmoor-data").mkdir(0o700)
        (tmp_path / "qmoor-data/data").write_text("")
        command = [server.BINARY, "serve", "--config", config]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        assert ended.returncode == 1, ended.stderr
        ((_, _, message),) = hook.got
        assert (message["event"], message["ok"], message["by"]) == ("engine_down", False, None)
        assert "cannot prepare the engine's directory" in message["message"], message


def test_a_failure_is_told_with_its_reason(tmp_path):
    with Webhook() as hook:
        node = node_of(tmp_path, schedule=f'backup = "{NEW_YEAR}"', notify=f'webhook = "{hook.url}"')
        fill(node)
        good = server.verb(node, "backup")["id"]
        # That one is the measure of the next.
        server.verb(node, "backup", "--max-pause", "1ms", code=1)
        (message,) = until(lambda: hook.messages("backup_failed"))
        assert (message["ok"], message["by"]) == (False, "hand")
        assert message["message"].startswith("no backup: the pause is forecast to be "), message
        assert message["id"] in [record["backup"] for record in begun(node)] and message["id"] != good
        # An engine that ends by itself.
        os.kill(status(node)["engine"]["pid"], 9)
        (message,) = until(lambda: hook.messages("engine_restarted"))
        assert (message["ok"], message["by"], message["id"]) == (True, None, None)
        assert node.stop() == 0, node.tail()
        assert [message["event"] for _, _, message in hook.got] == ["backup_failed", "engine_restarted"]


def test_a_webhook_that_never_answers_stops_neither_backups_nor_the_end(tmp_path):
    with Webhook(*[None] * 100) as hook:
        notify = f'webhook = "{hook.url}"\non = ["success"]\ntimeout = "1m"'
        node = node_of(tmp_path, schedule=f'backup = "{EVERY_SECOND}"', notify=notify)
        fill(node)
        until(lambda: len(backups(node)) >= 3)
        assert hook.got, "it was asked"
        with lanes.Connected(lanes.stock(node, grpc=False, role="search")) as client:
            assert client.count("c").count == 10
        begun = time.monotonic()
        assert node.stop() == 0, node.tail()
        assert time.monotonic() - begun < 30, "the end waits for messages for 3 s, and for a backup"


def test_a_command_gets_the_message_on_its_standard_input(tmp_path):
    seen = tmp_path / "seen"
    script = tmp_path / "tell"
    script.write_text(f'#!/bin/sh\ncat >"{seen}.new"\nenv >"{seen}.env"\nmv "{seen}.new" "{seen}"\n')
    script.chmod(0o755)
    node = node_of(tmp_path, notify=f'command = ["{script}"]\non = ["success"]')
    fill(node)
    report = server.verb(node, "backup")
    until(seen.exists)
    message = json.loads(seen.read_text())
    assert (message["event"], message["id"]) == ("backup_succeeded", report["id"])
    names = {line.split("=")[0] for line in (tmp_path / "seen.env").read_text().splitlines()}
    assert "PATH" in names and names <= {"PATH", "PWD", "SHLVL", "_", "OLDPWD"}
    assert node.stop() == 0, node.tail()


def test_a_trial_says_what_came_back(tmp_path):
    with Webhook(200, 403) as hook:
        node = node_of(tmp_path, notify=f'webhook = "{hook.url}"\ncommand = ["/bin/true"]')
        trial = server.verb(node, "notify", "--test")
        assert trial["webhook"]["ok"] and trial["webhook"]["answer"] == "answered 200 OK: heard"
        assert trial["webhook"]["to"] in hook.url and trial["command"]["ok"]
        assert [message["by"] for message in hook.messages("test")] == ["hand"]
        ended = server.run(node, "notify", "--test")
        assert ended.returncode == 1 and "403 Forbidden" in ended.stdout
        assert "the webhook did not take the message" in ended.stderr
        assert "s3cret" not in ended.stdout + ended.stderr
        assert server.run(node, "notify").returncode == 2
        assert node.stop() == 0, node.tail()
    bare = tmp_path / "bare"
    bare.mkdir()
    node = server.start_node(bare)
    assert "`notify.webhook`" in server.verb(node, "notify", "--test", code=1)
    assert node.stop() == 0


@pytest.mark.parametrize(
    "setting, why",
    [
        ('schedule.backup = "0 3 * *"', "it has not five fields, nor six"),
        ('schedule.backup = "61 * * * *"', "number out of bounds"),
        ('schedule.drill = "0 3 30 2 *"', "no day is ever like that"),
        ('schedule.jitter = "2h"', "from 0s to 1h"),
        ('notify.command = ["tell"]', "absolute path"),
        ('notify.on = ["always"]', '"failure", "success", "missed", "engine"'),
        ('notify.webhook = "https://u:s3cret@h/"', "not shown: it may be a secret"),
    ],
)
def test_what_cannot_be_is_refused_when_the_file_is_read(tmp_path, setting, why):
    config = tmp_path / "qmoor.toml"
    config.write_text(setting + "\n")
    command = [server.BINARY, "--config", config, "serve"]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert why in ended.stderr and "qmoor.toml:1: " in ended.stderr, ended.stderr
    assert "s3cret" not in ended.stderr


def test_the_page_of_metrics_has_the_schedules(tmp_path):
    node = node_of(tmp_path, schedule='backup = "0 3 * * *"\ndrill = "30 4 * * SUN"')

    def page():
        answer = httpx.get(f"{node.url}/qmoor/metrics", headers={"api-key": node.ready["keys"]["admin"]}, timeout=30)
        return dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))

    until(lambda: float(page()['qmoor_schedule_next_run_timestamp_seconds{schedule="drill"}']) > time.time())
    seen = page()
    assert float(seen['qmoor_schedule_interval_seconds{schedule="backup"}']) == 86400
    assert float(seen['qmoor_schedule_interval_seconds{schedule="drill"}']) == 7 * 86400
    due = float(seen['qmoor_schedule_next_run_timestamp_seconds{schedule="backup"}'])
    assert time.time() < due <= time.time() + 86400 and due % 86400 == 3 * 3600
    assert seen['qmoor_schedule_missed_runs{schedule="backup"}'] == "0"
    assert seen["qmoor_notifications_dropped_total"] == "0"
    code = server.run(node, "doctor", "--only", "schedule").returncode
    assert code == 0
    assert node.stop() == 0, node.tail()
