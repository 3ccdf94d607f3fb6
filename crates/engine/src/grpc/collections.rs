//! The Collections service.

use std::sync::Arc;
use std::time::Instant;

use qdrant_client::qdrant::collections_server::Collections;
use qdrant_client::qdrant::{self as proto, CollectionOperationResponse};
use tonic::{Request, Response, Status, async_trait};

use super::door::seconds;
use super::status::{Parsed, unavailable};
use super::{config, info};
use crate::error::ApiError;
use crate::node::{Node, blocking};

/// Makes, changes, lists and removes collections and aliases.
#[derive(Debug)]
pub(super) struct CollectionsService {
    node: Arc<Node>,
}

impl CollectionsService {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node }
    }

    /// Does something to the node that says only whether it was done.
    async fn change(
        &self,
        operation: impl FnOnce(&Node) -> Result<bool, ApiError> + Send + 'static,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let started = Instant::now();
        let node = Arc::clone(&self.node);
        let result = blocking(move || operation(&node)).await?;
        Ok(Response::new(CollectionOperationResponse { result, time: seconds(started) }))
    }
}

fn alias((alias_name, collection_name): (String, String)) -> proto::AliasDescription {
    proto::AliasDescription { alias_name, collection_name }
}

#[async_trait]
impl Collections for CollectionsService {
    async fn get(
        &self,
        request: Request<proto::GetCollectionInfoRequest>,
    ) -> Result<Response<proto::GetCollectionInfoResponse>, Status> {
        let started = Instant::now();
        let proto::GetCollectionInfoRequest { collection_name } = request.into_inner();
        let node = Arc::clone(&self.node);
        let found = blocking(move || node.collection(&collection_name)?.info()).await?;
        Ok(Response::new(proto::GetCollectionInfoResponse {
            result: Some(info::info(found)),
            time: seconds(started),
        }))
    }

    async fn list(
        &self,
        _request: Request<proto::ListCollectionsRequest>,
    ) -> Result<Response<proto::ListCollectionsResponse>, Status> {
        let started = Instant::now();
        let collections = self.node.list().into_iter();
        Ok(Response::new(proto::ListCollectionsResponse {
            collections: collections.map(|name| proto::CollectionDescription { name }).collect(),
            time: seconds(started),
        }))
    }

    async fn create(
        &self,
        request: Request<proto::CreateCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let message = request.into_inner();
        let name = message.collection_name.clone();
        let settings = config::create(message)?;
        self.change(move |node| node.create_collection(&name, settings)).await
    }

    async fn update(
        &self,
        request: Request<proto::UpdateCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let message = request.into_inner();
        let name = message.collection_name.clone();
        let settings = config::update(message)?;
        self.change(move |node| node.update_collection(&name, settings)).await
    }

    async fn delete(
        &self,
        request: Request<proto::DeleteCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let name = request.into_inner().collection_name;
        self.change(move |node| node.delete_collection(&name)).await
    }

    async fn update_aliases(
        &self,
        request: Request<proto::ChangeAliases>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let actions = request.into_inner().actions.into_iter();
        let actions = actions.map(config::alias_action).collect::<Parsed<Vec<_>>>()?;
        self.change(move |node| node.change_aliases(actions)).await
    }

    async fn list_collection_aliases(
        &self,
        request: Request<proto::ListCollectionAliasesRequest>,
    ) -> Result<Response<proto::ListAliasesResponse>, Status> {
        let started = Instant::now();
        let name = request.into_inner().collection_name;
        let aliases = self.node.collection_aliases(&name)?.into_iter();
        Ok(Response::new(proto::ListAliasesResponse {
            aliases: aliases.map(|own| alias((own, name.clone()))).collect(),
            time: seconds(started),
        }))
    }

    async fn list_aliases(
        &self,
        _request: Request<proto::ListAliasesRequest>,
    ) -> Result<Response<proto::ListAliasesResponse>, Status> {
        let started = Instant::now();
        Ok(Response::new(proto::ListAliasesResponse {
            aliases: self.node.aliases().into_iter().map(alias).collect(),
            time: seconds(started),
        }))
    }

    async fn collection_exists(
        &self,
        request: Request<proto::CollectionExistsRequest>,
    ) -> Result<Response<proto::CollectionExistsResponse>, Status> {
        let started = Instant::now();
        let exists = self.node.exists(&request.into_inner().collection_name);
        Ok(Response::new(proto::CollectionExistsResponse {
            result: Some(proto::CollectionExists { exists }),
            time: seconds(started),
        }))
    }

    async fn collection_cluster_info(
        &self,
        _request: Request<proto::CollectionClusterInfoRequest>,
    ) -> Result<Response<proto::CollectionClusterInfoResponse>, Status> {
        Err(unavailable("Collections/CollectionClusterInfo"))
    }

    async fn update_collection_cluster_setup(
        &self,
        _request: Request<proto::UpdateCollectionClusterSetupRequest>,
    ) -> Result<Response<proto::UpdateCollectionClusterSetupResponse>, Status> {
        Err(unavailable("Collections/UpdateCollectionClusterSetup"))
    }

    async fn create_shard_key(
        &self,
        _request: Request<proto::CreateShardKeyRequest>,
    ) -> Result<Response<proto::CreateShardKeyResponse>, Status> {
        Err(unavailable("Collections/CreateShardKey"))
    }

    async fn delete_shard_key(
        &self,
        _request: Request<proto::DeleteShardKeyRequest>,
    ) -> Result<Response<proto::DeleteShardKeyResponse>, Status> {
        Err(unavailable("Collections/DeleteShardKey"))
    }

    async fn list_shard_keys(
        &self,
        _request: Request<proto::ListShardKeysRequest>,
    ) -> Result<Response<proto::ListShardKeysResponse>, Status> {
        Err(unavailable("Collections/ListShardKeys"))
    }
}
