//! All collections of one data directory, and their aliases.

use std::path::Path;
use std::sync::Arc;

use crate::collection::Collection;
use crate::error::ApiError;
use crate::model::collection::{AliasAction, CreateCollection, UpdateCollection};

/// All collections of one data directory.
#[derive(Debug)]
pub(crate) struct Node {}

impl Node {
    /// Opens the directory, making it if it is not there, and loads every collection.
    pub(crate) fn open(_data: &Path) -> Result<Self, ApiError> {
        Ok(Self {})
    }

    /// Makes a collection. Durable when it returns; true always.
    pub(crate) fn create_collection(
        &self,
        _name: &str,
        _request: CreateCollection,
    ) -> Result<bool, ApiError> {
        Err(ApiError::NotImplemented("create".into()))
    }

    /// Changes settings. Durable when it returns.
    pub(crate) fn update_collection(
        &self,
        _name: &str,
        _request: UpdateCollection,
    ) -> Result<bool, ApiError> {
        Err(ApiError::NotImplemented("update".into()))
    }

    /// Removes a collection and its aliases. False when there was none.
    pub(crate) fn delete_collection(&self, _name: &str) -> Result<bool, ApiError> {
        Err(ApiError::NotImplemented("delete".into()))
    }

    /// The names of all collections, in order.
    pub(crate) fn list(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether there is a collection or an alias of this name.
    pub(crate) fn exists(&self, _name: &str) -> bool {
        false
    }

    /// The collection of this name or alias.
    pub(crate) fn collection(&self, name: &str) -> Result<Arc<Collection>, ApiError> {
        Err(ApiError::no_collection(name))
    }

    /// Changes aliases, all or none. Durable when it returns.
    pub(crate) fn change_aliases(&self, _actions: Vec<AliasAction>) -> Result<bool, ApiError> {
        Err(ApiError::NotImplemented("aliases".into()))
    }

    /// Every alias with its collection, in order.
    pub(crate) fn aliases(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// The aliases of one collection, in order.
    pub(crate) fn collection_aliases(&self, name: &str) -> Result<Vec<String>, ApiError> {
        Err(ApiError::no_collection(name))
    }
}

/// Runs one operation where it may block. The one place that does.
pub(crate) async fn blocking<T: Send + 'static>(
    operation: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    tokio::task::spawn_blocking(operation)
        .await
        .map_err(|error| ApiError::internal("the operation ended before its answer", &error))?
}
