"""What the emulator holds beside moto: its disks, how things are told to misbehave, and which calls came."""

import threading
from collections import defaultdict
from copy import deepcopy

from .disks import Disks

DEFAULT_ACCOUNT = "123456789012"

# For each account, how its resources behave; POST /emulator/behaviour merges into it.
USUAL = {
    # A snapshot is completed in the describe after so many; `never`: it stays pending; `error`: it ends so.
    "snapshots": {"describes": 2, "never": False, "error": False},
    # `detach_never`: a detachment goes on for ever. `modify_describes`: a modification is completed after so many.
    # `error`: volumes that are made come out broken, as from a snapshot whose key may not be used.
    "volumes": {"detach_never": False, "modify_describes": 2, "error": False},
    # `describes`: an instance that starts, stops or ends has done so after so many; 0: at once. `offline`: ids of
    # instances whose Systems Manager agent does not answer. `late`: for so many seconds after SendCommand there is no
    # invocation to be asked after. `exec`: the program that runs scripts, given the id of the instance and the script
    # (empty: what EMULATOR_EXEC names, else bash).
    "instances": {"describes": 0, "offline": [], "late": 0.2, "exec": ""},
    # Seconds that CloudFormation waits for a resource, and that it rests between two of them.
    "stacks": {"patience": 20.0, "pause": 0.0},
    # Seconds that a Wait state and a retry may take at most; of the default account, for all.
    "machines": {"longest_wait": 1.0},
    "quotas": {"vcpus": 64},
    # The keys that were given for the account hold no more.
    "keys": {"expired": False},
}


class World:
    def __init__(self):
        self.disks = Disks(None, real=False)
        self.url = ""
        self.locks = defaultdict(threading.RLock)
        self._behaviour = defaultdict(lambda: deepcopy(USUAL))
        self._failures = []

    def behaviour(self, account, kind):
        """How resources of `kind` behave in `account`."""
        return self._behaviour[account][kind]

    def behave(self, account, changes):
        """Merges `changes`, which has the form of USUAL; returns all that is set."""
        mine = self._behaviour[account]
        for kind, values in changes.items():
            unknown = set(values) - set(mine.get(kind, {}))
            if kind not in mine or unknown:
                raise ValueError(f"no such behaviour: {kind} {sorted(unknown)}; there is {USUAL}")
            mine[kind].update(values)
        return mine

    def usual(self, account):
        """Back to the usual behaviour; planned failures are dropped."""
        self._behaviour.pop(account, None)
        self._failures = [failure for failure in self._failures if failure["account"] != account]

    def fail_next(self, account, what, operation, reason, times=1):
        """The next `times` operations (create, update, delete) of CloudFormation on a type or logical id fail."""
        self._failures.append(
            {"account": account, "what": what, "operation": operation, "reason": reason, "times": times}
        )

    def failure(self, account, names, operation):
        """The reason why this operation is to fail, taken from what was planned; None otherwise."""
        for failure in self._failures:
            if failure["account"] == account and failure["what"] in names and failure["operation"] == operation:
                failure["times"] -= 1
                if failure["times"] <= 0:
                    self._failures.remove(failure)
                return failure["reason"]
        return None


world = World()
