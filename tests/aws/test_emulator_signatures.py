"""Calls are signed, and by who they say."""

import urllib.error
import urllib.request
from dataclasses import replace

import pytest

from waits import refused


def with_keys(aws, **changed):
    return replace(aws, keys={**aws.keys, **changed}, made={})


@pytest.mark.parametrize(
    ("changed", "ec2", "query", "json"),
    [
        ({"aws_secret_access_key": "x"}, "AuthFailure", "SignatureDoesNotMatch", "InvalidSignatureException"),
        ({"aws_session_token": "x"}, "AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"),
    ],
)
def test_wrong_keys_are_refused(aws, changed, ec2, query, json):
    aws.client("ec2").describe_volumes()
    aws.client("cloudformation").list_stacks()
    aws.client("ssm").list_commands()
    other = with_keys(aws, **changed)
    with refused(ec2):
        other.client("ec2").describe_volumes()
    with refused(query):
        other.client("cloudformation").list_stacks()
    with refused(json):
        other.client("ssm").list_commands()


def test_the_standing_key(aws):
    from botocore.exceptions import ClientError

    standing = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    assert replace(aws, keys=standing, made={}).client("sts").get_caller_identity()["Account"] == "123456789012"
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        replace(aws, keys={**standing, "aws_secret_access_key": "x"}, made={}).client("sts").get_caller_identity()


def test_keys_that_have_expired(aws):
    aws.ask("behaviour", keys={"expired": True})
    with refused("RequestExpired"):
        aws.client("ec2").describe_volumes()
    with refused("ExpiredToken"):
        aws.client("cloudformation").list_stacks()
    with refused("ExpiredTokenException"):
        aws.client("ssm").list_commands()


def test_what_is_not_signed_is_refused(emulator):
    request = urllib.request.Request(emulator.url, data=b"Action=DescribeVolumes&Version=2016-11-15")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(request, timeout=10)


def test_a_signature_holds_through_the_proxy_of_faults(aws, faults):
    url = faults({"rules": []}).url
    assert aws.client("ec2", url=url).describe_volumes()["Volumes"] == []
