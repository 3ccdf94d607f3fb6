"""A real Prometheus, from Debian's package, on a port that the system chose."""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import httpx

from server import ROOT
from waiting import until

ALERTS = ROOT / "monitoring/alerts.yml"
START_DEADLINE = 60.0
LISTENING = re.compile(r'msg="Listening on" address=(\S+)')


def promtool(*arguments, given=None):
    """What `promtool` prints; it must be content."""
    command = ["promtool", *map(str, arguments)]
    ended = subprocess.run(command, input=given, check=False, capture_output=True, text=True, timeout=110)
    assert ended.returncode == 0, (ended.stdout, ended.stderr)
    return ended.stdout


class Prometheus:
    """Scrapes nodes as the job `qmoor`, and evaluates rules, both `every` so often."""

    def __init__(self, directory, target=None, key=None, *, rules=ALERTS, every="1s"):
        self.directory = Path(directory)
        self.config = self.directory / "prometheus.yml"
        self.rules, self.every, self.jobs, self.log = rules, every, [], []
        if target is not None:
            self._job(target, key)
        self._configure()
        self.process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={self.config}",
                f"--storage.tsdb.path={self.directory / 'tsdb'}",
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

    def _job(self, target, key, ca=None):
        """A node has keys of its own, so each is a job of its own that is called `qmoor` afterwards."""
        secret = self.directory / f"key-{len(self.jobs)}"
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
            file.write(key)
        job = {
            "job_name": f"qmoor-{len(self.jobs)}",
            "metrics_path": "/qmoor/metrics",
            "authorization": {"credentials_file": str(secret)},
            "static_configs": [{"targets": [target]}],
            "relabel_configs": [{"target_label": "job", "replacement": "qmoor"}],
        }
        if ca is not None:
            job |= {"scheme": "https", "tls_config": {"ca_file": str(ca)}}
        self.jobs.append(job)
        return secret

    def _configure(self):
        # JSON is YAML.
        told = {
            "global": {
                "scrape_interval": self.every,
                "scrape_timeout": self.every,
                "evaluation_interval": self.every,
            },
            "rule_files": [str(self.rules)],
            "scrape_configs": self.jobs,
        }
        self.config.write_text(json.dumps(told))
        promtool("check", "config", self.config)

    def add(self, target, key, ca=None):
        """Scrapes one node more, and has done so when this comes back. The file that its key is read from."""
        secret = self._job(target, key, ca)
        self._configure()
        self.process.send_signal(signal.SIGHUP)
        self.until(lambda: self.value(f'up{{instance="{target}"}}') == 1)
        return secret

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
        return until(come, deadline, lambda: "".join(self.log[-20:]))

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.close()
        self.stop()
