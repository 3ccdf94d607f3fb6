"""Collections: make, look at, change, drop; aliases; payload indexes."""

import pytest
from qdrant_client import models

from conftest import fresh_name


def plain(size=4, distance=models.Distance.DOT, **settings):
    return models.VectorParams(size=size, distance=distance, **settings)


def test_a_new_collection_is_listed_and_exists(client, name):
    assert not client.collection_exists(name)
    assert client.create_collection(name, vectors_config=plain())
    assert client.collection_exists(name)
    assert name in [collection.name for collection in client.get_collections().collections]


def test_a_dropped_collection_is_gone(client, name):
    client.create_collection(name, vectors_config=plain())
    assert client.delete_collection(name)
    assert not client.collection_exists(name)
    assert name not in [collection.name for collection in client.get_collections().collections]


def test_a_dropped_collection_can_be_made_again_and_is_empty(client, name):
    client.create_collection(name, vectors_config=plain())
    client.upsert(name, [models.PointStruct(id=1, vector=[1, 2, 3, 4])])
    client.delete_collection(name)
    client.create_collection(name, vectors_config=plain(size=2))
    assert client.count(name).count == 0
    client.upsert(name, [models.PointStruct(id=1, vector=[1, 2])])
    assert client.count(name).count == 1


@pytest.mark.parametrize("distance", list(models.Distance))
def test_the_single_vector_settings_are_kept(client, name, distance):
    client.create_collection(name, vectors_config=plain(size=3, distance=distance))
    vectors = client.get_collection(name).config.params.vectors
    assert (vectors.size, vectors.distance) == (3, distance)


def test_named_sparse_and_multi_vector_settings_are_kept(client, name):
    client.create_collection(
        name,
        vectors_config={
            "text": plain(8, models.Distance.COSINE),
            "many": plain(
                2, multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
            ),
        },
        sparse_vectors_config={
            "words": models.SparseVectorParams(modifier=models.Modifier.IDF),
            "raw": models.SparseVectorParams(),
        },
    )
    params = client.get_collection(name).config.params
    assert set(params.vectors) == {"text", "many"}
    assert params.vectors["text"].size == 8
    assert params.vectors["text"].distance == models.Distance.COSINE
    assert params.vectors["many"].multivector_config.comparator == models.MultiVectorComparator.MAX_SIM
    assert set(params.sparse_vectors) == {"words", "raw"}
    assert params.sparse_vectors["words"].modifier == models.Modifier.IDF


def test_a_collection_may_have_only_sparse_vectors(client, name):
    client.create_collection(name, sparse_vectors_config={"words": models.SparseVectorParams()})
    client.upsert(
        name,
        [models.PointStruct(id=1, vector={"words": models.SparseVector(indices=[3], values=[1.0])})],
    )
    assert client.count(name).count == 1


@pytest.mark.remote
def test_index_optimizer_and_quantization_settings_are_kept(client, name):
    client.create_collection(
        name,
        vectors_config=plain(16, models.Distance.COSINE),
        hnsw_config=models.HnswConfigDiff(m=24, ef_construct=64),
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=5000, default_segment_number=2),
        quantization_config=models.ScalarQuantization(
            scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
        ),
        on_disk_payload=True,
    )
    config = client.get_collection(name).config
    assert (config.hnsw_config.m, config.hnsw_config.ef_construct) == (24, 64)
    assert config.optimizer_config.indexing_threshold == 5000
    assert config.optimizer_config.default_segment_number == 2
    assert config.quantization_config.scalar.type == models.ScalarType.INT8
    assert config.quantization_config.scalar.quantile == pytest.approx(0.99)
    assert config.params.on_disk_payload is True


@pytest.mark.parametrize(
    "quantization",
    [
        models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8)),
        models.BinaryQuantization(binary=models.BinaryQuantizationConfig(always_ram=True)),
        models.ProductQuantization(product=models.ProductQuantizationConfig(compression=models.CompressionRatio.X4)),
    ],
    ids=["scalar", "binary", "product"],
)
def test_a_quantized_collection_takes_points_and_answers(client, name, quantization):
    client.create_collection(name, vectors_config=plain(), quantization_config=quantization)
    client.upsert(name, [models.PointStruct(id=i, vector=[i, 1, 0, -i]) for i in range(1, 9)])
    found = client.query_points(
        name,
        [1, 0, 0, 0],
        limit=8,
        search_params=models.SearchParams(quantization=models.QuantizationSearchParams(rescore=True)),
    ).points
    assert [hit.id for hit in found] == [8, 7, 6, 5, 4, 3, 2, 1]


@pytest.mark.remote
def test_settings_can_be_changed(client, name):
    client.create_collection(name, vectors_config=plain())
    assert client.update_collection(
        name,
        optimizers_config=models.OptimizersConfigDiff(indexing_threshold=123),
        hnsw_config=models.HnswConfigDiff(ef_construct=77),
    )
    config = client.get_collection(name).config
    assert config.optimizer_config.indexing_threshold == 123
    assert config.hnsw_config.ef_construct == 77
    assert config.hnsw_config.m == 16, "what was not named stays"


@pytest.mark.remote
def test_quantization_can_be_added_and_taken_away(client, name):
    client.create_collection(name, vectors_config=plain())
    scalar = models.ScalarQuantization(scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8))
    client.update_collection(name, quantization_config=scalar)
    assert client.get_collection(name).config.quantization_config.scalar is not None
    client.update_collection(name, quantization_config=models.Disabled.DISABLED)
    assert client.get_collection(name).config.quantization_config is None


@pytest.mark.remote
def test_the_info_counts_points_and_says_green(client, name):
    client.create_collection(name, vectors_config=plain())
    client.upsert(name, [models.PointStruct(id=i, vector=[1, 2, 3, i]) for i in range(10)])
    info = client.get_collection(name)
    assert info.points_count == 10
    assert info.segments_count >= 1
    assert info.status in (models.CollectionStatus.GREEN, models.CollectionStatus.YELLOW)
    assert info.optimizer_status == models.OptimizersStatusOneOf.OK


def test_many_collections_live_side_by_side(client):
    names = [fresh_name() for _ in range(20)]
    for number, each in enumerate(names):
        client.create_collection(each, vectors_config=plain(size=number + 1))
        client.upsert(each, [models.PointStruct(id=number, vector=[1.0] * (number + 1))])
    for number, each in enumerate(names):
        assert [record.id for record in client.scroll(each)[0]] == [number]
    for each in names:
        client.delete_collection(each)


# ---- aliases --------------------------------------------------------------------------------


def alias(collection, as_name):
    return models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name=collection, alias_name=as_name))


def unalias(as_name):
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=as_name))


def test_an_alias_reads_and_writes_its_collection(client, name):
    other = fresh_name()
    client.create_collection(name, vectors_config=plain())
    assert client.update_collection_aliases([alias(name, other)])
    client.upsert(other, [models.PointStruct(id=5, vector=[1, 2, 3, 4])])
    assert client.count(name).count == 1
    assert client.query_points(other, [1, 2, 3, 4]).points[0].id == 5
    assert [a.alias_name for a in client.get_collection_aliases(name).aliases] == [other]
    assert (other, name) in [(a.alias_name, a.collection_name) for a in client.get_aliases().aliases]
    client.update_collection_aliases([unalias(other)])
    assert client.get_collection_aliases(name).aliases == []


def test_one_call_moves_an_alias(client, name):
    other, moved = fresh_name(), fresh_name()
    client.create_collection(name, vectors_config=plain())
    client.create_collection(other, vectors_config=plain())
    client.upsert(other, [models.PointStruct(id=9, vector=[1, 2, 3, 4])])
    client.update_collection_aliases([alias(name, moved)])
    assert client.count(moved).count == 0
    client.update_collection_aliases([unalias(moved), alias(other, moved)])
    assert client.count(moved).count == 1
    client.delete_collection(other)
    assert moved not in [a.alias_name for a in client.get_aliases().aliases]


def test_an_alias_can_be_renamed(client, name):
    before, after = fresh_name(), fresh_name()
    client.create_collection(name, vectors_config=plain())
    client.update_collection_aliases([alias(name, before)])
    rename = models.RenameAlias(old_alias_name=before, new_alias_name=after)
    client.update_collection_aliases([models.RenameAliasOperation(rename_alias=rename)])
    assert [a.alias_name for a in client.get_collection_aliases(name).aliases] == [after]


# ---- payload indexes ------------------------------------------------------------------------


@pytest.mark.parametrize("schema", [s for s in models.PayloadSchemaType], ids=str)
@pytest.mark.remote
def test_each_kind_of_payload_index_is_made_shown_and_dropped(client, name, schema):
    client.create_collection(name, vectors_config=plain())
    made = client.create_payload_index(name, "field", schema, wait=True)
    assert made.status == models.UpdateStatus.COMPLETED
    assert client.get_collection(name).payload_schema["field"].data_type == schema
    client.delete_payload_index(name, "field", wait=True)
    assert client.get_collection(name).payload_schema == {}


@pytest.mark.parametrize(
    "params",
    [
        models.KeywordIndexParams(type="keyword", is_tenant=True),
        models.IntegerIndexParams(type="integer", lookup=True, range=False),
        models.TextIndexParams(
            type="text", tokenizer=models.TokenizerType.WORD, min_token_len=2, max_token_len=10, lowercase=True
        ),
    ],
    ids=lambda params: str(params.type),
)
@pytest.mark.remote
def test_payload_index_parameters_are_kept(client, name, params):
    client.create_collection(name, vectors_config=plain())
    client.create_payload_index(name, "field", params, wait=True)
    shown = client.get_collection(name).payload_schema["field"].params
    wanted = params.model_dump(exclude_none=True)
    assert {key: getattr(shown, key) for key in wanted} == wanted


@pytest.mark.remote
def test_an_index_made_after_the_points_counts_them(client, name):
    client.create_collection(name, vectors_config=plain())
    client.upsert(
        name,
        [models.PointStruct(id=i, vector=[1, 2, 3, 4], payload={"city": "Oslo"} if i % 2 else {}) for i in range(10)],
    )
    client.create_payload_index(name, "city", models.PayloadSchemaType.KEYWORD, wait=True)
    assert client.get_collection(name).payload_schema["city"].points == 5
