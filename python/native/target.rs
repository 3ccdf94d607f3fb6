//! Where a writer or searcher connects to, and the collection it needs.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use qmoor_client::ensure::{CollectionSpec, ensure_collection as ensure};
use qmoor_client::target::{Secret, Target};

use crate::errors::{bad_input, from_client};
use crate::runtime::block_on;

/// The target that these fields describe.
pub(crate) fn target(
    url: String,
    collection: String,
    key: Option<String>,
    tls_ca: Option<PyBackedBytes>,
) -> Target {
    Target {
        grpc_url: url,
        collection,
        key: key.map(Secret::new),
        tls_ca: tls_ca.map(|pem| pem.to_vec()),
    }
}

/// Makes or checks the collection; whether it was made.
#[pyfunction]
pub(crate) fn ensure_collection(
    py: Python<'_>,
    url: String,
    collection: String,
    key: Option<String>,
    tls_ca: Option<PyBackedBytes>,
    spec: &str,
) -> PyResult<bool> {
    let spec: CollectionSpec = serde_json::from_str(spec)
        .map_err(|error| bad_input(py, &format!("the collection's settings: {error}"), ""))?;
    let target = target(url, collection, key, tls_ca);
    block_on(py, async move {
        let ensured = ensure(&target, &spec).await.map_err(|error| from_client(&error))?;
        Ok(ensured.created)
    })
}
