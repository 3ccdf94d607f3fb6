"""Intrinsic functions."""

import base64
import json

from .errors import ResourceFailed, invalid
from .template import IN_SUB

NO_VALUE = object()


class Unknown:
    """The value of something that is not made yet, or that is going to be made anew: for change sets."""

    def __init__(self, sources):
        self.sources = frozenset(sources)

    def __eq__(self, other):
        return False

    __hash__ = None


def unknowns(value):
    """What the unknown parts of a value come from: ("Logical", attribute or None)."""
    if isinstance(value, Unknown):
        return set(value.sources)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return {source for part in parts for source in unknowns(part)}


class Resolver:
    """Resolves values of one template for one stack. `reference(name, attribute)` tells what a resource is."""

    def __init__(self, template, values, pseudo, reference, zones=()):
        self.template = template
        self.values = values
        self.pseudo = pseudo
        self.reference = reference
        self.zones = zones
        self._conditions = {}

    def active(self):
        """The names of the resources whose condition holds."""
        return {
            name
            for name, resource in self.template.resources.items()
            if "Condition" not in resource or self.condition(resource["Condition"])
        }

    def condition(self, name):
        if name not in self._conditions:
            if name not in self.template.conditions:
                invalid(f"Template error: unresolved condition dependency {name}")
            self._conditions[name] = bool(self.resolve(self.template.conditions[name]))
        return self._conditions[name]

    def resolve(self, value):
        if isinstance(value, list):
            items = [self.resolve(item) for item in value]
            return [item for item in items if item is not NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            name, argument = next(iter(value.items()))
            if name == "Ref":
                return self.ref(argument)
            if name == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if name.startswith("Fn::"):
                function = getattr(self, f"fn_{name[4:].lower()}", None)
                if function is None:
                    invalid(f"Template error: the function {name} is not supported")
                return function(argument)
        items = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in items.items() if item is not NO_VALUE}

    def ref(self, name):
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in self.pseudo:
            return self.pseudo[name]
        if name in self.values:
            return self.values[name]
        return self.reference(name, None)

    def fn_getatt(self, argument):
        name, attribute = argument.split(".", 1) if isinstance(argument, str) else (argument[0], argument[1])
        return self.reference(name, self.resolve(attribute))

    def fn_sub(self, argument):
        text, own = argument if isinstance(argument, list) else (argument, {})
        own = {name: self.resolve(value) for name, value in own.items()}
        sources = set()

        def replaced(match):
            name = match.group(1).strip()
            if name in own:
                value = own[name]
            elif "." in name:
                value = self.fn_getatt(name)
            else:
                value = self.ref(name)
            sources.update(unknowns(value))
            return text_of(value)

        text = IN_SUB.sub(replaced, text).replace("${!", "${")
        return Unknown(sources) if sources else text

    def fn_join(self, argument):
        glue, items = argument[0], self.resolve(argument[1])
        sources = unknowns(items)
        return Unknown(sources) if sources else glue.join(text_of(item) for item in items)

    def fn_select(self, argument):
        index, items = int(self.resolve(argument[0])), self.resolve(argument[1])
        if isinstance(items, Unknown):
            return items
        if not 0 <= index < len(items):
            invalid("Template error: Fn::Select cannot select nonexistent value at index " + str(index))
        return items[index]

    def fn_split(self, argument):
        value = self.resolve(argument[1])
        return value if isinstance(value, Unknown) else value.split(argument[0])

    def fn_if(self, argument):
        name, yes, no = argument
        return self.resolve(yes if self.condition(name) else no)

    def fn_equals(self, argument):
        left, right = (text_of(self.resolve(item)) for item in argument)
        return left == right

    def fn_and(self, argument):
        return all([self.resolve(item) for item in argument])

    def fn_or(self, argument):
        return any([self.resolve(item) for item in argument])

    def fn_not(self, argument):
        return not self.resolve(argument[0])

    def fn_findinmap(self, argument):
        found = self.template.mappings
        for key in map(text_of, self.resolve(argument[:3])):
            if key not in found:
                invalid(f"Template error: Unable to get mapping for {'::'.join(map(str, argument))}")
            found = found[key]
        return found

    def fn_base64(self, argument):
        value = self.resolve(argument)
        return value if isinstance(value, Unknown) else base64.b64encode(text_of(value).encode()).decode()

    def fn_getazs(self, argument):
        self.resolve(argument)
        return list(self.zones)

    def fn_tojsonstring(self, argument):
        value = self.resolve(argument)
        return Unknown(unknowns(value)) if unknowns(value) else json.dumps(value, separators=(",", ":"))

    def fn_length(self, argument):
        value = self.resolve(argument)
        return value if isinstance(value, Unknown) else len(value)


def text_of(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(text_of, value))
    if isinstance(value, Unknown):
        return ""
    if isinstance(value, dict):
        raise ResourceFailed("Template error: a text was expected where there is an object")
    return str(value)
