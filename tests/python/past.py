"""A past for a node that is young."""

import datetime
import json
import os
import random


def volume_history(node_dir, used, days=30, growth=0.9):
    """What a node would have written in a month in which its volume filled."""
    size = os.statvfs(node_dir)
    total, free = size.f_blocks * size.f_frsize, size.f_bavail * size.f_frsize
    now = datetime.datetime.now(datetime.UTC)
    chance = random.Random(7)
    lines = []
    for step in range(days * 144, 0, -1):
        at = now - datetime.timedelta(minutes=10 * step)
        part = 1 - growth * step / (days * 144)
        taken = int(used * part * (1 + 0.02 * chance.random() + 0.03 * (step % 144 < 20)))
        reading = {"at": at.strftime("%Y-%m-%dT%H:%M:%SZ"), "size": total, "used": taken, "free": free + used - taken}
        lines.append(json.dumps(reading) + "\n")
    return lines
