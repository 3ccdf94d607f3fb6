"""An indexing job as a script: `job.py ADDRESS URL COLLECTION COUNTS MOMENT`. The driver kills itself at MOMENT."""

import json
import os
import sys

import ray
from qmoor import Node, Target, Writer
from qmoor.ray import new_generation, write_qdrant

import corpus
import dying


def dies(kind, name, *, before):
    """Has a method die when it is called, or when it has done its work."""
    method = getattr(kind, name)

    def dying_method(self, *arguments, **options):
        if before:
            dying.die()
        method(self, *arguments, **options)
        dying.die()

    setattr(kind, name, dying_method)


def main(address, url, collection, counts, moment):
    match moment:
        case "before-cleanup":
            dies(Writer, "delete_older", before=True)
        case "after-cleanup":
            dies(Writer, "delete_older", before=False)
        case "in-backup":
            dies(Node, "_begin", before=False)
        case "never":
            pass
    ray.init(address=address, log_to_driver=False)
    target = Target(url, collection, "env:QMOOR_TEST_INDEX")
    report = write_qdrant(
        ray.data.from_arrow(corpus.table(json.loads(counts))).repartition(4),
        target,
        corpus.SCHEMA,
        generation=new_generation(target),
        cleanup="full",
        backup={"batch_id": collection, "labels": {"pid": str(os.getpid())}},
    )
    print(json.dumps(report.to_dict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
