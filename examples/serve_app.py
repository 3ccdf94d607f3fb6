"""Answers questions over HTTP from a collection, with the search key alone: a Ray Serve application.

    python examples/serve_app.py --url http://127.0.0.1:6333 --collection topics --key file:/run/keys/search
    curl 'http://127.0.0.1:8000/search?q=how+do+I+open+a+file&k=3'

or, with Serve's own command:

    serve run --app-dir examples serve_app:build url=http://127.0.0.1:6333 collection=topics key=file:/run/keys/search

`/search` finds the chunks nearest in meaning; `/healthz` says whether the node answers.
"""

import argparse
import os
import signal
from typing import Annotated

import numpy as np
import wordllama
from fastapi import FastAPI, HTTPException, Query
from pydantic import BaseModel
from qmoor import QmoorError, Searcher, Target
from ray import serve

FIELDS = ["_doc", "_ix", "text"]
api = FastAPI(title="Retrieval")


class Arguments(BaseModel):
    """What `serve run` takes as NAME=VALUE."""

    url: str
    collection: str
    key: str = "env:QDRANT_API_KEY"


# Each replica answers many requests at a time: it waits for the node, not for a thread.
@serve.deployment(max_ongoing_requests=64)
@serve.ingress(api)
class Retrieval:
    def __init__(self, target):
        folder = os.path.dirname(wordllama.__file__)
        self._model = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
        self._searcher = Searcher(target)

    @api.get("/search")
    async def search(
        self, q: Annotated[str, Query(min_length=1, max_length=4000)], k: Annotated[int, Query(ge=1, le=100)] = 5
    ):
        try:
            return await self._nearest((q, k))
        except QmoorError as error:
            raise HTTPException(503, f"the collection does not answer: {error.code}") from error

    @api.get("/healthz")
    async def health(self):
        await self.search("is the node there?", 1)
        return {"ok": True}

    # Questions that come within 5 ms of each other are embedded together and sent in one request.
    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.005)
    async def _nearest(self, questions):
        texts, ks = zip(*questions, strict=True)
        vectors = np.asarray(self._model.embed(list(texts), norm=True), dtype=np.float32)
        found = await self._searcher.asearch_batch(vectors, max(ks), fields=FIELDS)
        return [hits[:k] for hits, k in zip(found["hits"].to_pylist(), ks, strict=True)]


def build(arguments: Arguments):
    """The application, for `serve run`."""
    return Retrieval.bind(Target(arguments.url, arguments.collection, arguments.key))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="the node, http://HOST:6333")
    parser.add_argument("--collection", required=True, help="one that index_job.py has filled")
    parser.add_argument(
        "--key",
        default="env:QDRANT_API_KEY",
        help="where each machine finds the search key: env:NAME, file:PATH or aws-secret:ID (%(default)s)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (%(default)s)")
    parser.add_argument("--port", type=int, default=8000, help="(%(default)s)")
    arguments = parser.parse_args()
    serve.start(http_options={"host": arguments.host, "port": arguments.port})
    serve.run(build(Arguments(url=arguments.url, collection=arguments.collection, key=arguments.key)))
    print(f"serving on http://{arguments.host}:{arguments.port}/search", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
