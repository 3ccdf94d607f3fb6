"""Security groups: when rules are the same, and when a group cannot go."""

from moto.core.responses import ActionResult
from moto.ec2.models.security_groups import SecurityGroupBackend, SecurityGroupRule
from moto.ec2.responses.security_groups import SecurityGroups

from ..patch import replaces
from .refusals import refuse


@replaces(SecurityGroupRule)
def __eq__(former, self, other):
    """Whatever they say in words: AWS does not compare descriptions."""
    return _named(self) == _named(other) and (
        (self.ip_protocol, self.from_port, self.to_port, self.cidr_ipv4, self.cidr_ipv6, self.prefix_list_id)
        == (other.ip_protocol, other.from_port, other.to_port, other.cidr_ipv4, other.cidr_ipv6, other.prefix_list_id)
    )


def _named(rule):
    return rule.source_group.get("GroupId") or rule.source_group.get("GroupName")


SecurityGroupRule.description = property(
    lambda self: self.ip_range.get("Description") or self.source_group.get("Description")
)


def _authorized(self, way):
    """All rules that were added, not only those of the last permission."""
    self.error_on_dryrun()
    authorize = getattr(self.ec2_backend, f"authorize_security_group_{way}")
    added = [rule for asked in self._process_rules_from_querystring() for rule in authorize(**asked)[0]]
    return ActionResult({"Return": True, "SecurityGroupRules": added})


@replaces(SecurityGroups)
def authorize_security_group_ingress(former, self):
    return _authorized(self, "ingress")


@replaces(SecurityGroups)
def authorize_security_group_egress(former, self):
    return _authorized(self, "egress")


@replaces(SecurityGroupBackend)
def delete_security_group(former, self, name=None, group_id=None):
    group = self.get_security_group_from_id(group_id) if group_id else None
    if group is not None:
        if group.name == "default":
            refuse("CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user')
        others = [other for groups in self.groups.values() for other in groups.values() if other is not group]
        rules = [rule for other in others for rule in (*other.ingress_rules, *other.egress_rules)]
        if any(group in interface.group_set for interface in self.enis.values()) or any(
            rule.source_group.get("GroupId") == group_id for rule in rules
        ):
            refuse("DependencyViolation", f"resource {group_id} has a dependent object")
    return former(self, name, group_id)
