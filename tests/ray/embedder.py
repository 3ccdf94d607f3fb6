"""A small embedder of real meaning, whose weights its PyPI package holds; the same text, the same vector."""

import os
from functools import cache

import numpy as np

DIMENSION = 256


@cache
def _model():
    import wordllama

    folder = os.path.dirname(wordllama.__file__)
    return wordllama.WordLlama.load(cache_dir=folder, disable_download=True)


def embed(texts):
    """One row of 256 floats a text, of length 1."""
    return np.asarray(_model().embed(list(texts), norm=True), dtype=np.float32)
