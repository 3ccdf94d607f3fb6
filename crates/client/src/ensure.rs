//! Making the collection a source needs, or checking that the one there fits.

use std::collections::HashMap;

use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionInfo, CreateCollection, CreateFieldIndexCollection, Distance as WireDistance,
    FieldType, GetCollectionInfoRequest, Modifier, SparseVectorConfig, SparseVectorParams,
    VectorParams, VectorsConfig,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// Text, found by words.
    pub text: bool,
    /// Dense vectors of this length, compared so; without a distance, as the collection does.
    pub vector: Option<(u64, Option<Distance>)>,
}

/// What was found or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ensured {
    /// Whether the collection was made just now, so that nothing is in it.
    pub created: bool,
}

/// Makes the target's collection if it is missing; checks that it fits if not.
///
/// # Errors
/// The node cannot be reached, the key may not make a collection, or the collection that exists
/// cannot hold what `spec` asks for.
pub async fn ensure_collection(target: &Target, spec: Spec) -> Result<Ensured, Error> {
    let connection = Connection::open(target).await?;
    ensure(&connection, spec, &Patience::short()).await
}

pub(crate) async fn ensure(
    connection: &Connection,
    spec: Spec,
    patience: &Patience,
) -> Result<Ensured, Error> {
    if let Some(info) = info(connection, patience).await? {
        check(&connection.collection, &info, spec)?;
        index_payload(connection, &info, patience).await?;
        return Ok(Ensured { created: false });
    }
    let created = create(connection, spec, patience).await?;
    // Somebody may have made it in between, otherwise than we would have.
    let info = info(connection, patience)
        .await?
        .ok_or_else(|| Error::NotFound { collection: connection.collection.clone() })?;
    check(&connection.collection, &info, spec)?;
    index_payload(connection, &info, patience).await?;
    Ok(Ensured { created })
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

async fn create(connection: &Connection, spec: Spec, patience: &Patience) -> Result<bool, Error> {
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

fn creation(collection: &str, spec: Spec) -> CreateCollection {
    let sparse = SparseVectorParams { index: None, modifier: Some(Modifier::Idf.into()) };
    CreateCollection {
        collection_name: collection.to_owned(),
        vectors_config: spec.vector.map(|(size, distance)| VectorsConfig {
            config: Some(Config::Params(VectorParams {
                size,
                distance: WireDistance::from(distance.unwrap_or(DEFAULT_DISTANCE)).into(),
                ..VectorParams::default()
            })),
        }),
        sparse_vectors_config: spec
            .text
            .then(|| SparseVectorConfig { map: HashMap::from([(TEXT_VECTOR.to_owned(), sparse)]) }),
        ..CreateCollection::default()
    }
}

/// Compares what is there with what is needed.
pub(crate) fn check(collection: &str, info: &CollectionInfo, spec: Spec) -> Result<(), Error> {
    let mismatch =
        |difference: String| Err(Error::Mismatch { collection: collection.to_owned(), difference });
    let Some(params) = info.config.as_ref().and_then(|config| config.params.as_ref()) else {
        return mismatch("the node tells nothing of its settings".to_owned());
    };
    if spec.text {
        let sparse = params.sparse_vectors_config.as_ref().and_then(|c| c.map.get(TEXT_VECTOR));
        match sparse {
            None => return mismatch(format!("it has no sparse vector `{TEXT_VECTOR}` for text")),
            Some(sparse) if sparse.modifier() != Modifier::Idf => {
                return mismatch(format!("its sparse vector `{TEXT_VECTOR}` lacks `idf`"));
            }
            Some(_) => {}
        }
    }
    let Some((size, distance)) = spec.vector else { return Ok(()) };
    let dense = match params.vectors_config.as_ref().and_then(|c| c.config.as_ref()) {
        Some(Config::Params(params)) => Some(params),
        Some(Config::ParamsMap(map)) => map.map.get(""),
        None => None,
    };
    let Some(dense) = dense else {
        return mismatch("it has no unnamed dense vector".to_owned());
    };
    if dense.multivector_config.is_some() {
        return mismatch("its dense vector is a multivector".to_owned());
    }
    if dense.size != size {
        return mismatch(format!(
            "its vectors have {} numbers, those of the source {size}",
            dense.size
        ));
    }
    if let Some(distance) = distance
        && dense.distance() != WireDistance::from(distance)
    {
        return mismatch(format!(
            "its vectors are compared by {}, asked for is {}",
            dense.distance().as_str_name(),
            WireDistance::from(distance).as_str_name()
        ));
    }
    Ok(())
}

/// Indexes the payload keys by which documents are looked up, where they are not yet. A key that
/// may only write points cannot do that; lookups are then slower and still right.
async fn index_payload(
    connection: &Connection,
    info: &CollectionInfo,
    patience: &Patience,
) -> Result<(), Error> {
    let action = "index the payload";
    for (key, kind) in [(DOC_KEY, FieldType::Keyword), (CHUNK_KEY, FieldType::Integer)] {
        if info.payload_schema.contains_key(key) {
            continue;
        }
        let answer = patience
            .call(action, || {
                let mut client = connection.points();
                let message = CreateFieldIndexCollection {
                    collection_name: connection.collection.clone(),
                    wait: Some(true),
                    field_name: key.to_owned(),
                    field_type: Some(kind.into()),
                    ..CreateFieldIndexCollection::default()
                };
                async move { client.create_field_index(request(message)).await }
            })
            .await;
        match answer {
            Ok(_) => {}
            Err(failure) if failure.code() == Some(Code::PermissionDenied) => {
                tracing::warn!(key, "the key may not index the payload; lookups will be slower");
                return Ok(());
            }
            Err(failure) => return Err(failure.name(connection, action)),
        }
    }
    Ok(())
}
