//! Text to sparse vectors, by the one model the engine has.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use parking_lot::Mutex;
use qdrant_edge::SparseVector;
use qdrant_edge::bm25_embed::{EdgeBm25, EdgeBm25Config};

use crate::error::ApiError;
use crate::model::vectors::Document;

/// The model's name on the wire.
const MODEL: &str = "qdrant/bm25";

/// How many settings are kept ready. More are made anew each time.
const MODELS_MAX: usize = 16;

/// Models by their settings, since making one reads its list of stop words.
static MODELS: LazyLock<Mutex<HashMap<String, Arc<EdgeBm25>>>> = LazyLock::new(Mutex::default);

/// Whether the text is stored or searched for; the two are weighted differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    Store,
    Search,
}

/// Embeds a document.
///
/// # Errors
/// [`ApiError::NotImplemented`] for any other model, [`ApiError::BadInput`] for bad settings.
pub(super) fn embed(document: &Document, purpose: Purpose) -> Result<SparseVector, ApiError> {
    if !document.model.eq_ignore_ascii_case(MODEL) {
        return Err(ApiError::NotImplemented(format!(
            "inference with model `{}` (only `{MODEL}` is)",
            document.model
        )));
    }
    let model = model(document)?;
    let mut vector = match purpose {
        Purpose::Store => model.embed_document(&document.text),
        Purpose::Search => model.embed_query(&document.text),
    };
    vector.sort_by_indices();
    Ok(vector)
}

fn model(document: &Document) -> Result<Arc<EdgeBm25>, ApiError> {
    let settings = document.options.clone().unwrap_or_default();
    let settings = serde_json::Value::Object(settings);
    let key = settings.to_string();
    if let Some(model) = MODELS.lock().get(&key) {
        return Ok(Arc::clone(model));
    }
    let bad = |error: &dyn std::fmt::Display| {
        ApiError::BadInput(format!("bad options for model `{MODEL}`: {error}"))
    };
    let config: EdgeBm25Config = serde_json::from_value(settings).map_err(|error| bad(&error))?;
    let model = Arc::new(EdgeBm25::new(config).map_err(|error| bad(&error))?);
    let mut models = MODELS.lock();
    if models.len() < MODELS_MAX {
        models.insert(key, Arc::clone(&model));
    }
    Ok(model)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn document(text: &str, model: &str) -> Document {
        Document { text: text.into(), model: model.into(), options: None }
    }

    #[test]
    fn a_query_meets_the_document_it_asks_for() {
        let stored = embed(&document("The moored ships", "qdrant/bm25"), Purpose::Store).unwrap();
        let asked = embed(&document("ship", "Qdrant/bm25"), Purpose::Search).unwrap();
        assert_eq!(asked.indices.len(), 1);
        assert!(stored.indices.contains(asked.indices.first().unwrap()));
        assert!(stored.indices.is_sorted());
    }

    #[test]
    fn another_model_is_named_in_the_refusal() {
        let error = embed(&document("x", "bge-small"), Purpose::Store).unwrap_err();
        assert!(matches!(&error, ApiError::NotImplemented(what) if what.contains("bge-small")));
    }
}
