//! `Searcher`: queries in Qdrant's JSON, answers in Arrow.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use qmoor_client::query::Fields;
use qmoor_client::search::Searcher as Client;
use serde_json::Value;

use crate::arrow::{Stream, array};
use crate::errors::{bad_input, from_client};
use crate::runtime::{awaitable, block_on};
use crate::target::target;

/// An open connection. One a process: a child of a fork makes its own.
#[pyclass(module = "qmoor._native", frozen)]
pub(crate) struct Searcher {
    client: Client,
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
        let client = block_on(py, async move {
            Client::open(&target).await.map_err(|error| from_client(&error))
        })?;
        Ok(Self { client })
    }

    /// One dense vector, as little-endian floats.
    #[pyo3(signature = (vector, body, fields=None))]
    fn search(
        &self,
        py: Python<'_>,
        vector: &[u8],
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let body = nearest(vector, json(py, body)?);
        block_on(py, query(self.client.clone(), body, fields.into()))
    }

    #[pyo3(signature = (vector, body, fields=None))]
    fn asearch<'py>(
        &self,
        py: Python<'py>,
        vector: &[u8],
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let body = nearest(vector, json(py, body)?);
        awaitable(py, query(self.client.clone(), body, fields.into()))
    }

    #[pyo3(signature = (body, fields=None))]
    fn query(&self, py: Python<'_>, body: &str, fields: Option<Vec<String>>) -> PyResult<Stream> {
        let body = json(py, body)?;
        block_on(py, query(self.client.clone(), body, fields.into()))
    }

    #[pyo3(signature = (body, fields=None))]
    fn aquery<'py>(
        &self,
        py: Python<'py>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let body = json(py, body)?;
        awaitable(py, query(self.client.clone(), body, fields.into()))
    }

    #[pyo3(signature = (bodies, fields=None))]
    fn query_batch(
        &self,
        py: Python<'_>,
        bodies: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let bodies = list(py, bodies)?;
        block_on(py, query_batch(self.client.clone(), bodies, fields.into()))
    }

    #[pyo3(signature = (bodies, fields=None))]
    fn aquery_batch<'py>(
        &self,
        py: Python<'py>,
        bodies: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let bodies = list(py, bodies)?;
        awaitable(py, query_batch(self.client.clone(), bodies, fields.into()))
    }

    #[pyo3(signature = (vectors, body, fields=None))]
    fn search_batch(
        &self,
        vectors: &Bound<'_, PyAny>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Stream> {
        let py = vectors.py();
        let (vectors, body) = (array(vectors)?.0, json(py, body)?);
        block_on(py, search_batch(self.client.clone(), vectors, body, fields.into()))
    }

    #[pyo3(signature = (vectors, body, fields=None))]
    fn asearch_batch<'py>(
        &self,
        vectors: &Bound<'py, PyAny>,
        body: &str,
        fields: Option<Vec<String>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = vectors.py();
        let (vectors, body) = (array(vectors)?.0, json(py, body)?);
        awaitable(py, search_batch(self.client.clone(), vectors, body, fields.into()))
    }
}

async fn query(client: Client, body: Value, fields: Fields) -> PyResult<Stream> {
    client.query(&body, &fields).await.map(Into::into).map_err(|error| from_client(&error))
}

async fn query_batch(client: Client, bodies: Vec<Value>, fields: Fields) -> PyResult<Stream> {
    client.query_batch(&bodies, &fields).await.map(Into::into).map_err(|error| from_client(&error))
}

async fn search_batch(
    client: Client,
    vectors: arrow_array::ArrayRef,
    body: Value,
    fields: Fields,
) -> PyResult<Stream> {
    let found = client.search_batch(&vectors, &body, &fields).await;
    found.map(Into::into).map_err(|error| from_client(&error))
}

/// The body of a query for what is nearest to this vector.
fn nearest(vector: &[u8], mut body: Value) -> Value {
    let (numbers, _) = vector.as_chunks::<4>();
    if let Value::Object(fields) = &mut body {
        let numbers = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes).into()).collect();
        fields.insert("query".to_owned(), Value::Array(numbers));
    }
    body
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
