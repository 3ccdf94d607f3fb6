"""How moto is changed: a method is replaced by a function that gets the former one, or an action is added."""

import functools
from importlib.metadata import version
from pathlib import Path

REQUIREMENTS = Path(__file__).parent.parent / "requirements.txt"


def check_version():
    """Ends the program unless moto is of the version that the patches were written for."""
    wanted = next(line.split("==")[1].strip() for line in REQUIREMENTS.open() if line.startswith("moto["))
    if version("moto") != wanted:
        raise SystemExit(
            f"emulator: moto is {version('moto')}, the patches are for {wanted} (hint: run tests/aws/setup, "
            "or look at each patch again and pin the other version)"
        )


def replaces(cls):
    """The method of the same name gives way to the decorated function, whose first argument is the former method.

    Fails at once when moto no longer has such a method."""

    def put(function):
        former = getattr(cls, function.__name__)

        @functools.wraps(former)
        def method(self, *args, **kwargs):
            return function(former, self, *args, **kwargs)

        setattr(cls, function.__name__, method)
        return function

    return put


def adds(cls):
    """The decorated function becomes a method that moto does not have."""

    def put(function):
        if hasattr(cls, function.__name__):
            raise TypeError(f"{cls.__name__} has {function.__name__} already: replace it")
        setattr(cls, function.__name__, function)
        return function

    return put
