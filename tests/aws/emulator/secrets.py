"""Secrets Manager: which version is current, and what rotation needs."""

from moto.secretsmanager.exceptions import InvalidParameterException, InvalidRequestException
from moto.secretsmanager.models import SecretsManagerBackend

from .patch import replaces


@replaces(SecretsManagerBackend)
def update_secret_version_stage(former, self, secret_id, version_stage, remove_from_version_id, move_to_version_id):
    # Found by name and by ARN alike, but not by `get`.
    secret = self.secrets[secret_id] if secret_id in self.secrets else None  # noqa: SIM401
    if secret is not None and move_to_version_id:
        holders = [v for v, version in secret.versions.items() if version_stage in version["version_stages"]]
        if holders and holders != [move_to_version_id] and not remove_from_version_id:
            raise InvalidParameterException(
                f"The parameter RemoveFromVersionId can't be empty. Staging label {version_stage} is currently "
                f"attached to version {holders[0]}, so you must explicitly reference that version in "
                "RemoveFromVersionId."
            )
    answer = former(self, secret_id, version_stage, remove_from_version_id, move_to_version_id)
    # moto goes on to hand out the former version to who asks for no stage, and the next version to be put
    # would not take the label from the right one.
    if version_stage == "AWSCURRENT" and move_to_version_id:
        secret.default_version_id = move_to_version_id
    return answer


@replaces(SecretsManagerBackend)
def rotate_secret(former, self, secret_id, *arguments, **more):
    given = more.get("rotation_lambda_arn") or (arguments[1] if len(arguments) > 1 else None)
    if secret_id in self.secrets and not given and not self.secrets[secret_id].rotation_lambda_arn:
        raise InvalidRequestException("No Lambda rotation function ARN is associated with this secret.")
    return former(self, secret_id, *arguments, **more)
