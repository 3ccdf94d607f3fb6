"""Errors of EC2, and its way to hand out lists in pages."""

import base64

from moto.ec2.exceptions import EC2ClientError


def refuse(code, message):
    raise EC2ClientError(code, message)


def page(items, response, ids_given="", low=5, high=1000):
    """The page of `items` that was asked for, and the token of the next one.

    `ids_given`: the name of the ID parameter, if some were given, since AWS refuses those with MaxResults."""
    asked = response._get_param("MaxResults")
    token = response._get_param("NextToken")
    if asked is None and token is None:
        return items, None
    if ids_given:
        refuse("InvalidParameterCombination", f"The parameter {ids_given} cannot be used with the parameter maxResults")
    asked = int(asked if asked is not None else high)
    if asked < low:
        refuse(
            "InvalidParameterValue",
            f"Value ( {asked} ) for parameter maxResults is invalid. Expecting a value greater than {low}.",
        )
    try:
        start = int(base64.b64decode(token, validate=True)) if token else 0
    except ValueError:
        refuse("InvalidParameterValue", "Unable to parse pagination token")
    end = start + min(asked, high)
    following = base64.b64encode(str(end).encode()).decode() if end < len(items) else None
    return items[start:end], following
