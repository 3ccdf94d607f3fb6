"""Indexes text as one Ray Data job: read, chunk, leave out what did not change, embed, write, tidy up, back up.

    python examples/index_job.py --url http://127.0.0.1:6333 --collection topics --key file:/run/keys/index

It may be killed at any point and run again: what is there already is met again, never written twice, and nothing of a
document is removed before all of it is there anew. Documents are the files of a folder or, without one, the help topics
that come with Python.
"""

import argparse
import hashlib
import os
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import ray
import wordllama
from qmoor import PointSchema, Target, ensure_collection
from qmoor.ray import drop_unchanged, new_generation, write_qdrant

MODEL, DIMENSION = "wordllama l2_supercat_256", 256
CHUNK_CHARACTERS = 1_000

# What the columns mean. Point ids are made from `doc` and `chunk`; `text` is left and becomes payload.
SCHEMA = PointSchema(doc="doc", chunk="chunk", chunk_count="chunks", hash="hash", vectors={"": "vector"})


def documents(folder):
    """One row a document; its text is read by the worker that cuts it."""
    if folder is None:
        return [{"doc": name, "path": ""} for name in sorted(topics)]
    paths = sorted(path for path in folder.rglob("*") if path.suffix in (".md", ".txt") and path.is_file())
    return [{"doc": path.relative_to(folder).as_posix(), "path": str(path.resolve())} for path in paths]


def cut(text):
    """Paragraphs, put together up to the length of a chunk."""
    chunks = []
    for paragraph in filter(None, map(str.strip, text.split("\n\n"))):
        if chunks and len(chunks[-1]) + len(paragraph) <= CHUNK_CHARACTERS:
            chunks[-1] += "\n\n" + paragraph
        else:
            chunks.append(paragraph)
    return chunks


def chunks_of(document):
    """The rows of a document. The hash covers the model too, so that another model embeds everything anew."""
    path = document["path"]
    chunks = cut(Path(path).read_text(encoding="utf-8") if path else topics[document["doc"]])
    for number, text in enumerate(chunks):
        yield {
            "doc": document["doc"],
            "chunk": number,
            "chunks": len(chunks),
            "hash": hashlib.sha256(f"{MODEL}\n{text}".encode()).hexdigest(),
            "text": text,
        }


class Embed:
    """Loads the model once a worker. Put your own in its place."""

    def __init__(self):
        folder = os.path.dirname(wordllama.__file__)
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)

    def __call__(self, batch):
        batch["vector"] = np.asarray(self._model.embed(list(batch["text"]), norm=True), dtype=np.float32)
        return batch


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="*.md and *.txt below it; nothing: Python's help topics")
    parser.add_argument("--url", required=True, help="the node, http://HOST:6333")
    parser.add_argument("--collection", required=True, help="made if it is missing")
    parser.add_argument(
        "--key",
        default="env:QDRANT_API_KEY",
        help="where each machine finds the index key: env:NAME, file:PATH or aws-secret:ID (%(default)s)",
    )
    parser.add_argument(
        "--cleanup",
        choices=["scoped", "full", "none"],
        default="scoped",
        help="what to remove at the end. scoped: chunks that the documents of this run no longer have; full: also all "
        "documents that are not in this run, so give it everything that the collection should hold (%(default)s)",
    )
    parser.add_argument("--batch-id", help="back the node up at the end, under this name")
    arguments = parser.parse_args()
    if arguments.folder is not None and not arguments.folder.is_dir():
        parser.error(f"`{arguments.folder}` is no folder")
    return arguments


def main():
    arguments = parsed()
    target = Target(arguments.url, arguments.collection, arguments.key)
    found = documents(arguments.folder)
    if not found:
        raise SystemExit(f"no *.md and no *.txt below `{arguments.folder}`; nothing was changed")

    # On the driver: the collection, and the number of this run.
    ensure_collection(target, vectors=DIMENSION)
    generation = new_generation(target)

    ray.init()
    rows = ray.data.from_items(found).flat_map(chunks_of)
    changed = drop_unchanged(rows, target, SCHEMA, generation=generation)
    embedded = changed.map_batches(Embed, batch_size=256, compute=ray.data.ActorPoolStrategy(min_size=1, max_size=4))
    report = write_qdrant(
        embedded,
        target,
        SCHEMA,
        generation=generation,
        cleanup=None if arguments.cleanup == "none" else arguments.cleanup,
        backup={"batch_id": arguments.batch_id} if arguments.batch_id else None,
    )
    print(f"{len(found)} documents: {report.points_acked} chunks written, {report.stale_deleted} removed")
    if report.backup:
        print(f"backup {report.backup['id']} of batch {arguments.batch_id}: {report.backup['grade']}")


if __name__ == "__main__":
    main()
