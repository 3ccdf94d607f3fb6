"""A webhook of the test."""

import http.server
import json
import ssl
import threading


class Webhook:
    """Takes what is posted to it. The first answers have these statuses; with None it never answers."""

    def __init__(self, *statuses, tls=None):
        self.got = []
        statuses = iter(statuses)
        hook, self.released = self, threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                hook.got.append((self.path, self.headers["content-type"], json.loads(body)))
                status = next(statuses, 200)
                if status is None:
                    hook.released.wait()
                    return
                self.send_response(status)
                self.send_header("content-length", "5")
                self.end_headers()
                self.wfile.write(b"heard")

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._server.server_port}/s3cret"

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def messages(self, event):
        return [message for _, _, message in self.got if message["event"] == event]
