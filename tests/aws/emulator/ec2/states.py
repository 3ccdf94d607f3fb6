"""How long an instance takes to start, to stop and to end: so many describes as the behaviour says."""

from moto.ec2.models.instances import Instance, InstanceState
from moto.ec2.responses.instances import InstanceResponse

from ..patch import replaces
from ..world import world

ON_THE_WAY = {"running": ("pending", 0), "stopped": ("stopping", 64), "terminated": ("shutting-down", 32)}

Instance.describes = 0


def shown(instance):
    """The state as it is told; `_state` is where the instance is going, or is."""
    needed = world.behaviour(instance.ec2_backend.account_id, "instances")["describes"]
    if needed and instance.describes <= needed:
        return InstanceState(*ON_THE_WAY[instance._state.name])
    return instance._state


Instance.instance_state = property(shown)
Instance.state = property(lambda self: shown(self).name)
Instance.state_code = property(lambda self: shown(self).code)


def _begun(former, self):
    """moto tells whether a state has changed by the one before."""
    before = former(self)
    if before.name != self._state.name:
        self.describes = 0
    return before


@replaces(Instance)
def start(former, self):
    return _begun(former, self)


@replaces(Instance)
def stop(former, self):
    return _begun(former, self)


@replaces(Instance)
def terminate(former, self):
    return _begun(former, self)


def _seen(self):
    ids = set(self._get_param("InstanceIds", []))
    for instance in self.ec2_backend.all_instances():
        if not ids or instance.id in ids:
            instance.describes += 1


@replaces(InstanceResponse)
def describe_instances(former, self):
    _seen(self)
    return former(self)


@replaces(InstanceResponse)
def describe_instance_status(former, self):
    _seen(self)
    return former(self)
