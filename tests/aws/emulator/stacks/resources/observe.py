"""AWS::CloudWatch::Alarm and AWS::Logs::LogGroup."""

from .base import Handler, gone, picked

ALARM = (
    "AlarmDescription", "ActionsEnabled", "OKActions", "AlarmActions", "InsufficientDataActions", "MetricName",
    "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit", "EvaluationPeriods",
    "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData", "Metrics",
)  # fmt: skip


class Alarm(Handler):
    kind = "AWS::CloudWatch::Alarm"
    names = "AlarmName"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("AlarmName") or on.name()
        on.client("cloudwatch").put_metric_alarm(AlarmName=name, **picked(properties, *ALARM))
        return name

    @classmethod
    def update(cls, on, physical, old, new):
        on.client("cloudwatch").put_metric_alarm(AlarmName=physical, **picked(new, *ALARM))

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("ResourceNotFound"):
            on.client("cloudwatch").delete_alarms(AlarmNames=[physical])

    @classmethod
    def attribute(cls, on, physical, name):
        return on.client("cloudwatch").describe_alarms(AlarmNames=[physical])["MetricAlarms"][0]["AlarmArn"]

    @classmethod
    def read(cls, on, physical):
        found = on.client("cloudwatch").describe_alarms(AlarmNames=[physical])["MetricAlarms"]
        return picked(found[0], *ALARM) if found else None


class LogGroup(Handler):
    kind = "AWS::Logs::LogGroup"
    names = "LogGroupName"

    @classmethod
    def create(cls, on, properties):
        name = properties.get("LogGroupName") or on.name()
        tags = {tag["Key"]: tag["Value"] for tag in on.plain_tags(properties)}
        on.client("logs").create_log_group(logGroupName=name, tags=tags)
        cls._retention(on, name, properties)
        return name

    @staticmethod
    def _retention(on, name, properties):
        if properties.get("RetentionInDays"):
            days = properties["RetentionInDays"]
            on.client("logs").put_retention_policy(logGroupName=name, retentionInDays=days)

    @classmethod
    def update(cls, on, physical, old, new):
        cls._retention(on, physical, new)

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("ResourceNotFoundException"):
            on.client("logs").delete_log_group(logGroupName=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return f"arn:aws:logs:{on.region}:{on.account}:log-group:{physical}:*"


ALL = [Alarm, LogGroup]
