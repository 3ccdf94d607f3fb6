//! The read side over Arrow: queries as Qdrant's REST API takes them, answers as record batches.

mod answer;
mod body;
mod vector;

use arrow_array::{ArrayRef, RecordBatch};
use futures::stream::{self, StreamExt, TryStreamExt};
use qdrant_client::qdrant::{QueryBatchPoints, QueryPoints};
use serde_json::Value;

pub use answer::Fields;

use crate::error::Error;
use crate::retry::Patience;
use crate::search::Searcher;
use crate::target::request;

/// Queries sent in one request; a longer batch is several requests.
const PART: usize = 64;
/// Requests of one batch that are under way at a time.
const PARTS_INFLIGHT: usize = 4;

/// A query that has been read: sent as it is, or with a vector of the caller's to look for.
#[derive(Debug, Clone)]
pub struct Prepared {
    message: QueryPoints,
    fields: Fields,
}

impl Prepared {
    fn nearest(&self, vector: Vec<f32>) -> QueryPoints {
        QueryPoints { query: Some(vector::nearest(vector)), ..self.message.clone() }
    }
}

impl Searcher {
    /// Reads a query. `body` is what Qdrant's `POST /collections/NAME/points/query` takes.
    ///
    /// Answers have the columns `id` (text), `score` and `payload` (JSON text), or instead of the payload one
    /// column for each of `fields`; best first.
    ///
    /// # Errors
    /// The body cannot be understood.
    pub fn prepare(&self, body: &Value, fields: Fields) -> Result<Prepared, Error> {
        self.read(body, fields, "query")
    }

    /// One query, as it was prepared.
    ///
    /// # Errors
    /// The node cannot be reached or refuses the key, or the collection is missing or lacks the vector.
    pub async fn query(&self, query: &Prepared) -> Result<RecordBatch, Error> {
        self.one(&query.message, &query.fields).await
    }

    /// The points nearest to `vector`; `query` says everything else.
    ///
    /// # Errors
    /// As [`Self::query`]; or a number of the vector is not finite.
    pub async fn nearest_to(
        &self,
        vector: Vec<f32>,
        query: &Prepared,
    ) -> Result<RecordBatch, Error> {
        vector::check(&vector).map_err(|reason| vector::bad("vector", &reason))?;
        self.one(&query.nearest(vector), &query.fields).await
    }

    /// Many queries. One row a query, in order, and one column, `hits`: a list of what [`Self::query`] gives.
    ///
    /// # Errors
    /// As [`Self::query`] and [`Self::prepare`]; a body that is to blame is named by its number.
    pub async fn query_batch(
        &self,
        bodies: &[Value],
        fields: &Fields,
    ) -> Result<RecordBatch, Error> {
        let queries = bodies.iter().enumerate().map(|(number, body)| {
            let query = self.read(body, fields.clone(), &format!("query[{number}]"))?;
            Ok(query.message)
        });
        self.batch(queries.collect::<Result<_, Error>>()?, fields).await
    }

    /// The nearest points to each row of `vectors`, lists of numbers. `query` says everything else.
    ///
    /// # Errors
    /// As [`Self::query`]; or a row of `vectors` is no vector.
    pub async fn search_batch(
        &self,
        vectors: &ArrayRef,
        query: &Prepared,
    ) -> Result<RecordBatch, Error> {
        let queries = vector::rows(vectors)?.into_iter().map(|vector| query.nearest(vector));
        self.batch(queries.collect(), &query.fields).await
    }

    fn read(&self, body: &Value, fields: Fields, at: &str) -> Result<Prepared, Error> {
        let mut message = body::read(body, at, &self.connection.collection)?;
        if let Some(wanted) = fields.selector() {
            message.with_payload = Some(wanted);
        }
        Ok(Prepared { message, fields })
    }

    async fn one(&self, message: &QueryPoints, fields: &Fields) -> Result<RecordBatch, Error> {
        let action = "search";
        let answer = Patience::short()
            .call(action, async || self.connection.points().query(request(message.clone())).await)
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        answer::hits(answer.into_inner().result, fields)
    }

    async fn batch(
        &self,
        queries: Vec<QueryPoints>,
        fields: &Fields,
    ) -> Result<RecordBatch, Error> {
        let action = "search";
        let patience = Patience::short();
        let patience = &patience;
        let answers: Vec<_> = stream::iter(queries)
            .chunks(PART)
            .map(|query_points| async move {
                let message = QueryBatchPoints {
                    collection_name: self.connection.collection.clone(),
                    query_points,
                    ..QueryBatchPoints::default()
                };
                let answer = patience
                    .call(action, async || {
                        self.connection.points().query_batch(request(message.clone())).await
                    })
                    .await
                    .map_err(|failure| failure.name(&self.connection, action))?;
                Ok::<_, Error>(answer.into_inner().result)
            })
            .buffered(PARTS_INFLIGHT)
            .try_collect()
            .await?;
        answer::batches(answers.into_iter().flatten().map(|found| found.result).collect(), fields)
    }
}
