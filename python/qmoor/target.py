"""Which collection of which node, and where the key for it is found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import BadInput

__all__ = ["Target", "resolve_key"]

_FORMS = "env:NAME, file:PATH or aws-secret:ID"


@dataclass(frozen=True)
class Target:
    """One collection of one node.

    Args:
        url: ``http://host:6333`` of the node, ``https://`` for TLS. A qmoor node speaks gRPC on its REST port; of
            another Qdrant give the gRPC port (6334).
        collection: the collection's name.
        key: where the key is found, never the key itself: ``env:NAME``, ``file:PATH`` or ``aws-secret:ID``. It is
            looked up in the process that connects, so it is in no pickle. ``None`` if the node asks for none.
        tls_ca: a PEM file with the certificate authority that signed the node's certificate.
    """

    url: str
    collection: str
    key: str | None = "env:QDRANT_API_KEY"
    tls_ca: str | None = None

    def __post_init__(self) -> None:
        if not self.collection:
            raise BadInput("the collection's name is empty")
        check_key(self.key)

    def resolved_key(self) -> str | None:
        """The key itself, read now."""
        return resolve_key(self.key)

    def ca(self) -> bytes | None:
        """The bytes of ``tls_ca``, read now."""
        return read_ca(self.tls_ca)


def check_key(reference: str | None) -> None:
    """Refuses what is no reference to a key, without repeating it: it may be a key."""
    if reference is None:
        return
    kind, colon, rest = reference.partition(":")
    if not colon or kind not in ("env", "file", "aws-secret") or not rest:
        raise BadInput(
            "`key` says where the key is found and is not the key itself",
            hint=f"write {_FORMS}, so that no key is in code, pickles or logs",
        )


def resolve_key(reference: str | None) -> str | None:
    """Reads the key that ``reference`` names, in this process."""
    check_key(reference)
    if reference is None:
        return None
    kind, _, rest = reference.partition(":")
    key = {"env": _from_environment, "file": _from_file, "aws-secret": _from_aws}[kind](rest).strip()
    if not key:
        raise BadInput(f"the key at `{reference}` is empty")
    return key


def read_ca(path: str | None) -> bytes | None:
    """The bytes of a PEM file; ``None`` for none."""
    if path is None:
        return None
    try:
        found = Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read `tls_ca` at `{path}`: {error.strerror}") from error
    if b"-----BEGIN CERTIFICATE-----" not in found:
        raise BadInput(f"`tls_ca` at `{path}` holds no certificate in PEM")
    return found


def _from_environment(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise BadInput(
            f"the environment variable `{name}`, where the key should be, is not set in this process",
            hint="set it where the Ray workers start (runtime_env={'env_vars': …} would put it in Ray's logs), "
            "or name another place: file:PATH, aws-secret:ID",
        ) from None


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise BadInput(f"cannot read the key from `{path}`: {reason}") from error


def _from_aws(name: str) -> str:
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise BadInput("`aws-secret:` needs boto3", hint="pip install 'qmoor[aws]'") from None
    # An ARN says which region it is of: arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME
    parts = name.split(":")
    region = parts[3] if name.startswith("arn:") and len(parts) > 3 else None
    try:
        client = boto3.client("secretsmanager", region_name=region)
        return str(client.get_secret_value(SecretId=name)["SecretString"])
    except (BotoCoreError, ClientError, KeyError) as error:
        raise BadInput(
            f"cannot read the secret `{name}`: {error}",
            hint="the role of the Ray node needs secretsmanager:GetSecretValue on it; `qmoor render iam` prints it",
        ) from error
