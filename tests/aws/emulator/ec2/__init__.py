"""EC2: volumes, snapshots, network interfaces, instances, with the refusals of the real one."""


def apply():
    # Each patches when it is imported.
    from . import attachments, groups, images, instances, interfaces, snapshots, states, tags, volumes  # noqa: F401
