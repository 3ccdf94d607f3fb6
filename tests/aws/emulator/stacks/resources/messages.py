"""AWS::SNS::Topic, AWS::SNS::TopicPolicy, AWS::SNS::Subscription."""

import json

from .base import Handler, gone, picked

ATTRIBUTES = ("DisplayName", "KmsMasterKeyId")
OF_SUBSCRIPTIONS = ("FilterPolicy", "FilterPolicyScope", "RawMessageDelivery", "RedrivePolicy", "DeliveryPolicy")


class Topic(Handler):
    kind = "AWS::SNS::Topic"
    names = "TopicName"

    @classmethod
    def create(cls, on, properties):
        sns = on.client("sns")
        name = properties.get("TopicName") or on.name()
        if any(topic["TopicArn"].endswith(f":{name}") for topic in sns.list_topics()["Topics"]):
            from ..errors import ResourceFailed

            raise ResourceFailed(f"{name} already exists in stack")
        arn = sns.create_topic(Name=name, Tags=on.tags(properties))["TopicArn"]
        cls._attributes(on, arn, properties)
        for item in properties.get("Subscription", []):
            sns.subscribe(TopicArn=arn, **picked(item, "Protocol", "Endpoint"))
        return arn

    @staticmethod
    def _attributes(on, arn, properties):
        for name in ATTRIBUTES:
            if name in properties:
                on.client("sns").set_topic_attributes(TopicArn=arn, AttributeName=name, AttributeValue=properties[name])

    @classmethod
    def update(cls, on, physical, old, new):
        cls._attributes(on, physical, {**{name: "" for name in ATTRIBUTES if name in old}, **new})
        on.client("sns").tag_resource(ResourceArn=physical, Tags=on.tags(new))

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("NotFound"):
            on.client("sns").delete_topic(TopicArn=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return physical if name == "TopicArn" else physical.rsplit(":", 1)[-1]

    @classmethod
    def read(cls, on, physical):
        with gone("NotFound"):
            found = on.client("sns").get_topic_attributes(TopicArn=physical)["Attributes"]
            return picked(found, *ATTRIBUTES)
        return None


class TopicPolicy(Handler):
    kind = "AWS::SNS::TopicPolicy"

    @classmethod
    def create(cls, on, properties):
        cls.update(on, "", {}, properties)
        return on.name()

    @classmethod
    def update(cls, on, physical, old, new):
        for arn in new["Topics"]:
            on.client("sns").set_topic_attributes(
                TopicArn=arn, AttributeName="Policy", AttributeValue=json.dumps(new["PolicyDocument"])
            )

    @classmethod
    def delete(cls, on, physical, properties):
        """AWS puts the default policy back."""


class Subscription(Handler):
    kind = "AWS::SNS::Subscription"

    @classmethod
    def create(cls, on, properties):
        asked = picked(properties, "TopicArn", "Protocol", "Endpoint")
        made = on.client("sns").subscribe(**asked, ReturnSubscriptionArn=True, Attributes=cls._attributes(properties))
        return made["SubscriptionArn"]

    @staticmethod
    def _attributes(properties):
        found = picked(properties, *OF_SUBSCRIPTIONS)
        return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}

    @classmethod
    def update(cls, on, physical, old, new):
        for name, value in cls._attributes(new).items():
            on.client("sns").set_subscription_attributes(
                SubscriptionArn=physical, AttributeName=name, AttributeValue=value
            )

    @classmethod
    def delete(cls, on, physical, properties):
        with gone("NotFound"):
            on.client("sns").unsubscribe(SubscriptionArn=physical)

    @classmethod
    def attribute(cls, on, physical, name):
        return physical

    @classmethod
    def read(cls, on, physical):
        with gone("NotFound"):
            found = on.client("sns").get_subscription_attributes(SubscriptionArn=physical)["Attributes"]
            return picked(found, "TopicArn", "Protocol", "Endpoint")
        return None


ALL = [Topic, TopicPolicy, Subscription]
