"""The HTTP server: each request is taken down and goes to the admin calls, to the token book, or to moto."""

import io
import json
import socket
import sys
import traceback
from contextlib import nullcontext
from http import HTTPStatus
from xml.sax.saxutils import escape

from werkzeug.serving import make_server

from . import admin, signatures
from .calls import calls, error_code
from .tokens import Tokens
from .world import world

# Requests of one service are answered one after the other, since moto's models are not made for threads. Not these,
# in which one request may wait for another one.
UNLOCKED = {"states", "sts", ""}


class Door:
    """The WSGI application in front of moto."""

    def __init__(self, moto):
        self.moto = moto
        self.tokens = Tokens()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        path = environ.get("PATH_INFO", "")
        if path.startswith("/emulator/"):
            status, told = admin.answer(path, body)
            answer = status, [("Content-Type", "application/json")], json.dumps(told).encode()
        else:
            answer = self.aws(environ, body)
        status, headers, content = answer
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        start_response(status, [*headers, ("Content-Length", str(len(content)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def aws(self, environ, body):
        call = calls.note(environ, body)
        with nullcontext() if call.service in UNLOCKED else world.locks[call.service]:
            wrong = signatures.wrong(environ, body, call)
            answer = refusal(environ, call, *wrong) if wrong else self.tokens.answered(call)
            if answer is None:
                answer = self.ask_moto(environ, call)
                self.tokens.keep(call, answer)
        call.status = int(answer[0].split()[0])
        call.error = error_code(answer[2]) if call.status >= 400 else ""
        return answer

    def ask_moto(self, environ, call):
        told = []
        try:
            content = b"".join(self.moto(environ, lambda status, headers, _=None: told.extend((status, headers))))
        except Exception as error:
            # Nothing that AWS would say: the test must see that the emulator lacks it.
            traceback.print_exc(file=sys.stderr)
            text = f"{call.service} {call.action}: {type(error).__name__}: {str(error)[:500]}"
            # A status that clients do not retry.
            return refusal(environ, call, 501, "EmulatorLacks", f"the emulator of the tests cannot: {text}")
        return told[0], told[1], content


def refusal(environ, call, status, code, message):
    """An error in the form of the protocol, so that clients show it."""
    if "HTTP_X_AMZ_TARGET" in environ:
        kind, content = "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message})
    else:
        error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        kind, content = "text/xml", f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>"
        if call.service == "ec2":
            content = f"<Response><Errors>{error}</Errors><RequestID>0</RequestID></Response>"
    return f"{status} {HTTPStatus(status).phrase}", [("Content-Type", kind)], content.encode()


def serve(port):
    """A server for moto that listens on 127.0.0.1; port 0 takes a free one."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    class Handler(MotoRequestHandler):
        def log(self, type, message, *args):
            """Requests are kept for /emulator/calls, not logged."""

    listener = socket.create_server(("127.0.0.1", port), backlog=128)
    application = Door(DomainDispatcherApplication(create_backend_app))
    return make_server("127.0.0.1", port, application, threaded=True, request_handler=Handler, fd=listener.detach())
