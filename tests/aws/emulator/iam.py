"""IAM: of the thousand managed policies of AWS only those that a node may have, since each account loads them all."""

import json

from moto.iam import aws_managed_policies, models

KEPT = ("AmazonSSM", "CloudWatchAgent", "AmazonEC2ReadOnly", "AmazonEC2RoleforSSM", "AdministratorAccess", "ReadOnly")

_all = json.loads(aws_managed_policies.aws_managed_policies_data)
models.aws_managed_policies_data = json.dumps({name: it for name, it in _all.items() if name.startswith(KEPT)})
