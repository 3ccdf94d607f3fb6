"""AWS::SSM::Document and AWS::SSM::Parameter."""

import json

from .base import Handler, gone, picked


class Document(Handler):
    kind = "AWS::SSM::Document"
    names = "Name"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("Name") or on.name()
        on.client("ssm").create_document(
            Name=name,
            Content=cls._text(properties),
            DocumentType=properties.get("DocumentType", "Command"),
            DocumentFormat=properties.get("DocumentFormat", "JSON"),
            Tags=on.plain_tags(properties),
            **picked(properties, "TargetType", "VersionName"),
        )
        return name

    @staticmethod
    def _text(properties):
        content = properties["Content"]
        return content if isinstance(content, str) else json.dumps(content)

    @classmethod
    def replaces(cls, old, new):
        """Unless UpdateMethod is NewVersion, a changed document is another document."""
        changed = {name for name in {*old, *new} if old.get(name) != new.get(name)}
        return super().replaces(old, new) or ("Content" in changed and new.get("UpdateMethod") != "NewVersion")

    @classmethod
    def update(cls, on, physical, old, new):
        if old["Content"] != new["Content"]:
            made = on.client("ssm").update_document(
                Name=physical, Content=cls._text(new), DocumentVersion="$LATEST",
                DocumentFormat=new.get("DocumentFormat", "JSON"),
            )["DocumentDescription"]  # fmt: skip
            on.client("ssm").update_document_default_version(Name=physical, DocumentVersion=made["DocumentVersion"])

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("InvalidDocument"):
            on.client("ssm").delete_document(Name=physical)

    @classmethod
    def read(cls, on, physical):
        with gone("InvalidDocument"):
            on.client("ssm").get_document(Name=physical)
            return {}
        return None


class Parameter(Handler):
    kind = "AWS::SSM::Parameter"
    names = "Name"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("Name") or f"CFN-{on.logical}-{on.name()[-12:]}"
        on.client("ssm").put_parameter(Name=name, **picked(properties, "Type", "Value", "Description", "Tier"))
        return name

    @classmethod
    def update(cls, on, physical, old, new):
        asked = picked(new, "Type", "Value", "Description", "Tier")
        on.client("ssm").put_parameter(Name=physical, Overwrite=True, **asked)

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("ParameterNotFound"):
            on.client("ssm").delete_parameter(Name=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return on.client("ssm").get_parameter(Name=physical)["Parameter"][name]

    @classmethod
    def read(cls, on, physical):
        with gone("ParameterNotFound"):
            return picked(on.client("ssm").get_parameter(Name=physical)["Parameter"], "Type", "Value")
        return None


ALL = [Document, Parameter]
