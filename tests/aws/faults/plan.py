"""Which call meets which fault: a pure decision, the same for the same plan and the same calls.

    {"rules": [{"action": "CreateSnapshot", "at": [1, 2], "do": "throttle"},
               {"action": "ec2:*", "every": 2, "do": "cut_after"},
               {"action": "*", "times": 3, "do": "delay", "seconds": 0.2}],
     "random": {"seed": 7, "rate": 0.3, "do": ["throttle", "500", "cut_before", "cut_after"], "row": 2}}

A rule is for an action, with or without its service, or for all (`*`). `at`: its first, second, ... call, counted from
1; `every`: each so-manieth call; neither: each call. `times`: so often at most. The first rule that fits decides; if
none does, `random` may: with `rate`, but never more than `row` times running for the same action (so that who retries
gets through), and only for `actions`, if it names some.
"""

import random
from collections import Counter

# pass: forwarded. throttle, 500, 503: answered here, not forwarded. delay: forwarded late. cut_before: the connection
# ends, not forwarded. cut_after: forwarded and carried out, and the connection ends without the answer.
FAULTS = ("pass", "throttle", "500", "503", "delay", "cut_before", "cut_after")


class Plan:
    def __init__(self, given):
        unknown = set(given) - {"rules", "random"}
        if unknown:
            raise ValueError(f"a plan has `rules` and `random`, not {sorted(unknown)}")
        self.rules = given.get("rules", [])
        self.random = given.get("random")
        for rule in [*self.rules, *([self.random] if self.random else [])]:
            asked = rule["do"] if isinstance(rule["do"], list) else [rule["do"]]
            if not set(asked) <= set(FAULTS):
                raise ValueError(f"`do` is one of {FAULTS}, not {asked}")
        self.draw = random.Random(self.random["seed"] if self.random else 0)
        self.calls, self.used, self.running = Counter(), Counter(), Counter()

    def decide(self, service, action):
        """The fault for the next call of `action`, with its settings: {"do": ...}."""
        for index, rule in enumerate(self.rules):
            if not fits(rule["action"], service, action):
                continue
            self.calls[index] += 1
            if self.used[index] < rule.get("times", self.used[index] + 1) and _due(rule, self.calls[index]):
                self.used[index] += 1
                return rule
        return self._drawn(service, action)

    def _drawn(self, service, action):
        if not self.random or not any(fits(name, service, action) for name in self.random.get("actions", ["*"])):
            return {"do": "pass"}
        # Both are drawn each time, so that what one call meets does not shift what the next one draws.
        hit, fault = self.draw.random() < self.random["rate"], self.draw.choice(self.random["do"])
        if not hit or self.running[action] >= self.random.get("row", 2):
            self.running[action] = 0
            return {"do": "pass"}
        self.running[action] += 1
        return {"seconds": 0.1, **self.random, "do": fault}


def _due(rule, count):
    if "at" in rule:
        return count in rule["at"]
    return count % rule.get("every", 1) == 0


def fits(name, service, action):
    wanted_service, _, wanted = name.rpartition(":")
    return wanted in ("*", action) and wanted_service in ("", service)
