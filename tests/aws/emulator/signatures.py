"""Whether a call is signed, and well: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html

Keys that came from `sts assume-role` are checked, with their token and the time, and so is the key `testing`, whose
secret is `testing`. Others are not known here: what they sign is taken as it is, but it must be signed.
"""

import re
from datetime import UTC, datetime, timedelta
from hmac import compare_digest

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from .world import world

PARTS = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)
# A key for all to use, in the default account.
STANDING = "testing"
SKEW = timedelta(minutes=15)

# By what is wrong: of EC2, of other services with the Query protocol, of services with JSON.
INVALID = "The security token included in the request is invalid."
MISMATCH = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."  # noqa: E501
NOT_VALID = "AWS was not able to validate the provided access credentials"
WRONG = {
    "missing": [(403, "MissingAuthenticationToken", "Request is missing Authentication Token")] * 3,
    "mismatch": [
        (401, "AuthFailure", NOT_VALID),
        (403, "SignatureDoesNotMatch", MISMATCH),
        (400, "InvalidSignatureException", MISMATCH),
    ],
    "token": [
        (401, "AuthFailure", NOT_VALID),
        (403, "InvalidClientTokenId", INVALID),
        (400, "UnrecognizedClientException", INVALID),
    ],
    "expired": [
        (400, "RequestExpired", "Request has expired."),
        (403, "ExpiredToken", "The security token included in the request is expired"),
        (400, "ExpiredTokenException", "The security token included in the request is expired"),
    ],
    "late": [
        (400, "RequestExpired", "Request has expired."),
        (403, "SignatureDoesNotMatch", "Signature expired: the time of the request is not the time here"),
        (400, "InvalidSignatureException", "Signature expired: the time of the request is not the time here"),
    ],
}


def wrong(environ, body, call):
    """(status, code, message) of what is wrong with the signature of a call; None if nothing is."""
    found = _what(environ, body, call)
    form = 0 if call.service == "ec2" else 2 if "HTTP_X_AMZ_TARGET" in environ else 1
    return found and WRONG[found][form]


def _what(environ, body, call):
    given = PARTS.match(environ.get("HTTP_AUTHORIZATION", ""))
    if given is None:
        return None if "X-Amz-Signature" in environ.get("QUERY_STRING", "") else "missing"
    key, _, region, service, signed, signature = given.groups()
    role = assumed(key)
    # S3 has rules of its own.
    if (role is None and key != STANDING) or service == "s3":
        return None
    if world.behaviour(call.account, "keys")["expired"]:
        return "expired"
    if environ.get("HTTP_X_AMZ_SECURITY_TOKEN") != (role and role.session_token):
        return "token"
    date = environ.get("HTTP_X_AMZ_DATE", "")
    if not _on_time(date):
        return "late"
    secret = role.secret_access_key if role else STANDING
    made = calculated(environ, body, signed.split(";"), date, (key, secret, service, region))
    return None if compare_digest(made, signature) else "mismatch"


def assumed(key):
    """The assumed role that a key belongs to; None for keys from elsewhere."""
    from moto.sts.models import sts_backends

    for account in list(sts_backends):
        for role in sts_backends[account]["aws"].assumed_roles:
            if role.access_key_id == key:
                return role
    return None


def _on_time(date):
    try:
        sent = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return False
    return abs(datetime.now(UTC) - sent) < SKEW


def calculated(environ, body, signed, date, credentials):
    key, secret, service, region = credentials
    names = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
    headers = {name: environ.get(names.get(name, f"HTTP_{name.upper().replace('-', '_')}"), "") for name in signed}
    query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
    url = f"http://{environ.get('HTTP_HOST', '')}{environ.get('PATH_INFO', '/')}{query}"
    request = AWSRequest(method=environ["REQUEST_METHOD"], url=url, headers=headers, data=body)
    request.context["timestamp"] = date
    signer = SigV4Auth(Credentials(key, secret), service, region)
    return signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
