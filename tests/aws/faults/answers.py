"""The errors of AWS, in the form of each protocol."""

import json
import re
from urllib.parse import parse_qs

SCOPE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")
REQUEST_ID = "00000000-0000-0000-0000-000000000000"

# By protocol: status, code, message. EC2 has codes of its own.
# https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html
ERRORS = {
    "throttle": {
        "ec2": (503, "RequestLimitExceeded", "Request limit exceeded."),
        "query": (400, "Throttling", "Rate exceeded"),
        "json": (400, "ThrottlingException", "Rate exceeded"),
    },
    "500": {
        "ec2": (500, "InternalError", "An internal error has occurred"),
        "query": (500, "InternalFailure", "The request processing has failed because of an unknown error."),
        "json": (500, "InternalFailure", "The request processing has failed because of an unknown error."),
    },
    "503": {
        "ec2": (503, "Unavailable", "The server is overloaded and can't handle the request."),
        "query": (503, "ServiceUnavailable", "Service is unable to handle request."),
        "json": (503, "ServiceUnavailable", "Service is unable to handle request."),
    },
}


def call_of(headers, body):
    """(service, action, protocol) of a request."""
    scope = SCOPE.search(headers.get("Authorization", ""))
    service = scope.group(1) if scope else ""
    target = headers.get("X-Amz-Target")
    if target:
        return service, target.split(".")[-1], "json"
    action = parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    return service, action, "ec2" if service == "ec2" else "query"


def error(fault, protocol, code=None):
    """(status, content type, body); `code` instead of the usual one."""
    status, usual, message = ERRORS[fault][protocol]
    code = code or usual
    if protocol == "json":
        return status, "application/x-amz-json-1.1", json.dumps({"__type": code, "message": message}).encode()
    if protocol == "ec2":
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{REQUEST_ID}</RequestID></Response>"
        )
    else:
        kind = "Receiver" if status >= 500 else "Sender"
        body = (
            f"<ErrorResponse><Error><Type>{kind}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
        )
    return status, "text/xml", body.encode()
