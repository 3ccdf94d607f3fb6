"""EC2: volumes, snapshots, network interfaces, instances, with the refusals of the real one."""


def apply():
    from . import attachments, groups, images, instances, interfaces, snapshots, tags, volumes  # noqa: F401  (patch when imported)
