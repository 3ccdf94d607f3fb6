"""All changes to moto, in one call."""

import os

from moto.core.config import default_user_config


def apply():
    os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    default_user_config["stepfunctions"] = {"execute_state_machine": True}

    from . import (  # noqa: F401  (patch when imported)
        ec2,
        events,
        iam,
        machines,
        quotas,
        runs,
        secrets,
        stacks,
    )

    for package in (ec2, runs, stacks):
        package.apply()
