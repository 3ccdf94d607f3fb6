"""A real Prometheus, from Debian's package, on a port that the system chose."""

import os
import re
import subprocess
import threading
import time
from pathlib import Path

import httpx

from server import ROOT

ALERTS = ROOT / "monitoring/alerts.yml"
START_DEADLINE = 60.0
LISTENING = re.compile(r'msg="Listening on" address=(\S+)')

CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ["{alerts}"]
scrape_configs:
  - job_name: qmoor
    metrics_path: /qmoor/metrics
    authorization: {{credentials_file: "{key}"}}
    static_configs: [{{targets: ["{target}"]}}]
"""


def promtool(*arguments, given=None):
    """What `promtool` prints; it must be content."""
    command = ["promtool", *map(str, arguments)]
    ended = subprocess.run(command, input=given, check=False, capture_output=True, text=True, timeout=110)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    return ended.stdout


class Prometheus:
    """Scrapes one node, and evaluates the alerts, once a second."""

    def __init__(self, directory, target, key):
        directory = Path(directory)
        secret = directory / "key"
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(key)
        config = directory / "prometheus.yml"
        config.write_text(CONFIG.format(alerts=ALERTS, key=secret, target=target))
        promtool("check", "config", config)
        self.log = []
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={directory / 'tsdb'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._found = threading.Event()
        self.url = None
        threading.Thread(target=self._read, daemon=True).start()
        if not self._found.wait(START_DEADLINE) or self.url is None:
            self.stop()
            raise AssertionError("prometheus did not start:\n" + "".join(self.log))
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.until(lambda: self.client.get("/-/ready").status_code == 200)

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line)
            found = LISTENING.search(line)
            if found:
                self.url = f"http://{found[1]}"
                self._found.set()
        self._found.set()

    def get(self, path, **parameters):
        answer = self.client.get(f"/api/v1/{path}", params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def value(self, query):
        """The one value of a query, or None while there is none."""
        found = self.get("query", query=query)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def until(self, come, deadline=60.0):
        """Asks until it has come, and what came then."""
        end = time.monotonic() + deadline
        while True:
            found = come()
            if found:
                return found
            assert time.monotonic() < end, "".join(self.log[-20:])

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.stop()
