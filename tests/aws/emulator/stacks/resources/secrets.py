"""AWS::SecretsManager::Secret."""

import json

from .base import Handler, gone, picked

GENERATED = (
    "PasswordLength", "ExcludeCharacters", "ExcludeNumbers", "ExcludePunctuation", "ExcludeUppercase",
    "ExcludeLowercase", "IncludeSpace", "RequireEachIncludedType",
)  # fmt: skip


class Secret(Handler):
    kind = "AWS::SecretsManager::Secret"
    names = "Name"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("Name") or f"{on.logical}-{on.name()[-12:]}"
        made = on.client("secretsmanager").create_secret(
            Name=name,
            SecretString=cls._text(on, properties),
            Tags=on.tags(properties),
            **picked(properties, "Description", "KmsKeyId"),
        )
        return made["ARN"]

    @staticmethod
    def _text(on, properties):
        rule = properties.get("GenerateSecretString")
        if rule is None:
            return properties.get("SecretString", "")
        made = on.client("secretsmanager").get_random_password(**picked(rule, *GENERATED))["RandomPassword"]
        if "GenerateStringKey" in rule:
            return json.dumps({**json.loads(rule["SecretStringTemplate"]), rule["GenerateStringKey"]: made})
        return made

    @classmethod
    def update(cls, on, physical, old, new):
        manager = on.client("secretsmanager")
        # A changed rule makes a new value: the page of the resource says so.
        fresh = any(old.get(name) != new.get(name) for name in ("GenerateSecretString", "SecretString"))
        text = {"SecretString": cls._text(on, new)} if fresh else {}
        manager.update_secret(SecretId=physical, **text, **picked(new, "Description", "KmsKeyId"))
        manager.tag_resource(SecretId=physical, Tags=on.tags(new))

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("ResourceNotFoundException"):
            on.client("secretsmanager").delete_secret(SecretId=physical, ForceDeleteWithoutRecovery=True)

    @classmethod
    def attribute(cls, on, physical, name):
        return physical

    @classmethod
    def read(cls, on, physical):
        with gone("ResourceNotFoundException"):
            found = on.client("secretsmanager").describe_secret(SecretId=physical)
            if "DeletedDate" not in found:
                return picked(found, "Name", "Description", "KmsKeyId")
        return None


ALL = [Secret]
