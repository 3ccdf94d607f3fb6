"""Write tasks that die, and a driver that does. Ray's workers import this by name."""

import os
import random
import signal
import threading
from pathlib import Path

from qmoor.ray import QdrantDatasink


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def attempt(folder, name):
    """Which attempt this is, from 1; counted in files, since a process that dies keeps nothing."""
    number = 1
    while True:
        try:
            (Path(folder) / f"{name}-{number}").touch(exist_ok=False)
            return number
        except FileExistsError:
            number += 1


class DiesAfterWriting(QdrantDatasink):
    """Each task writes everything, dies before it can say so, and is run again by Ray."""

    def __init__(self, *arguments, folder, **options):
        super().__init__(*arguments, **options)
        self.folder = str(folder)

    def write(self, blocks, ctx):
        report = super().write(blocks, ctx)
        if attempt(self.folder, ctx.task_idx) == 1:
            die()
        return report


class DiesAtRandom(DiesAfterWriting):
    """Each task is killed twice at a moment that the seed decides, before, in or after its writing."""

    def write(self, blocks, ctx):
        number = attempt(self.folder, ctx.task_idx)
        if number <= 2:
            after = random.Random(1000 * ctx.task_idx + number).uniform(0.0, 0.4)
            timer = threading.Timer(after, die)
            timer.daemon = True
            timer.start()
            QdrantDatasink.write(self, blocks, ctx)
            # Written before its time came: it dies all the same.
            timer.join()
        return QdrantDatasink.write(self, blocks, ctx)


def fails_at(table, number):
    """A stage before the write that fails when it meets the chunk of this number."""
    if number in table.column("chunk").to_pylist():
        raise RuntimeError("this block does not come")
    return table
