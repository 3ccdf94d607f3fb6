"""The quota on vCPUs of standard instances, and its enforcement."""

import json

from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.responses.instances import InstanceResponse
from moto.servicequotas.exceptions import NoSuchResource
from moto.servicequotas.responses import ServiceQuotasResponse

from .ec2.refusals import refuse
from .patch import adds, replaces
from .world import world

STANDARD = "L-1216C47A"
# What an account begins with.
DEFAULT = 5
FAMILIES = tuple("acdhimrtz")


@replaces(ServiceQuotasResponse)
def get_service_quota(former, self):
    return _told(self, limit(self.current_account)) if _asked(self) else former(self)


@adds(ServiceQuotasResponse)
def get_aws_default_service_quota(self):
    if not _asked(self):
        raise NoSuchResource
    return _told(self, DEFAULT)


def _asked(self):
    asked = json.loads(self.body)
    return asked.get("ServiceCode") == "ec2" and asked.get("QuotaCode") == STANDARD


def _told(self, value):
    return json.dumps(
        {
            "Quota": {
                "ServiceCode": "ec2",
                "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
                "QuotaArn": f"arn:aws:servicequotas:{self.region}:{self.current_account}:ec2/{STANDARD}",
                "QuotaCode": STANDARD,
                "QuotaName": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
                "Value": float(value),
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
        }
    )


def limit(account):
    return world.behaviour(account, "quotas")["vcpus"]


def vcpus(kind):
    if not kind.startswith(FAMILIES):
        return 0
    return INSTANCE_TYPES.get(kind, {}).get("VCpuInfo", {}).get("DefaultVCpus", 0)


@replaces(InstanceResponse)
def run_instances(former, self):
    running = sum(vcpus(i.instance_type) for i in self.ec2_backend.all_instances() if i.state == "running")
    count = self._get_int_param("MinCount", 1)
    if running + count * vcpus(self._get_param("InstanceType", "m1.small")) > limit(self.current_account):
        refuse(
            "VcpuLimitExceeded",
            f"You have requested more vCPU capacity than your current vCPU limit of {limit(self.current_account)} "
            "allows for the instance bucket that the specified instance type belongs to. Please visit "
            "http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.",
        )
    return former(self)
