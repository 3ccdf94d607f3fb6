"""Documents made of numbers: the same name, number and edition give the same chunk."""

import hashlib

import numpy as np
import pyarrow as pa

from qmoor import PointSchema

SCHEMA = PointSchema(doc="doc", chunk="chunk", chunk_count="chunks", hash="hash", payload=["text"])


def chunk(doc, number, count, edition=0, dimension=8):
    """One row."""
    text = f"{doc} {number} {edition}"
    digest = hashlib.sha256(text.encode()).digest()
    seed = int.from_bytes(digest[:8], "big")
    vector = np.random.default_rng(seed).normal(size=dimension).astype("f4")
    return {
        "doc": doc,
        "chunk": number,
        "chunks": count,
        "hash": digest.hex(),
        "text": text,
        "vector": (vector / np.linalg.norm(vector)).tolist(),
    }


def rows(counts, edition=0):
    """All chunks of these documents, given as {name: how many}."""
    return [chunk(doc, number, count, edition) for doc, count in counts.items() for number in range(count)]


def table(counts, edition=0):
    return pa.Table.from_pylist(rows(counts, edition))


def expected(counts, edition=0):
    """What a collection holds afterwards: document and number to text."""
    return {(row["doc"], row["chunk"]): row["text"] for row in rows(counts, edition)}


def found(place):
    """What it does hold."""
    return {(payload["_doc"], payload["_ix"]): payload["text"] for payload, _ in place.points().values()}
