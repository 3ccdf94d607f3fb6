"""Stacks, resources and change sets in the form of the API."""

KEPT_VISIBLE = ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_COMPLETE", "DELETE_FAILED", "DELETE_IN_PROGRESS",
                "ROLLBACK_IN_PROGRESS")  # fmt: skip


def stack(it):
    found = {
        "StackId": it.id,
        "StackName": it.name,
        "CreationTime": it.created,
        "StackStatus": it.status,
        "DisableRollback": it.disable_rollback,
        "NotificationARNs": [],
        "Capabilities": it.capabilities,
        "Tags": [{"Key": key, "Value": value} for key, value in it.tags.items()],
        "EnableTerminationProtection": it.protected,
        "DriftInformation": it.drift,
        "RollbackConfiguration": {},
        "Outputs": list(it.outputs) if not it.status.startswith(("CREATE_IN", "ROLLBACK", "REVIEW")) else [],
        "Parameters": parameters(it.template, it.parameters),
    }
    optional = {
        "StackStatusReason": it.reason,
        "ChangeSetId": it.change_set_id,
        "Description": it.template.description if it.template else None,
        "LastUpdatedTime": it.updated,
        "DeletionTime": it.deleted,
        "RoleARN": it.role,
    }
    return found | {name: value for name, value in optional.items() if value}


def parameters(template, values):
    hidden = {name for name, rule in (template.parameters if template else {}).items() if is_hidden(rule)}
    return [
        {"ParameterKey": name, "ParameterValue": "****" if name in hidden else value} for name, value in values.items()
    ]


def is_hidden(rule):
    return str(rule.get("NoEcho", False)).lower() == "true"


def summary(it):
    found = {"StackId": it.id, "StackName": it.name, "CreationTime": it.created, "StackStatus": it.status,
             "DriftInformation": it.drift}  # fmt: skip
    optional = {
        "StackStatusReason": it.reason,
        "TemplateDescription": it.template.description if it.template else None,
        "LastUpdatedTime": it.updated,
        "DeletionTime": it.deleted,
    }
    return found | {name: value for name, value in optional.items() if value}


def visible(it):
    """The resources that are listed: those that are gone only where the stack went with them."""
    return [
        resource
        for resource in list(it.resources.values())
        if resource.status and (resource.status != "DELETE_COMPLETE" or it.status in KEPT_VISIBLE)
    ]


def resource(it, one):
    found = {
        "StackId": it.id,
        "StackName": it.name,
        "LogicalResourceId": one.logical,
        "PhysicalResourceId": one.physical,
        "ResourceType": one.kind,
        "Timestamp": one.time,
        "ResourceStatus": one.status,
        "DriftInformation": {
            "StackResourceDriftStatus": (one.drift or {}).get("StackResourceDriftStatus", "NOT_CHECKED")
        },
    }
    return found | ({"ResourceStatusReason": one.reason} if one.reason else {})


def change_set(it, change, with_values):
    found = change_set_summary(it, change)
    found["Parameters"] = parameters(change.template, change.parameters)
    found["Tags"] = [{"Key": key, "Value": value} for key, value in change.tags.items()]
    found["Capabilities"] = change.capabilities
    found["NotificationARNs"] = []
    found["RollbackConfiguration"] = {}
    found["Changes"] = change.changes if with_values else [_bare(entry) for entry in change.changes]
    return found


def _bare(entry):
    """Without the values of properties."""
    change = entry["ResourceChange"]
    details = [
        {
            **detail,
            "Target": {k: v for k, v in detail["Target"].items() if k in ("Attribute", "Name", "RequiresRecreation")},
        }
        for detail in change["Details"]
    ]
    kept = {name: value for name, value in change.items() if name not in ("BeforeContext", "AfterContext")}
    return {**entry, "ResourceChange": {**kept, "Details": details}}


def change_set_summary(it, change):
    found = {
        "StackId": it.id,
        "StackName": it.name,
        "ChangeSetId": change.id,
        "ChangeSetName": change.name,
        "ExecutionStatus": change.execution,
        "Status": change.status,
        "CreationTime": change.time,
        "IncludeNestedStacks": False,
    }
    optional = {
        "StatusReason": change.reason,
        "Description": change.description,
        "OnStackFailure": change.on_failure,
    }
    return found | {name: value for name, value in optional.items() if value}


def validated(template, types=False):
    found = {
        "Parameters": [
            {
                "ParameterKey": name,
                "NoEcho": is_hidden(rule),
                **({"DefaultValue": str(rule["Default"])} if "Default" in rule else {}),
                **({"Description": rule["Description"]} if "Description" in rule else {}),
                **({"ParameterType": rule.get("Type", "String")} if types else {}),
            }
            for name, rule in template.parameters.items()
        ],
        "Description": template.description,
    }
    need = template.needs_capability()
    if need:
        found["Capabilities"] = [need]
        found["CapabilitiesReason"] = "The following resource(s) require capabilities: [AWS::IAM]"
    if types:
        found["ResourceTypes"] = sorted({resource["Type"] for resource in template.resources.values()})
    return found
