//! `Searcher`: queries in Qdrant's JSON, answers in Arrow.

use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use qmoor_client::query::{Fields, Prepared};
use qmoor_client::search::Searcher as Client;
use serde_json::Value;

use crate::arrow::{Stream, array};
use crate::errors::{bad_input, from_client};
use crate::mailbox::Post;
use crate::runtime::wait_for;
use crate::target::target;

/// An open connection. One a process: a child of a fork makes its own.
///
/// Each method that waits has one for asyncio, which posts the answer to a mailbox for a future and returns the number
/// of the request.
#[pyclass(module = "qmoor._native", frozen)]
pub(crate) struct Searcher {
    client: Client,
    last: Mutex<Option<Last>>,
}

/// The query that was read last: most callers ask the same of each vector.
struct Last {
    body: String,
    fields: Option<Vec<String>>,
    prepared: Arc<Prepared>,
}

#[pymethods]
impl Searcher {
    #[new]
    fn new(
        py: Python<'_>,
        url: String,
        collection: String,
        key: Option<String>,
        tls_ca: Option<PyBackedBytes>,
    ) -> PyResult<Self> {
        let target = target(url, collection, key, tls_ca);
        let opened = wait_for(py, async move { Client::open(&target).await })?;
        let client = opened.map_err(|error| from_client(&error))?;
        Ok(Self { client, last: Mutex::default() })
    }

    /// One dense vector, as little-endian floats.
    fn search(
        &self,
        py: Python<'_>,
        vector: &[u8],
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let (client, query) = (self.client.clone(), self.prepared(py, body, fields)?);
        let vector = floats(vector);
        answer(wait_for(py, async move { client.nearest_to(vector, &query).await })?)
    }

    fn asearch(
        &self,
        py: Python<'_>,
        post: Post,
        vector: &[u8],
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<u64> {
        let (client, query) = (self.client.clone(), self.prepared(py, body, fields)?);
        let vector = floats(vector);
        post.answer(py, async move { client.nearest_to(vector, &query).await })
    }

    fn query(&self, py: Python<'_>, body: &str, fields: Option<Vec<String>>) -> PyResult<Stream> {
        let (client, query) = (self.client.clone(), self.prepared(py, body, fields)?);
        answer(wait_for(py, async move { client.query(&query).await })?)
    }

    fn aquery(
        &self,
        py: Python<'_>,
        post: Post,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<u64> {
        let (client, query) = (self.client.clone(), self.prepared(py, body, fields)?);
        post.answer(py, async move { client.query(&query).await })
    }

    fn query_batch(
        &self,
        py: Python<'_>,
        bodies: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let (client, bodies, fields) = (self.client.clone(), list(py, bodies)?, fields.into());
        answer(wait_for(py, async move { client.query_batch(&bodies, &fields).await })?)
    }

    fn aquery_batch(
        &self,
        py: Python<'_>,
        post: Post,
        bodies: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<u64> {
        let bodies = list(py, bodies)?;
        let (client, fields) = (self.client.clone(), Fields::from(fields));
        post.answer(py, async move { client.query_batch(&bodies, &fields).await })
    }

    fn search_batch(
        &self,
        vectors: &Bound<'_, PyAny>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let py = vectors.py();
        let (vectors, query) = (array(vectors)?.0, self.prepared(py, body, fields)?);
        let client = self.client.clone();
        answer(wait_for(py, async move { client.search_batch(&vectors, &query).await })?)
    }

    fn asearch_batch(
        &self,
        py: Python<'_>,
        post: Post,
        vectors: &Bound<'_, PyAny>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<u64> {
        let (vectors, query) = (array(vectors)?.0, self.prepared(py, body, fields)?);
        let client = self.client.clone();
        post.answer(py, async move { client.search_batch(&vectors, &query).await })
    }
}

impl Searcher {
    fn prepared(
        &self,
        py: Python<'_>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Arc<Prepared>> {
        // The lock is let go before anything of Python is called, which may let go of the interpreter.
        if let Some(last) = self.last.lock().as_ref()
            && last.body == body
            && last.fields == fields
        {
            return Ok(Arc::clone(&last.prepared));
        }
        let read = self.client.prepare(&json(py, body)?, fields.clone().into());
        let prepared = Arc::new(read.map_err(|error| from_client(&error))?);
        let last = Last { body: body.to_owned(), fields, prepared: Arc::clone(&prepared) };
        *self.last.lock() = Some(last);
        Ok(prepared)
    }
}

fn answer(
    answer: Result<arrow_array::RecordBatch, qmoor_client::error::Error>,
) -> PyResult<Stream> {
    answer.map(Into::into).map_err(|error| from_client(&error))
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<4>();
    numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn json(py: Python<'_>, text: &str) -> PyResult<Value> {
    serde_json::from_str(text)
        .map_err(|error| bad_input(py, &format!("the query is no JSON: {error}"), ""))
}

fn list(py: Python<'_>, text: &str) -> PyResult<Vec<Value>> {
    match json(py, text)? {
        Value::Array(bodies) => Ok(bodies),
        _ => Err(bad_input(py, "a batch is a list of queries", "")),
    }
}
