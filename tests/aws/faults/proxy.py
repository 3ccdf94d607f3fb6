"""The proxy: requests are forwarded as they came, byte for byte, so that their signature holds."""

import http.client
import json
import socket
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from .answers import call_of, error
from .plan import Plan

UPSTREAM_SECONDS = 300
OF_THE_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream, plan):
        super().__init__(("127.0.0.1", 0), Handler)
        self.upstream = urlsplit(upstream).netloc
        self.lock = threading.Lock()
        self.set_plan(plan)

    def set_plan(self, given):
        plan = Plan(given)
        with self.lock:
            self.plan, self.log = plan, []

    def decide(self, service, action):
        """The fault for a call, and its entry in the log."""
        with self.lock:
            rule = self.plan.decide(service, action)
            entry = {"number": len(self.log) + 1, "service": service, "action": action, "did": rule["do"]}
            self.log.append(entry)
            return rule, entry

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the plan."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/faults/"):
            self.admin(body)
            return
        service, action, protocol = call_of(self.headers, body)
        rule, entry = self.server.decide(service, action)
        fault = rule["do"]
        if fault in ("throttle", "500", "503"):
            status, kind, content = error(fault, protocol, rule.get("code"))
            self.reply(status, [("Content-Type", kind)], content, entry)
        elif fault == "cut_before":
            self.cut()
        else:
            if fault == "delay":
                time.sleep(rule.get("seconds", 0.1))
            status, headers, content = self.forward(body)
            if fault == "cut_after":
                entry["status"] = status
                self.cut()
            else:
                self.reply(status, headers, content, entry)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_any

    def admin(self, body):
        """GET /faults/log: what each call met. POST /faults/plan: another plan, and an empty log."""
        if self.path == "/faults/plan" and self.command == "POST":
            try:
                self.server.set_plan(json.loads(body))
            except (ValueError, KeyError, TypeError) as wrong:
                self.reply(400, [], json.dumps({"error": str(wrong)}).encode())
                return
        with self.server.lock:
            content = json.dumps(self.server.log).encode()
        self.reply(200, [("Content-Type", "application/json")], content)

    def forward(self, body):
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=UPSTREAM_SECONDS)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "keep-alive"):
                    upstream.putheader(name, value)
            upstream.endheaders(body)
            answer = upstream.getresponse()
            content = answer.read()
            kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in OF_THE_HOP]
            return answer.status, kept, content
        finally:
            upstream.close()

    def reply(self, status, headers, content, entry=None):
        if entry is not None:
            entry["status"] = status
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def cut(self):
        """Nothing is said; the client sees the connection end."""
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_):
        """GET /faults/log has it."""
