"""Machine images: only those that the public parameters /aws/service/ami-amazon-linux-latest/* name.

moto makes 1250 images in each account and region that is looked at, with a volume and a snapshot each. Nobody needs
them, and all wait for them.
"""

from moto.ec2.models import amis

_load = amis.load_resource


def _few(path):
    return [] if "/ecs/" in path else _load(path)


amis.AMIS.clear()
amis.load_resource = _few
