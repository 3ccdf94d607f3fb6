//! Those who write while the engine is killed: each has its own ids, and keeps a ledger.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::vector_output::Vector as Output;
use qdrant_client::qdrant::vectors_output::VectorsOptions;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
    DeletePointsBuilder, Distance, FieldType, Filter, OptimizersConfigDiffBuilder, PointId,
    PointStruct, PointsIdsList, RetrievedPoint, ScrollPointsBuilder, SetPayloadPointsBuilder,
    UpdateStatus, UpsertPointsBuilder, Value, VectorParamsBuilder, point_id::PointIdOptions,
};
use rand::RngExt;
use rand::rngs::StdRng;
use serde_json::{Value as Json, json};

use crate::Round;
use crate::ledger::{Ledger, Point};

/// The collection that is written to.
pub(crate) const COLLECTION: &str = "points";

/// Ids of one writer.
const IDS: u64 = 400;

/// Dimensions: enough that a few hundred points are worth an index.
const DIM: u64 = 32;

/// Makes the collection. Its thresholds are so low that the optimizer works during the test.
pub(crate) async fn create_collection(client: &Qdrant) {
    let create = CreateCollectionBuilder::new(COLLECTION)
        .vectors_config(VectorParamsBuilder::new(DIM, Distance::Euclid))
        .optimizers_config(
            OptimizersConfigDiffBuilder::default().indexing_threshold(20).flush_interval_sec(1),
        );
    client.create_collection(create).await.unwrap();
    let index =
        CreateFieldIndexCollectionBuilder::new(COLLECTION, "kind", FieldType::Keyword).wait(true);
    client.create_field_index(index).await.unwrap();
}

/// How many vectors the optimizer has put into an index.
pub(crate) async fn indexed(client: &Qdrant) -> u64 {
    let info = client.collection_info(COLLECTION).await.unwrap().result.unwrap();
    info.indexed_vectors_count.unwrap_or_default()
}

/// Waits until the optimizer has put something into an index.
pub(crate) async fn until_indexed(client: &Qdrant) -> u64 {
    let looking = async {
        loop {
            let count = indexed(client).await;
            if count > 0 {
                return count;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let deadline = std::time::Duration::from_secs(60);
    tokio::time::timeout(deadline, looking).await.expect("the optimizer gets to work")
}

/// Writes points, and waits for the disk or only for the log.
pub(crate) async fn upsert(client: &Qdrant, ids: Range<u64>, wait: bool) {
    let points: Vec<_> =
        ids.map(|id| PointStruct::new(id, vector(id), payload(&json!({"id": id})))).collect();
    let upsert = UpsertPointsBuilder::new(COLLECTION, points).wait(wait);
    client.upsert_points(upsert).await.unwrap();
}

/// A vector that tells the version it was made from.
#[expect(clippy::cast_precision_loss, reason = "versions stay far below 2^24")]
fn vector(version: u64) -> Vec<f32> {
    (0..DIM)
        .map(|i| if i == 0 { version as f32 } else { ((version * 31 + i) % 97) as f32 })
        .collect()
}

/// One writer.
pub(crate) struct Writer {
    first: u64,
    pub(crate) ledger: Ledger,
}

impl Writer {
    /// The writer with this number.
    pub(crate) fn new(number: u64) -> Self {
        Self { first: number * IDS, ledger: Ledger::default() }
    }

    /// Writes until the engine is killed, or the round is over.
    pub(crate) async fn write(&mut self, client: &Qdrant, round: &Round, mut random: StdRng) {
        while !round.is_over() {
            let version = round.next_version();
            let ids = self.some_ids(&mut random);
            let there: Vec<u64> =
                ids.iter().copied().filter(|&id| self.ledger.get(id).is_some()).collect();
            let done = match random.random_range(0..10) {
                0..=4 => self.upsert(client, &ids, version).await,
                5..=6 if !there.is_empty() => self.set(client, &there, version).await,
                7 if !there.is_empty() => self.overwrite(client, &there, version).await,
                8 if !there.is_empty() => self.delete(client, &there).await,
                _ => self.upsert(client, &ids, version).await,
            };
            match done {
                Ok(status) => {
                    assert_eq!(status, UpdateStatus::Completed);
                    self.ledger.acknowledged();
                    round.acknowledge();
                }
                Err(error) => return round.may_fail(&error),
            }
        }
    }

    fn some_ids(&self, random: &mut StdRng) -> Vec<u64> {
        let count = random.random_range(1..=8);
        let mut ids: Vec<u64> =
            (0..count).map(|_| self.first + random.random_range(0..IDS)).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    async fn upsert(&mut self, client: &Qdrant, ids: &[u64], version: u64) -> Outcome {
        let body = json!({"version": version, "kind": "upsert", "nested": {"of": [version, "x"]}});
        let point = || Point { version, payload: body.clone() };
        self.ledger.begin(ids.iter().map(|&id| (id, Some(point()))).collect());
        let points: Vec<_> =
            ids.iter().map(|&id| PointStruct::new(id, vector(version), payload(&body))).collect();
        let upsert = UpsertPointsBuilder::new(COLLECTION, points).wait(true);
        outcome(client.upsert_points(upsert).await)
    }

    async fn set(&mut self, client: &Qdrant, ids: &[u64], version: u64) -> Outcome {
        let body = json!({"set": version, "kind": "set"});
        self.change(ids, |point| {
            let fields = point.payload.as_object_mut().expect("an object");
            fields.insert("set".into(), json!(version));
            fields.insert("kind".into(), json!("set"));
        });
        let set = SetPayloadPointsBuilder::new(COLLECTION, payload(&body))
            .points_selector(list(ids))
            .wait(true);
        outcome(client.set_payload(set).await)
    }

    async fn overwrite(&mut self, client: &Qdrant, ids: &[u64], version: u64) -> Outcome {
        let body = json!({"over": version, "kind": "overwrite"});
        self.change(ids, |point| point.payload = body.clone());
        let overwrite = SetPayloadPointsBuilder::new(COLLECTION, payload(&body))
            .points_selector(list(ids))
            .wait(true);
        outcome(client.overwrite_payload(overwrite).await)
    }

    async fn delete(&mut self, client: &Qdrant, ids: &[u64]) -> Outcome {
        self.ledger.begin(ids.iter().map(|&id| (id, None)).collect());
        let delete = DeletePointsBuilder::new(COLLECTION).points(list(ids)).wait(true);
        outcome(client.delete_points(delete).await)
    }

    fn change(&mut self, ids: &[u64], how: impl Fn(&mut Point)) {
        let changed = ids.iter().map(|&id| {
            let mut point = self.ledger.get(id).expect("it is there").clone();
            how(&mut point);
            (id, Some(point))
        });
        let changed = changed.collect();
        self.ledger.begin(changed);
    }
}

type Outcome = Result<UpdateStatus, qdrant_client::QdrantError>;

fn outcome(
    answer: Result<qdrant_client::qdrant::PointsOperationResponse, qdrant_client::QdrantError>,
) -> Outcome {
    answer.map(|answer| answer.result.expect("a result").status())
}

fn list(ids: &[u64]) -> PointsIdsList {
    PointsIdsList { ids: ids.iter().map(|&id| PointId::from(id)).collect() }
}

fn payload(object: &Json) -> HashMap<String, Value> {
    let fields = object.as_object().expect("an object");
    fields.iter().map(|(key, field)| (key.clone(), value(field))).collect()
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Number(number) => Kind::IntegerValue(number.as_i64().expect("an integer")),
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(list) => Kind::ListValue(qdrant_client::qdrant::ListValue {
            values: list.iter().map(value).collect(),
        }),
        Json::Object(_) => {
            Kind::StructValue(qdrant_client::qdrant::Struct { fields: payload(json) })
        }
        Json::Null | Json::Bool(_) => panic!("not written by this test: {json}"),
    };
    Value { kind: Some(kind) }
}

fn json(value: &Value) -> Json {
    match value.kind.as_ref().expect("a kind") {
        Kind::IntegerValue(number) => json!(number),
        Kind::StringValue(text) => json!(text),
        Kind::ListValue(list) => list.values.iter().map(json).collect(),
        Kind::StructValue(inner) => object(&inner.fields),
        other => panic!("not written by this test: {other:?}"),
    }
}

fn object(fields: &HashMap<String, Value>) -> Json {
    Json::Object(fields.iter().map(|(key, field)| (key.clone(), json(field))).collect())
}

/// Every point that is there, with its vector checked against the version it tells.
pub(crate) async fn read_all(client: &Qdrant) -> BTreeMap<u64, Point> {
    let scroll =
        ScrollPointsBuilder::new(COLLECTION).limit(100_000).with_payload(true).with_vectors(true);
    let points = client.scroll(scroll).await.unwrap().result;
    let all: BTreeMap<_, _> = points.iter().map(point).collect();
    let count = CountPointsBuilder::new(COLLECTION).exact(true);
    let count = client.count(count).await.unwrap().result.unwrap().count;
    assert_eq!(count, all.len() as u64, "the count and the scroll differ");
    all
}

fn point(found: &RetrievedPoint) -> (u64, Point) {
    let Some(PointIdOptions::Num(id)) =
        found.id.as_ref().and_then(|id| id.point_id_options.clone())
    else {
        panic!("not an id of this test: {found:?}")
    };
    let Some(VectorsOptions::Vector(inner)) =
        found.vectors.as_ref().and_then(|vectors| vectors.vectors_options.clone())
    else {
        panic!("point {id} has no vector")
    };
    let Some(Output::Dense(dense)) = inner.vector else { panic!("point {id}: {inner:?}") };
    let first = dense.data.first().copied().expect("dimensions");
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a version")]
    let version = first as u64;
    assert_eq!(dense.data, vector(version), "point {id} has a torn vector");
    (id, Point { version, payload: object(&found.payload) })
}

/// The payload index finds exactly the points that the payloads say.
pub(crate) async fn check_index(client: &Qdrant, found: &BTreeMap<u64, Point>) {
    for kind in ["upsert", "set", "overwrite"] {
        let filter = Filter::must([Condition::matches("kind", kind.to_owned())]);
        let count = CountPointsBuilder::new(COLLECTION).filter(filter).exact(true);
        let count = client.count(count).await.unwrap().result.unwrap().count;
        let expected =
            found.values().filter(|point| point.payload.get("kind") == Some(&json!(kind))).count();
        assert_eq!(count, expected as u64, "the index of `kind` lost track of `{kind}`");
    }
}
