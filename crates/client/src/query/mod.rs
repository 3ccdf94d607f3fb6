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

impl Searcher {
    /// One query. `body` is what Qdrant's `POST /collections/NAME/points/query` takes.
    ///
    /// The columns are `id` (text), `score` and `payload` (JSON text), or instead of the payload one
    /// column for each of `fields`; best first.
    ///
    /// # Errors
    /// The body cannot be understood, the node cannot be reached or refuses the key, or the
    /// collection is missing or lacks the vector.
    pub async fn query(&self, body: &Value, fields: &Fields) -> Result<RecordBatch, Error> {
        let action = "search";
        let message = self.read(body, fields, "query")?;
        let answer = Patience::short()
            .call(action, async || self.connection.points().query(request(message.clone())).await)
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        answer::hits(answer.into_inner().result, fields)
    }

    /// Many queries. One row a query, in order, and one column, `hits`: a list of what [`Self::query`] gives.
    ///
    /// # Errors
    /// As [`Self::query`]; a body that is to blame is named by its number.
    pub async fn query_batch(
        &self,
        bodies: &[Value],
        fields: &Fields,
    ) -> Result<RecordBatch, Error> {
        let queries = bodies
            .iter()
            .enumerate()
            .map(|(number, body)| self.read(body, fields, &format!("query[{number}]")));
        self.batch(queries.collect::<Result<_, _>>()?, fields).await
    }

    /// The nearest points to each row of `vectors`, lists of numbers. `body` says everything else.
    ///
    /// # Errors
    /// As [`Self::query`]; or a row of `vectors` is no vector.
    pub async fn search_batch(
        &self,
        vectors: &ArrayRef,
        body: &Value,
        fields: &Fields,
    ) -> Result<RecordBatch, Error> {
        let template = self.read(body, fields, "query")?;
        let queries = vector::rows(vectors)?
            .into_iter()
            .map(|vector| QueryPoints { query: Some(vector::nearest(vector)), ..template.clone() });
        self.batch(queries.collect(), fields).await
    }

    fn read(&self, body: &Value, fields: &Fields, at: &str) -> Result<QueryPoints, Error> {
        let mut query = body::read(body, at, &self.connection.collection)?;
        if let Some(wanted) = fields.selector() {
            query.with_payload = Some(wanted);
        }
        Ok(query)
    }

    async fn batch(
        &self,
        queries: Vec<QueryPoints>,
        fields: &Fields,
    ) -> Result<RecordBatch, Error> {
        let action = "search";
        let parts: Vec<Vec<QueryPoints>> = queries.chunks(PART).map(<[_]>::to_vec).collect();
        let patience = Patience::short();
        let patience = &patience;
        let answers: Vec<_> = stream::iter(parts)
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
