"""LangChain's and LlamaIndex's own Qdrant classes read what we wrote, and we read what they wrote."""

import json
import uuid
from pydoc_data.topics import topics

import pyarrow as pa
import pytest
from haystack import Document as HaystackDocument
from haystack.utils import Secret
from haystack_integrations.document_stores.qdrant import QdrantDocumentStore
from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_qdrant import QdrantVectorStore as LangChainStore
from langchain_qdrant import RetrievalMode, SparseEmbeddings, SparseVector
from llama_index.core import VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters, VectorStoreQuery
from llama_index.core.vector_stores.types import VectorStoreQueryMode
from llama_index.vector_stores.qdrant import QdrantVectorStore as LlamaIndexStore
from qdrant_client import QdrantClient, models
from qmoor import BadInput, BadRow, PointSchema, Searcher, VectorSpec, Writer, ensure_collection, point_ids

from embedder import DIMENSION, embed

GENERATION = 1_000


class LangChainEmbedder(Embeddings):
    def embed_documents(self, texts):
        return embed(texts).tolist()

    def embed_query(self, text):
        return embed([text])[0].tolist()


class LlamaIndexEmbedder(BaseEmbedding):
    def _get_text_embedding(self, text):
        return embed([text])[0].tolist()

    _get_query_embedding = _get_text_embedding

    async def _aget_query_embedding(self, query):
        return self._get_query_embedding(query)


class WordCounts(SparseEmbeddings):
    """A sparse vector without a model: how often each word is there."""

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        counts = {}
        for word in text.lower().split():
            number = uuid.uuid5(uuid.NAMESPACE_OID, word).int % 2**31
            counts[number] = counts.get(number, 0.0) + 1.0
        return SparseVector(indices=list(counts), values=list(counts.values()))


@pytest.fixture
def target(place):
    return place.target("index")


@pytest.fixture
def client(node):
    """What the frameworks write and delete with."""
    return QdrantClient(url=node.url, api_key=node.ready["keys"]["index"], timeout=30)


@pytest.fixture
def reader(node):
    """What the frameworks search with: the key may do nothing else."""
    return QdrantClient(url=node.url, api_key=node.ready["keys"]["search"], timeout=30)


def chunks(*names):
    """Paragraphs of Python's own help, three a topic."""
    rows = []
    for name in names:
        parts = [part for part in topics[name].split("\n\n") if len(part) > 80][:3]
        rows += [
            {"source": name, "ix": ix, "count": len(parts), "text": part, "words": len(part.split()), "seen": None}
            for ix, part in enumerate(parts)
        ]
    return rows


def table(rows):
    columns = pa.Table.from_pylist(rows).set_column(5, "seen", pa.nulls(len(rows), pa.string()))
    vectors = embed([row["text"] for row in rows])
    return columns.append_column("vector", pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), DIMENSION))


def schema(layout, **more):
    fields = {"doc": "source", "chunk": "ix", "chunk_count": "count", "text": "text", "layout": layout}
    return PointSchema(**{**fields, **more})


def written(target, layout, *names):
    """A collection with these topics; their rows, as they were."""
    rows = chunks(*names)
    ensure_collection(target, vectors=DIMENSION, payload_indexes={"doc_id": "keyword"})
    report = Writer(target, schema(layout), generation=GENERATION).write(table(rows))
    assert report.points_acked == len(rows) > 0
    return rows


def ids_of(rows):
    found = point_ids([row["source"] for row in rows], [row["ix"] for row in rows])
    return [str(uuid.UUID(bytes=each.as_py())) for each in found]


def shrink(target, layout, rows, name):
    """Writes a topic again with one chunk: what is left of it."""
    rest = [{**row, "count": 1} for row in rows if row["source"] == name][:1]
    writer = Writer(target, schema(layout), generation=GENERATION + 1, cleanup="scoped")
    return writer.write(table(rest))


# ---- LangChain ------------------------------------------------------------------------------


def langchain(client, target, **more):
    return LangChainStore(client=client, collection_name=target.collection, embedding=LangChainEmbedder(), **more)


def test_langchain_finds_what_we_wrote(target, reader):
    rows = written(target, "langchain", "for", "dict")
    store = langchain(reader, target)
    for row, point in zip(rows, ids_of(rows), strict=True):
        [found] = store.similarity_search(row["text"], k=1)
        assert found.page_content == row["text"]
        assert found.metadata == {
            "source": row["source"],
            "words": row["words"],
            "seen": None,
            "_id": point,
            "_collection_name": target.collection,
        }


def test_langchain_filters_on_metadata_and_gets_by_id(target, reader):
    rows = written(target, "langchain", "for", "dict")
    store = langchain(reader, target)
    is_dict = models.FieldCondition(key="metadata.source", match=models.MatchValue(value="dict"))
    found = store.similarity_search(rows[0]["text"], k=10, filter=models.Filter(must=[is_dict]))
    assert sorted(each.page_content for each in found) == sorted(r["text"] for r in rows if r["source"] == "dict")
    points = ids_of(rows)
    found = store.get_by_ids(points[:2])
    assert {each.metadata["_id"]: each.page_content for each in found} == {
        point: row["text"] for point, row in zip(points[:2], rows[:2])
    }


def test_langchain_deletes_what_we_wrote(target, client):
    rows = written(target, "langchain", "for", "dict")
    assert langchain(client, target).delete(ids_of(rows)[:2])
    assert Writer(target, schema("langchain")).count() == len(rows) - 2


def test_langchains_metadata_is_whatever_json_can_say(target, reader):
    rows = [
        {"doc": "one", "ix": 0, "text": "A list of lists.", "tags": ["a", "b"], "at": {"page": 3, "x": 0.5}, "ok": True}
    ]
    data = pa.Table.from_pylist(rows).append_column("vector", pa.array(embed(["A list of lists."]).tolist()))
    ensure_collection(target, vectors=DIMENSION)
    Writer(target, PointSchema(doc="doc", chunk="ix", text="text", layout="langchain")).write(data)
    [found] = langchain(reader, target).similarity_search("for", k=1)
    kept = {key: value for key, value in found.metadata.items() if key not in ("_id", "_collection_name")}
    assert kept == {"doc": "one", "tags": ["a", "b"], "at": {"page": 3, "x": 0.5}, "ok": True}


def test_langchain_sees_no_more_of_a_document_that_shrank(target, reader):
    rows = written(target, "langchain", "for", "dict")
    report = shrink(target, "langchain", rows, "for")
    assert report.stale_deleted == 2
    found = langchain(reader, target).similarity_search("for", k=10)
    assert sorted(each.metadata["source"] for each in found) == ["dict"] * 3 + ["for"]


def test_we_find_what_langchain_wrote(target, client, node):
    store = LangChainStore.construct_instance(
        embedding=LangChainEmbedder(),
        client_options={"url": node.url, "api_key": node.ready["keys"]["index"]},
        collection_name=target.collection,
    )
    rows = chunks("while")
    store.add_documents([Document(page_content=row["text"], metadata={"source": row["source"]}) for row in rows])
    wanted = rows[0]
    found = Searcher(target).search(embed([wanted["text"]])[0], k=1, fields=["page_content", "metadata"])
    [hit] = found.to_pylist()
    assert hit["page_content"] == wanted["text"]
    assert json.loads(hit["metadata"]) == {"source": "while"}
    nested = Searcher(target).search(
        embed([wanted["text"]])[0], filter={"must": [{"key": "metadata.source", "match": {"value": "none such"}}]}
    )
    assert nested.num_rows == 0


def test_we_write_beside_langchain_and_clean_up_only_ours(target, client, node):
    store = LangChainStore.construct_instance(
        embedding=LangChainEmbedder(),
        client_options={"url": node.url, "api_key": node.ready["keys"]["index"]},
        collection_name=target.collection,
    )
    store.add_documents([Document(page_content="Written by LangChain.", metadata={"source": "langchain"})])
    assert ensure_collection(target, vectors=DIMENSION) is False
    rows = chunks("for")
    writer = Writer(target, schema("langchain"), generation=GENERATION)
    writer.check(table(rows).schema)
    writer.write(table(rows))
    found = store.similarity_search("anything", k=10)
    assert sorted(each.metadata["source"] for each in found) == [*["for"] * 3, "langchain"]
    assert Writer(target, schema("langchain"), generation=GENERATION + 1).delete_older() == 3
    assert [each.page_content for each in store.similarity_search("anything", k=10)] == ["Written by LangChain."]


def test_langchain_searches_our_sparse_vectors_too(target, node, reader):
    options = {"url": node.url, "api_key": node.ready["keys"]["index"]}
    LangChainStore.construct_instance(
        embedding=LangChainEmbedder(),
        sparse_embedding=WordCounts(),
        retrieval_mode=RetrievalMode.HYBRID,
        client_options=options,
        collection_name=target.collection,
    )
    rows = chunks("for", "dict")
    words = [WordCounts().embed_query(row["text"]) for row in rows]
    sparse = pa.array(
        [{"indices": each.indices, "values": each.values} for each in words],
        pa.struct({"indices": pa.list_(pa.uint32()), "values": pa.list_(pa.float32())}),
    )
    with_words = schema("langchain", sparse={"langchain-sparse": "words_in"})
    Writer(target, with_words).write(table(rows).append_column("words_in", sparse))
    for mode in (RetrievalMode.SPARSE, RetrievalMode.HYBRID):
        store = langchain(reader, target, sparse_embedding=WordCounts(), retrieval_mode=mode)
        [found] = store.similarity_search(rows[4]["text"], k=1)
        assert found.page_content == rows[4]["text"], mode


def test_langchains_reader_owns_two_names(target):
    ensure_collection(target, vectors=DIMENSION)
    data = table(chunks("for")).rename_columns(["source", "ix", "count", "text", "_id", "seen", "vector"])
    with pytest.raises(BadInput, match="_id"):
        Writer(target, schema("langchain")).write(data)
    assert Writer(target, schema("langchain")).count() == 0


# ---- LlamaIndex -----------------------------------------------------------------------------


def llamaindex(client, target, **more):
    return LlamaIndexStore(collection_name=target.collection, client=client, **more)


def asked(text, k=1, **more):
    return VectorStoreQuery(query_embedding=embed([text])[0].tolist(), query_str=text, similarity_top_k=k, **more)


def where(key, value):
    return MetadataFilters(filters=[MetadataFilter(key=key, value=value)])


def test_llamaindex_finds_what_we_wrote(target, reader):
    rows = written(target, "llamaindex", "for", "dict")
    store = llamaindex(reader, target)
    for row, point in zip(rows, ids_of(rows), strict=True):
        found = store.query(asked(row["text"]))
        [node] = found.nodes
        assert isinstance(node, TextNode)
        assert (node.node_id, node.ref_doc_id, node.text) == (point, row["source"], row["text"])
        assert found.ids == [point]
        assert node.metadata == {"words": row["words"], "seen": None}


def test_llamaindexs_retriever_answers_from_our_collection(target, reader):
    rows = written(target, "llamaindex", "for", "dict")
    index = VectorStoreIndex.from_vector_store(llamaindex(reader, target), embed_model=LlamaIndexEmbedder())
    [found] = index.as_retriever(similarity_top_k=1).retrieve(rows[1]["text"])
    assert found.node.get_content() == rows[1]["text"]
    assert found.score > 0.99


def test_llamaindex_filters_and_gets_by_id(target, reader):
    rows = written(target, "llamaindex", "for", "dict")
    store, points = llamaindex(reader, target), ids_of(rows)
    found = store.query(asked("anything", k=10, filters=where("words", rows[3]["words"])))
    assert points[3] in found.ids
    assert {node.metadata["words"] for node in found.nodes} == {rows[3]["words"]}
    found = store.query(asked("anything", k=10, doc_ids=["dict"]))
    assert sorted(found.ids) == sorted(point for point, row in zip(points, rows) if row["source"] == "dict")
    [got] = store.get_nodes([points[2]])
    assert (got.node_id, got.text) == (points[2], rows[2]["text"])
    assert len(got.embedding) == DIMENSION


def test_llamaindex_deletes_a_document_that_we_wrote(target, client):
    rows = written(target, "llamaindex", "for", "dict")
    store, points = llamaindex(client, target), ids_of(rows)
    store.delete("for")
    assert [node.ref_doc_id for node in store.get_nodes(points)] == ["dict"] * 3
    store.delete_nodes([points[3]])
    assert Writer(target, schema("llamaindex")).count() == 2


def test_llamaindex_sees_no_more_of_a_document_that_shrank(target, reader):
    rows = written(target, "llamaindex", "for", "dict")
    assert shrink(target, "llamaindex", rows, "for").stale_deleted == 2
    found = llamaindex(reader, target).query(asked("for", k=10))
    assert sorted(node.ref_doc_id for node in found.nodes) == ["dict"] * 3 + ["for"]


def test_a_node_without_a_document_is_written_as_llamaindex_does(target, client):
    point = str(uuid.uuid4())
    text = 'Quotes " and \\ and “ends”\n\tand 漢字.'
    data = pa.table({"key": [point], "text": [text], "vector": pa.array(embed([text]).tolist())})
    ensure_collection(target, vectors=DIMENSION)
    Writer(target, PointSchema(id="key", text="text", layout="llamaindex")).write(data)
    store = llamaindex(client, target)
    [ours] = store.query(asked(text)).nodes
    assert (ours.node_id, ours.text, ours.ref_doc_id, ours.metadata) == (point, text, None, {})
    theirs = TextNode(text=text, id_=str(uuid.uuid4()), embedding=embed([text])[0].tolist())
    store.add([theirs])
    [mine], [other] = (client.retrieve(target.collection, [each]) for each in (point, theirs.node_id))
    assert set(mine.payload) == set(other.payload)
    assert {key: mine.payload[key] for key in ("doc_id", "ref_doc_id", "document_id", "_node_type")} == {
        key: other.payload[key] for key in ("doc_id", "ref_doc_id", "document_id", "_node_type")
    }


def llamaindex_nodes(*names):
    for row in chunks(*names):
        node = TextNode(text=row["text"], metadata={"words": row["words"]}, embedding=embed([row["text"]])[0].tolist())
        node.relationships[NodeRelationship.SOURCE] = RelatedNodeInfo(node_id=row["source"])
        yield node


def test_we_find_what_llamaindex_wrote(target, client):
    nodes = list(llamaindex_nodes("while"))
    llamaindex(client, target).add(nodes)
    found = Searcher(target).search(
        embed([nodes[1].text])[0], k=1, fields=["_node_content", "doc_id", "words"], filter=of_document("while")
    )
    [hit] = found.to_pylist()
    assert json.loads(hit["_node_content"])["text"] == nodes[1].text
    assert (hit["id"], hit["doc_id"], hit["words"]) == (nodes[1].node_id, "while", nodes[1].metadata["words"])


def of_document(name):
    return {"must": [{"key": "doc_id", "match": {"value": name}}]}


def test_we_write_beside_llamaindex_and_clean_up_only_ours(target, client):
    store = llamaindex(client, target)
    store.add(list(llamaindex_nodes("while")))
    assert ensure_collection(target, vectors=DIMENSION) is False
    rows = chunks("for")
    Writer(target, schema("llamaindex"), generation=GENERATION).write(table(rows))
    found = store.query(asked(rows[0]["text"], k=10))
    assert sorted(node.ref_doc_id for node in found.nodes) == ["for"] * 3 + ["while"] * 3
    assert Writer(target, schema("llamaindex"), generation=GENERATION + 1).delete_older() == 3
    assert {node.ref_doc_id for node in store.query(asked("anything", k=10)).nodes} == {"while"}


def test_llamaindex_searches_our_sparse_vectors_too(target, reader):
    def encode(texts):
        vectors = WordCounts().embed_documents(texts)
        return [each.indices for each in vectors], [each.values for each in vectors]

    ensure_collection(target, vectors={"text-dense": VectorSpec(DIMENSION)}, sparse=["text-sparse-new"])
    rows = chunks("for", "dict")
    indices, values = encode([row["text"] for row in rows])
    sparse = pa.array(
        [{"indices": i, "values": v} for i, v in zip(indices, values)],
        pa.struct({"indices": pa.list_(pa.uint32()), "values": pa.list_(pa.float32())}),
    )
    named = schema("llamaindex", vectors={"text-dense": "vector"}, sparse={"text-sparse-new": "words_in"})
    Writer(target, named).write(table(rows).append_column("words_in", sparse))
    store = llamaindex(reader, target, enable_hybrid=True, sparse_doc_fn=encode, sparse_query_fn=encode)
    for mode in (VectorStoreQueryMode.SPARSE, VectorStoreQueryMode.HYBRID):
        found = store.query(asked(rows[4]["text"], k=2, mode=mode, sparse_top_k=2))
        assert found.nodes[0].text == rows[4]["text"], mode


@pytest.mark.parametrize("name", ["doc_id", "ref_doc_id", "document_id", "_node_content", "_node_type", "_doc"])
def test_a_column_named_as_what_llamaindex_sets_is_refused(target, name):
    ensure_collection(target, vectors=DIMENSION)
    data = table(chunks("for")).rename_columns(["source", "ix", "count", "text", name, "seen", "vector"])
    with pytest.raises(BadInput, match=name):
        Writer(target, schema("llamaindex")).write(data)
    assert Writer(target, schema("llamaindex")).count() == 0


def test_a_number_is_no_id_of_a_llamaindex_node(target):
    ensure_collection(target, vectors=DIMENSION)
    data = pa.table({"key": [7], "text": ["seven"], "vector": pa.array(embed(["seven"]).tolist())})
    with pytest.raises(BadInput, match="key"):
        Writer(target, PointSchema(id="key", text="text", layout="llamaindex")).write(data)


@pytest.mark.parametrize("layout", ["langchain", "llamaindex"])
def test_a_row_without_text_is_refused(target, layout):
    ensure_collection(target, vectors=DIMENSION)
    vectors = pa.array(embed(["one", "two"]).tolist())
    data = pa.table({"doc": ["a", "b"], "ix": [0, 0], "text": ["one", None], "vector": vectors})
    with pytest.raises(BadRow) as caught:
        Writer(target, PointSchema(doc="doc", chunk="ix", text="text", layout=layout)).write(data)
    assert (caught.value.row, caught.value.column) == (1, "text")


# ---- ids ------------------------------------------------------------------------------------


def points_in(client, collection):
    return {point.id for point in client.scroll(collection, limit=100)[0]}


@pytest.mark.filterwarnings("ignore:Using SHA-1")
def test_langchains_index_makes_the_ids_that_we_make(target, client):
    ensure_collection(target, vectors=DIMENSION)
    metadata = [{"source": "for", "n": 1}, {"größe": "ü", "nested": {"b": [1.5, None], "a": True}}, {}]
    texts = [row["text"] for row in chunks("for")]
    documents = [Document(page_content=text, metadata=each) for text, each in zip(texts, metadata)]
    manager = InMemoryRecordManager("layouts")
    manager.create_schema()
    index(documents, manager, langchain(client, target), cleanup=None)
    ours = point_ids(texts, [json.dumps(each, sort_keys=True) for each in metadata], scheme="langchain")
    assert points_in(client, target.collection) == {str(uuid.UUID(bytes=each.as_py())) for each in ours}


def test_haystacks_store_makes_the_ids_that_we_make(target, node, client):
    store = QdrantDocumentStore(
        url=node.url,
        index=target.collection,
        embedding_dim=DIMENSION,
        api_key=Secret.from_env_var("QMOOR_TEST_INDEX"),
        progress_bar=False,
    )
    texts = [row["text"] for row in chunks("for")]
    documents = [HaystackDocument(content=text, embedding=vector) for text, vector in zip(texts, embed(texts).tolist())]
    documents.append(HaystackDocument(id="a name", content="named", embedding=embed(["named"])[0].tolist()))
    store.write_documents(documents)
    ours = point_ids([document.id for document in documents], scheme="haystack")
    assert points_in(client, target.collection) == {str(uuid.UUID(bytes=each.as_py())) for each in ours}
