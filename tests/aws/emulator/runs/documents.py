"""Command documents: https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-schemas-features.html"""

import json
import re
from dataclasses import dataclass

import yaml
from moto.ssm import ssm_backends
from moto.ssm.exceptions import SSMException

PLACE = re.compile(r"\{\{\s*([A-Za-z0-9_]+)\s*\}\}")
SHELL = "aws:runShellScript"

RUN_SHELL_SCRIPT = {
    "schemaVersion": "1.2",
    "description": "Run a shell script or specify the commands to run.",
    "parameters": {
        "commands": {"type": "StringList", "minItems": 1},
        "workingDirectory": {"type": "String", "default": "", "maxChars": 4096},
        "executionTimeout": {"type": "String", "default": "3600", "allowedPattern": r"\d{1,6}"},
    },
    "runtimeConfig": {
        SHELL: {
            "properties": [
                {
                    "id": "0.aws:runShellScript",
                    "runCommand": "{{ commands }}",
                    "workingDirectory": "{{ workingDirectory }}",
                    "timeoutSeconds": "{{ executionTimeout }}",
                }
            ]
        }
    },
}


@dataclass
class Step:
    """One script; seconds until it is ended; what is put into its environment."""

    name: str
    script: str
    directory: str | None
    seconds: int
    environment: dict


def refuse(code, message):
    raise SSMException(code, message)


def find(name, version, account, region):
    """The content of a document by name or ARN."""
    short = name.rsplit("document/", 1)[-1]
    if short == "AWS-RunShellScript":
        return RUN_SHELL_SCRIPT
    try:
        found = ssm_backends[account][region].get_document(
            short, None if version == "$DEFAULT" else version, None, None
        )
    except SSMException:
        refuse("InvalidDocument", f"Document with name {name} does not exist.")
    text = found["Content"]
    return json.loads(text) if text.lstrip().startswith("{") else yaml.safe_load(text)


def steps(document, given):
    """The scripts of a document with the parameters put in; refuses what Systems Manager refuses."""
    rules = document.get("parameters") or {}
    values = _values(rules, given)
    if str(document.get("schemaVersion", "")).startswith("1."):
        found = [(item, item) for item in document["runtimeConfig"][SHELL]["properties"]]
    else:
        found = [(step, step["inputs"]) for step in document.get("mainSteps", []) if step["action"] == SHELL]
    if not found:
        refuse("InvalidDocumentContent", f"The document has no step {SHELL}")
    return [_step(outer, inputs, rules, values) for outer, inputs in found]


def _values(rules, given):
    unknown = sorted(set(given) - set(rules))
    if unknown:
        refuse("InvalidParameters", f'Parameter "{unknown[0]}" is not defined in document')
    values = {}
    for name, rule in rules.items():
        is_list = rule.get("type") == "StringList"
        value = given.get(name)
        if value is None:
            if "default" not in rule:
                refuse("InvalidParameters", f'Parameter "{name}" is required')
            value = rule["default"]
        # The API takes lists of text for all types.
        elif not is_list:
            value = value[0] if value else ""
        for item in value if is_list else [value]:
            _check(name, rule, str(item))
        values[name] = value
    return values


def _check(name, rule, text):
    if rule.get("allowedValues") and text not in map(str, rule["allowedValues"]):
        refuse("InvalidParameters", f'Parameter "{name}" has value "{text}" not in {rule["allowedValues"]}')
    pattern = rule.get("allowedPattern")
    # Searched for, not matched: a pattern without ^ and $ lets everything around it through, as the real one does.
    if pattern and not re.search(pattern, text):
        refuse("InvalidParameters", f'Parameter "{name}" has value "{text}" not matching "{pattern}"')
    if len(text) > int(rule.get("maxChars", len(text))):
        refuse("InvalidParameters", f'Parameter "{name}" is longer than {rule["maxChars"]} characters')


def _step(outer, inputs, rules, values):
    environment = {
        f"SSM_{name}": _text(values[name]) for name, rule in rules.items() if rule.get("interpolationType") == "ENV_VAR"
    }

    def put_in(text):
        def value(match):
            name = match.group(1)
            if name not in values:
                return match.group(0)
            return f"${{SSM_{name}}}" if f"SSM_{name}" in environment else _text(values[name])

        return PLACE.sub(value, str(text))

    lines = inputs["runCommand"]
    lines = [lines] if isinstance(lines, str) else lines
    return Step(
        outer.get("name") or outer.get("id") or SHELL,
        "\n".join(put_in(line) for line in lines) + "\n",
        put_in(inputs.get("workingDirectory") or "") or None,
        int(put_in(inputs.get("timeoutSeconds") or 3600)),
        environment,
    )


def _text(value):
    return "\n".join(map(str, value)) if isinstance(value, list) else str(value)
