"""Makes 100 000 real vectors of 256 dimensions without a download: WordNet glosses, embedded.

    python make_vectors.py DIRECTORY

The text is of the Debian package wordnet-base, the model is inside the Python package wordllama. Writes
base.npy (what is indexed), queries.npy (other glosses) and truth.npy (the ten nearest by exact search).
"""

import os
import random
import sys
from pathlib import Path

import numpy as np
import wordllama

WORDNET = Path("/usr/share/wordnet")
BASE, QUERIES, NEAREST = 100_000, 1_000, 10


def glosses():
    """The distinct definitions of all synsets, in an order that is always the same."""
    found = set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in (WORDNET / f"data.{part}").read_text().splitlines():
            _, separator, gloss = line.partition(" | ")
            if separator:
                found.add(gloss.strip())
    ordered = sorted(found)
    random.Random(7).shuffle(ordered)
    return ordered


def embed(texts):
    model = wordllama.WordLlama.load(cache_dir=os.path.dirname(wordllama.__file__), disable_download=True)
    vectors = np.concatenate([model.embed(texts[at : at + 4096]) for at in range(0, len(texts), 4096)])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def nearest(base, queries):
    """The ids of the nearest by cosine, exactly."""
    found = [np.argsort(-(base @ query), kind="stable")[:NEAREST] for query in queries]
    return np.array(found, dtype=np.int64)


def main():
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    texts = glosses()[: BASE + QUERIES]
    if len(texts) < BASE + QUERIES:
        sys.exit(f"only {len(texts)} glosses in {WORDNET}; {BASE + QUERIES} are needed")
    vectors = embed(texts)
    base, queries = vectors[:BASE], vectors[BASE:]
    np.save(directory / "truth.npy", nearest(base, queries))
    np.save(directory / "queries.npy", queries)
    np.save(directory / "base.npy", base)


if __name__ == "__main__":
    main()
