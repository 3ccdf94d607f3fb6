"""Which stacks there are, and how they are found."""

import re
from collections import defaultdict

from .errors import fail, invalid
from .stack import Stack, new_id

NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")
SET_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]{0,127}")

# (account, region) to the stacks by id, deleted ones too.
_stacks = defaultdict(dict)


class Registry:
    """The stacks of one account and region."""

    def __init__(self, account, region):
        self.account, self.region = account, region
        self.stacks = _stacks[account, region]

    def all(self):
        return list(self.stacks.values())

    def find(self, name_or_id):
        """A stack by its name, if it is there still, or by its id, deleted or not; None otherwise."""
        found = self.stacks.get(name_or_id)
        if found:
            return found
        return next((s for s in self.all() if s.name == name_or_id and s.status != "DELETE_COMPLETE"), None)

    def get(self, name_or_id, text="Stack with id {} does not exist"):
        found = self.find(name_or_id) if name_or_id else None
        if found is None:
            invalid(text.format(name_or_id))
        return found

    def new(self, name, tags):
        if not NAME.fullmatch(name or ""):
            invalid(
                f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: Member must "
                "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
            )
        stack = Stack(new_id(self.account, self.region, "stack", name), name, self.account, self.region, tags=tags)
        self.stacks[stack.id] = stack
        return stack

    def change_set(self, stack_name, name):
        """A change set by its id, or by the name of its stack and its own."""
        if name and name.startswith("arn:"):
            found = [s.change_sets[name] for s in self.all() if name in s.change_sets]
            owner = [s for s in self.all() if name in s.change_sets]
        else:
            if not stack_name:
                invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
            stack = self.find(stack_name)
            if stack is None:
                invalid(f"Stack [{stack_name}] does not exist")
            found = [change for change in stack.change_sets.values() if change.name == name]
            owner = [stack]
        if not found:
            fail("ChangeSetNotFound", f"ChangeSet [{name}] does not exist")
        return owner[0], found[-1]

    def exports(self):
        return [(output, stack) for stack in self.all() for output in stack.outputs if "ExportName" in output]


def check_set_name(name):
    if not SET_NAME.fullmatch(name or ""):
        invalid(
            f"1 validation error detected: Value '{name}' at 'changeSetName' failed to satisfy constraint: Member must "
            "satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
