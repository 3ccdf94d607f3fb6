"""A front before a node that sends some requests away, over REST and gRPC, as Qdrant's own limits do."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc

DEADLINE = 60
OF_THE_HOP = {"connection", "transfer-encoding", "content-length", "date", "server"}
REST_STATUS = {grpc.StatusCode.RESOURCE_EXHAUSTED: 429, grpc.StatusCode.PERMISSION_DENIED: 403}


class WriteRate:
    """Qdrant's `write_rate_limit`: so many writes a period; more are told when to come again."""

    def __init__(self, writes, seconds):
        self.writes, self.seconds = writes, seconds
        self.lock, self.period, self.left = threading.Lock(), None, 0
        self.passed = self.refused = 0

    def __call__(self, method):
        if method not in ("Upsert", "PUT"):
            return None
        now = time.monotonic()
        with self.lock:
            if self.period is None or now - self.period >= self.seconds:
                self.period, self.left = now, self.writes
            if self.left:
                self.left -= 1
                self.passed += 1
                return None
            self.refused += 1
        said = "Write rate limit exceeded, retry later"
        return grpc.StatusCode.RESOURCE_EXHAUSTED, said, (("retry-after", str(self.seconds)),)


class Front:
    """`rule(method)` says what is sent away: None, or code, message and metadata. The rest goes to the node."""

    def __init__(self, node, rule):
        self.node, self.rule = node, rule

    def __enter__(self):
        size = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.node.grpc_port}", options=size)
        self.grpc = grpc.server(ThreadPoolExecutor(16), handlers=[Calls(self)], options=size)
        self.grpc_port = self.grpc.add_insecure_port("127.0.0.1:0")
        self.grpc.start()
        self.rest = ThreadingHTTPServer(("127.0.0.1", 0), Requests)
        self.rest.daemon_threads, self.rest.front = True, self
        self.http_port = self.rest.server_address[1]
        threading.Thread(target=self.rest.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.grpc.stop(0).wait(DEADLINE)
        self.rest.shutdown()
        self.rest.server_close()
        self.channel.close()

    @property
    def grpc_url(self):
        return f"http://127.0.0.1:{self.grpc_port}"

    @property
    def http_url(self):
        return f"http://127.0.0.1:{self.http_port}"


class Calls(grpc.GenericRpcHandler):
    """Each gRPC call goes on as the bytes it came as."""

    def __init__(self, front):
        self.front = front

    def service(self, call):
        forward = self.front.channel.unary_unary(call.method)
        method = call.method.rsplit("/", 1)[1]

        def answer(request, context):
            refused = self.front.rule(method)
            if refused:
                code, message, metadata = refused
                context.set_trailing_metadata(metadata)
                context.abort(code, message)
            kept = [(name, value) for name, value in context.invocation_metadata() if name == "api-key"]
            try:
                return forward(request, timeout=DEADLINE, metadata=kept)
            except grpc.RpcError as error:
                context.set_trailing_metadata(error.trailing_metadata() or ())
                return context.abort(error.code(), error.details())

        return grpc.unary_unary_rpc_method_handler(answer)


class Requests(BaseHTTPRequestHandler):
    """Each REST request goes on as it came."""

    protocol_version = "HTTP/1.1"

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        refused = self.server.front.rule(self.command)
        if refused:
            code, message, metadata = refused
            said = f'{{"status":{{"error":"{message}"}},"time":0.0}}'.encode()
            return self.reply(REST_STATUS[code], [*metadata, ("content-type", "application/json")], said)
        onward = HTTPConnection("127.0.0.1", self.server.front.node.http_port, timeout=DEADLINE)
        onward.request(self.command, self.path, body, dict(self.headers))
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in OF_THE_HOP]
        return self.reply(answer.status, kept, content)

    do_GET = do_POST = do_PUT = do_DELETE = do_any

    def reply(self, status, headers, content):
        self.send_response_only(status)
        for name, value in [*headers, ("content-length", str(len(content)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        """The tests say what went wrong."""
