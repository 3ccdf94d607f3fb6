//! The read side: chunks found by words or by vector.

use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    DenseVector, Document, Query, QueryPoints, ScoredPoint, VectorInput, WithPayloadSelector,
    point_id::PointIdOptions, query, vector_input,
};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::ensure::{CHUNK_KEY, DOC_KEY, HASH_KEY, TEXT_KEY, TEXT_MODEL, TEXT_VECTOR};
use crate::error::Error;
use crate::filter;
use crate::json;
use crate::retry::Patience;
use crate::target::{Connection, Target, request};

/// A chunk that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Hit {
    /// The point's id, an integer or a UUID.
    pub id: String,
    /// How well it fits; what is better depends on the distance.
    pub score: f32,
    /// Its document; empty for a point that qmoor did not write.
    pub doc: String,
    /// Its place in the document.
    pub chunk: u64,
    /// Its text; empty if it has none.
    pub text: String,
    /// What else is known about it.
    pub payload: Map<String, Value>,
}

/// Finds the `k` chunks that fit the words of `text` best (BM25, computed by the node).
///
/// `filter` is one as Qdrant's REST API takes it.
///
/// # Errors
/// The node cannot be reached or refuses the key, the collection is missing or has no text, or the
/// filter cannot be understood.
pub async fn search(
    target: &Target,
    text: &str,
    k: u64,
    filter: Option<&Value>,
) -> Result<Vec<Hit>, Error> {
    Searcher::open(target).await?.text(text, k, filter).await
}

/// Finds the `k` chunks whose dense vectors are nearest.
///
/// # Errors
/// As [`search`], or the vector has the wrong length.
pub async fn search_vector(
    target: &Target,
    vector: &[f32],
    k: u64,
    filter: Option<&Value>,
) -> Result<Vec<Hit>, Error> {
    Searcher::open(target).await?.vector(vector, k, filter).await
}

/// A connection kept for many searches. Cloning shares it.
#[derive(Clone)]
pub struct Searcher {
    pub(crate) connection: Connection,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Searcher").field("url", &self.connection.url).finish_non_exhaustive()
    }
}

impl Searcher {
    /// Connects.
    ///
    /// # Errors
    /// The address is wrong or nothing answers there.
    pub async fn open(target: &Target) -> Result<Self, Error> {
        Ok(Self { connection: Connection::open(target).await? })
    }

    /// As [`search`].
    ///
    /// # Errors
    /// As [`search`].
    pub async fn text(
        &self,
        text: &str,
        k: u64,
        filter: Option<&Value>,
    ) -> Result<Vec<Hit>, Error> {
        let document =
            Document { text: text.to_owned(), model: TEXT_MODEL.to_owned(), ..Document::default() };
        let input = vector_input::Variant::Document(document);
        match self.nearest(input, Some(TEXT_VECTOR), k, filter).await {
            Err(Error::Invalid { message, .. }) if message.contains("Not existing vector name") => {
                Err(Error::Mismatch {
                    collection: self.connection.collection.clone(),
                    difference: "it holds no text, only vectors".to_owned(),
                })
            }
            answer => answer,
        }
    }

    /// As [`search_vector`].
    ///
    /// # Errors
    /// As [`search_vector`].
    pub async fn vector(
        &self,
        vector: &[f32],
        k: u64,
        filter: Option<&Value>,
    ) -> Result<Vec<Hit>, Error> {
        let dense = DenseVector { data: vector.to_vec() };
        self.nearest(vector_input::Variant::Dense(dense), None, k, filter).await
    }

    async fn nearest(
        &self,
        input: vector_input::Variant,
        using: Option<&str>,
        k: u64,
        filter: Option<&Value>,
    ) -> Result<Vec<Hit>, Error> {
        let action = "search";
        let input = VectorInput { variant: Some(input) };
        let message = QueryPoints {
            collection_name: self.connection.collection.clone(),
            query: Some(Query { variant: Some(query::Variant::Nearest(input)) }),
            using: using.map(str::to_owned),
            filter: filter.map(filter::from_json).transpose()?,
            limit: Some(k),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(SelectorOptions::Enable(true)),
            }),
            ..QueryPoints::default()
        };
        let answer = Patience::short()
            .call(action, async || self.connection.points().query(request(message.clone())).await)
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        Ok(answer.into_inner().result.into_iter().map(hit).collect())
    }
}

fn hit(point: ScoredPoint) -> Hit {
    let mut payload = json::object_from_wire(point.payload);
    payload.remove(HASH_KEY);
    let mut text_of = |key: &str| match payload.remove(key) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    let doc = text_of(DOC_KEY);
    let text = text_of(TEXT_KEY);
    let chunk = payload.remove(CHUNK_KEY).and_then(|chunk| chunk.as_u64()).unwrap_or(0);
    let id = match point.id.and_then(|id| id.point_id_options) {
        Some(PointIdOptions::Num(number)) => number.to_string(),
        Some(PointIdOptions::Uuid(uuid)) => uuid,
        None => String::new(),
    };
    Hit { id, score: point.score, doc, chunk, text, payload }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_be_spawned<T: Send>(future: T) -> T {
        future
    }

    #[tokio::test]
    async fn a_search_can_run_on_any_thread() {
        let target = Target {
            grpc_url: "nowhere".to_owned(),
            collection: "docs".to_owned(),
            key: None,
            tls_ca: None,
        };
        let found = can_be_spawned(search(&target, "words", 3, None)).await;
        assert!(matches!(found, Err(Error::Address { .. })));
    }
}
