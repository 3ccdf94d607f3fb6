"""Asks something of each service that is used, so that what loads at the first call is loaded."""

from .aws import client

CALLS = [
    ("ec2", "describe_instances", {}),
    ("ec2", "describe_instance_types", {"InstanceTypes": ["c8g.large"]}),
    ("cloudformation", "list_stacks", {}),
    ("ssm", "describe_parameters", {}),
    ("secretsmanager", "list_secrets", {}),
    ("iam", "list_roles", {}),
    ("sts", "get_caller_identity", {}),
    ("sns", "list_topics", {}),
    ("sqs", "list_queues", {}),
    ("events", "list_rules", {}),
    ("stepfunctions", "list_state_machines", {}),
    ("kms", "list_keys", {}),
    ("cloudwatch", "describe_alarms", {}),
    ("logs", "describe_log_groups", {}),
    ("s3", "list_buckets", {}),
]


def warm_up(url):
    for service, action, parameters in CALLS:
        getattr(client(service, "us-east-1"), action)(**parameters)
