//! Making the collection a source needs, or checking that the one there fits.

use std::collections::BTreeMap;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance as WireDistance,
    FieldType, GetCollectionInfoRequest, Modifier, MultiVectorComparator, MultiVectorConfig,
    PayloadSchemaType, SparseVectorConfig, SparseVectorParams, VectorParams, VectorParamsMap,
    VectorsConfig,
};
use serde::{Deserialize, Serialize};
use tonic::Code;

use crate::error::Error;
use crate::retry::Patience;
use crate::target::{Connection, Target, request};

/// The payload key that names a chunk's document.
pub const DOC_KEY: &str = "_doc";
/// The payload key that holds a chunk's place in its document.
pub const CHUNK_KEY: &str = "_ix";
/// The payload key that holds the hash of all that was written.
pub const HASH_KEY: &str = "_hash";
/// The payload key that holds the generation: the number of the run that wrote it last.
pub const GENERATION_KEY: &str = "_gen";
/// The payload key that holds a chunk's text.
pub const TEXT_KEY: &str = "text";
/// The sparse vector the node computes from the text.
pub const TEXT_VECTOR: &str = "text";
/// The model by which it does.
pub const TEXT_MODEL: &str = "qdrant/bm25";

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Distance {
    /// By angle.
    Cosine,
    /// By dot product.
    Dot,
    /// By straight-line distance.
    Euclid,
    /// By the sum of differences.
    Manhattan,
}

/// How vectors are compared in a collection that is made when nobody said how.
const DEFAULT_DISTANCE: Distance = Distance::Cosine;

impl From<Distance> for WireDistance {
    fn from(distance: Distance) -> Self {
        match distance {
            Distance::Cosine => Self::Cosine,
            Distance::Dot => Self::Dot,
            Distance::Euclid => Self::Euclid,
            Distance::Manhattan => Self::Manhattan,
        }
    }
}

/// What a collection must be able to hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CollectionSpec {
    /// Dense vectors by name; the unnamed one is `""`.
    pub vectors: BTreeMap<String, VectorSpec>,
    /// Sparse vectors by name.
    pub sparse: BTreeMap<String, SparseSpec>,
    /// Payload keys that are looked up, and what they hold.
    pub payload_indexes: BTreeMap<String, IndexKind>,
}

/// A dense vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorSpec {
    /// How many numbers it has.
    pub size: u64,
    /// How two are compared. Without it a collection that is there is taken as it is, and one that
    /// is made compares by cosine.
    #[serde(default)]
    pub distance: Option<Distance>,
    /// Whether a point has several, compared by the best match of each.
    #[serde(default)]
    pub multivector: bool,
}

/// A sparse vector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseSpec {
    /// Whether rare terms count for more, as BM25 needs.
    pub idf: bool,
}

/// What a payload index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IndexKind {
    /// Words as they are.
    Keyword,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Yes and no.
    Bool,
    /// Points in time.
    Datetime,
    /// Text, by its words.
    Text,
    /// UUIDs.
    Uuid,
    /// Places on the globe.
    Geo,
}

impl IndexKind {
    fn field(self) -> FieldType {
        match self {
            Self::Keyword => FieldType::Keyword,
            Self::Integer => FieldType::Integer,
            Self::Float => FieldType::Float,
            Self::Bool => FieldType::Bool,
            Self::Datetime => FieldType::Datetime,
            Self::Text => FieldType::Text,
            Self::Uuid => FieldType::Uuid,
            Self::Geo => FieldType::Geo,
        }
    }

    fn schema(self) -> PayloadSchemaType {
        match self {
            Self::Keyword => PayloadSchemaType::Keyword,
            Self::Integer => PayloadSchemaType::Integer,
            Self::Float => PayloadSchemaType::Float,
            Self::Bool => PayloadSchemaType::Bool,
            Self::Datetime => PayloadSchemaType::Datetime,
            Self::Text => PayloadSchemaType::Text,
            Self::Uuid => PayloadSchemaType::Uuid,
            Self::Geo => PayloadSchemaType::Geo,
        }
    }
}

/// The keys by which points of documents are looked up.
pub(crate) const KEYS: [(&str, IndexKind); 3] = [
    (DOC_KEY, IndexKind::Keyword),
    (CHUNK_KEY, IndexKind::Integer),
    (GENERATION_KEY, IndexKind::Integer),
];

/// What was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ensured {
    /// Whether the collection was made just now, so that nothing is in it.
    pub created: bool,
}

/// Makes the target's collection if it is missing; checks that it fits if not. Besides what is asked
/// for, the keys `_doc`, `_ix` and `_gen` are indexed, by which stale points are found.
///
/// # Errors
/// The node cannot be reached, the key may not make a collection or an index, or the collection
/// that exists cannot hold what `spec` asks for.
pub async fn ensure_collection(target: &Target, spec: &CollectionSpec) -> Result<Ensured, Error> {
    let connection = Connection::open(target).await?;
    let patience = Patience::short();
    let mut spec = spec.clone();
    for (key, kind) in KEYS {
        spec.payload_indexes.entry(key.to_owned()).or_insert(kind);
    }
    let ensured = ensure(&connection, &spec, &patience).await?;
    index_payload(&connection, &spec, &patience).await?;
    Ok(ensured)
}

/// Makes or checks the collection, its payload indexes aside.
pub(crate) async fn ensure(
    connection: &Connection,
    spec: &CollectionSpec,
    patience: &Patience,
) -> Result<Ensured, Error> {
    if let Some(info) = info(connection, patience).await? {
        check(&connection.collection, &info, spec)?;
        return Ok(Ensured { created: false });
    }
    let created = create(connection, spec, patience).await?;
    // Somebody may have made it in between, otherwise than we would have.
    let info = existing(connection, patience).await?;
    check(&connection.collection, &info, spec)?;
    Ok(Ensured { created })
}

/// As [`info`], where there must be one.
pub(crate) async fn existing(
    connection: &Connection,
    patience: &Patience,
) -> Result<CollectionInfo, Error> {
    let collection = &connection.collection;
    let info = info(connection, patience).await?;
    info.ok_or_else(|| Error::NotFound { collection: collection.clone() })
}

/// What the node knows of the collection; `None` if there is none.
pub(crate) async fn info(
    connection: &Connection,
    patience: &Patience,
) -> Result<Option<CollectionInfo>, Error> {
    let action = "read the collection's settings";
    let answer = patience
        .call(action, || {
            let mut client = connection.collections();
            let message =
                GetCollectionInfoRequest { collection_name: connection.collection.clone() };
            async move { client.get(request(message)).await }
        })
        .await;
    match answer {
        Ok(answer) => Ok(answer.into_inner().result),
        Err(failure) if failure.code() == Some(Code::NotFound) => Ok(None),
        Err(failure) => Err(failure.name(connection, action)),
    }
}

async fn create(
    connection: &Connection,
    spec: &CollectionSpec,
    patience: &Patience,
) -> Result<bool, Error> {
    let action = "create the collection";
    let answer = patience
        .call(action, || {
            let mut client = connection.collections();
            let message = creation(&connection.collection, spec);
            async move { client.create(request(message)).await }
        })
        .await;
    match answer {
        Ok(_) => Ok(true),
        // By somebody else, or by our own call whose answer was lost.
        Err(failure)
            if failure.code() == Some(Code::AlreadyExists)
                || failure.message().contains("already exists") =>
        {
            Ok(false)
        }
        Err(failure) => Err(failure.name(connection, action)),
    }
}

fn creation(collection: &str, spec: &CollectionSpec) -> CreateCollection {
    let dense = |spec: &VectorSpec| VectorParams {
        size: spec.size,
        distance: WireDistance::from(spec.distance.unwrap_or(DEFAULT_DISTANCE)).into(),
        multivector_config: spec
            .multivector
            .then(|| MultiVectorConfig { comparator: MultiVectorComparator::MaxSim.into() }),
        ..VectorParams::default()
    };
    let sparse = |spec: &SparseSpec| SparseVectorParams {
        index: None,
        modifier: spec.idf.then(|| Modifier::Idf.into()),
    };
    let config = match spec.vectors.get("") {
        Some(unnamed) if spec.vectors.len() == 1 => Some(Config::Params(dense(unnamed))),
        _ if spec.vectors.is_empty() => None,
        _ => Some(Config::ParamsMap(VectorParamsMap {
            map: spec.vectors.iter().map(|(name, spec)| (name.clone(), dense(spec))).collect(),
        })),
    };
    CreateCollection {
        collection_name: collection.to_owned(),
        vectors_config: config.map(|config| VectorsConfig { config: Some(config) }),
        sparse_vectors_config: (!spec.sparse.is_empty()).then(|| SparseVectorConfig {
            map: spec.sparse.iter().map(|(name, spec)| (name.clone(), sparse(spec))).collect(),
        }),
        ..CreateCollection::default()
    }
}

/// The dense vectors of a collection by name.
pub(crate) fn dense(info: &CollectionInfo) -> BTreeMap<&str, &VectorParams> {
    let params = info.config.as_ref().and_then(|config| config.params.as_ref());
    match params.and_then(|p| p.vectors_config.as_ref()).and_then(|c| c.config.as_ref()) {
        Some(Config::Params(params)) => BTreeMap::from([("", params)]),
        Some(Config::ParamsMap(map)) => {
            map.map.iter().map(|(name, params)| (name.as_str(), params)).collect()
        }
        None => BTreeMap::new(),
    }
}

/// A sparse vector of a collection.
pub(crate) fn sparse<'a>(info: &'a CollectionInfo, name: &str) -> Option<&'a SparseVectorParams> {
    let params = info.config.as_ref()?.params.as_ref()?;
    params.sparse_vectors_config.as_ref()?.map.get(name)
}

/// Compares what is there with what is needed.
pub(crate) fn check(
    collection: &str,
    info: &CollectionInfo,
    spec: &CollectionSpec,
) -> Result<(), Error> {
    let mismatch =
        |difference: String| Err(Error::Mismatch { collection: collection.to_owned(), difference });
    if info.config.as_ref().is_none_or(|config| config.params.is_none()) {
        return mismatch("the node tells nothing of its settings".to_owned());
    }
    for (name, wanted) in &spec.sparse {
        match sparse(info, name) {
            None => return mismatch(format!("it has no sparse vector `{name}`")),
            Some(params) if wanted.idf && params.modifier() != Modifier::Idf => {
                return mismatch(format!("its sparse vector `{name}` lacks `idf`"));
            }
            Some(_) => {}
        }
    }
    let dense = dense(info);
    for (name, wanted) in &spec.vectors {
        let Some(params) = dense.get(name.as_str()) else {
            return mismatch(format!("it has no {}", called(name)));
        };
        let called = called(name);
        match (params.multivector_config.is_some(), wanted.multivector) {
            (true, false) => return mismatch(format!("its {called} is a multivector")),
            (false, true) => return mismatch(format!("its {called} is no multivector")),
            _ => {}
        }
        if params.size != wanted.size {
            return mismatch(format!(
                "its {called} has {} numbers, asked for are {}",
                params.size, wanted.size
            ));
        }
        if let Some(distance) = wanted.distance
            && params.distance() != WireDistance::from(distance)
        {
            return mismatch(format!(
                "its {called} is compared by {}, asked for is {}",
                params.distance().as_str_name(),
                WireDistance::from(distance).as_str_name()
            ));
        }
    }
    for (key, kind) in &spec.payload_indexes {
        if let Some(there) = info.payload_schema.get(key)
            && there.data_type() != kind.schema()
        {
            return mismatch(format!(
                "its payload key `{key}` is indexed as {}, asked for is {}",
                there.data_type().as_str_name(),
                kind.schema().as_str_name()
            ));
        }
    }
    Ok(())
}

/// A dense vector as it is spoken of.
pub(crate) fn called(name: &str) -> String {
    match name {
        "" => "unnamed dense vector".to_owned(),
        name => format!("dense vector `{name}`"),
    }
}

/// Indexes the payload keys that are not yet.
pub(crate) async fn index_payload(
    connection: &Connection,
    spec: &CollectionSpec,
    patience: &Patience,
) -> Result<(), Error> {
    let action = "index the payload";
    let info = existing(connection, patience).await?;
    for (key, kind) in &spec.payload_indexes {
        if info.payload_schema.contains_key(key) {
            continue;
        }
        patience
            .call(action, || {
                let mut client = connection.points();
                let message = CreateFieldIndexCollection {
                    collection_name: connection.collection.clone(),
                    wait: Some(true),
                    field_name: key.clone(),
                    field_type: Some(kind.field().into()),
                    ..CreateFieldIndexCollection::default()
                };
                async move { client.create_field_index(request(message)).await }
            })
            .await
            .map_err(|failure| failure.name(connection, action))?;
    }
    Ok(())
}
