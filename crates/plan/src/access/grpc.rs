//! The list of gRPC methods, those of Qdrant 1.19.

use super::{Access, Role, open, read, write};

use Role::{Admin, Index, Search};

/// What a call of `path` (`/package.Service/Method`, as it came) needs and does.
///
/// A health check is open; a health *watch* is not on the list, since it never ends and would keep
/// the gate from draining.
#[must_use]
pub fn classify_grpc(path: &str) -> Access {
    METHODS
        .iter()
        .find(|(listed, _)| *listed == path)
        .map_or(Access::UNLISTED, |(_, access)| *access)
}

#[rustfmt::skip]
const METHODS: &[(&str, Access)] = &[
    ("/grpc.health.v1.Health/Check", open("health.check")),
    ("/qdrant.Qdrant/HealthCheck", open("health.version")),

    ("/qdrant.Collections/List", read(Search, "collections.list")),
    ("/qdrant.Collections/Get", read(Search, "collections.get")),
    ("/qdrant.Collections/CollectionExists", read(Search, "collections.exists")),
    ("/qdrant.Collections/ListAliases", read(Search, "aliases.list")),
    ("/qdrant.Collections/ListCollectionAliases", read(Search, "aliases.list_of_collection")),
    ("/qdrant.Collections/Create", write(Index, "collections.create")),
    ("/qdrant.Collections/Update", write(Admin, "collections.update")),
    ("/qdrant.Collections/Delete", write(Admin, "collections.delete")),
    ("/qdrant.Collections/UpdateAliases", write(Admin, "aliases.update")),
    ("/qdrant.Collections/CollectionClusterInfo", read(Admin, "cluster.of_collection")),
    ("/qdrant.Collections/UpdateCollectionClusterSetup", write(Admin, "cluster.update_of_collection")),
    ("/qdrant.Collections/ListShardKeys", read(Admin, "cluster.list_shard_keys")),
    ("/qdrant.Collections/CreateShardKey", write(Admin, "cluster.create_shard_key")),
    ("/qdrant.Collections/DeleteShardKey", write(Admin, "cluster.delete_shard_key")),

    ("/qdrant.Points/Get", read(Search, "points.retrieve")),
    ("/qdrant.Points/Scroll", read(Search, "points.scroll")),
    ("/qdrant.Points/Count", read(Search, "points.count")),
    ("/qdrant.Points/Facet", read(Search, "points.facet")),
    ("/qdrant.Points/Query", read(Search, "points.query")),
    ("/qdrant.Points/QueryBatch", read(Search, "points.query_batch")),
    ("/qdrant.Points/QueryGroups", read(Search, "points.query_groups")),
    ("/qdrant.Points/Search", read(Search, "points.search")),
    ("/qdrant.Points/SearchBatch", read(Search, "points.search_batch")),
    ("/qdrant.Points/SearchGroups", read(Search, "points.search_groups")),
    ("/qdrant.Points/SearchMatrixPairs", read(Search, "points.matrix_pairs")),
    ("/qdrant.Points/SearchMatrixOffsets", read(Search, "points.matrix_offsets")),
    ("/qdrant.Points/Recommend", read(Search, "points.recommend")),
    ("/qdrant.Points/RecommendBatch", read(Search, "points.recommend_batch")),
    ("/qdrant.Points/RecommendGroups", read(Search, "points.recommend_groups")),
    ("/qdrant.Points/Discover", read(Search, "points.discover")),
    ("/qdrant.Points/DiscoverBatch", read(Search, "points.discover_batch")),

    ("/qdrant.Points/Upsert", write(Index, "points.upsert")),
    ("/qdrant.Points/UpdateBatch", write(Index, "points.batch")),
    ("/qdrant.Points/Delete", write(Index, "points.delete")),
    ("/qdrant.Points/UpdateVectors", write(Index, "points.update_vectors")),
    ("/qdrant.Points/DeleteVectors", write(Index, "points.delete_vectors")),
    ("/qdrant.Points/SetPayload", write(Index, "points.set_payload")),
    ("/qdrant.Points/OverwritePayload", write(Index, "points.overwrite_payload")),
    ("/qdrant.Points/DeletePayload", write(Index, "points.delete_payload")),
    ("/qdrant.Points/ClearPayload", write(Index, "points.clear_payload")),
    ("/qdrant.Points/CreateFieldIndex", write(Index, "collections.create_index")),
    ("/qdrant.Points/DeleteFieldIndex", write(Admin, "collections.delete_index")),
    ("/qdrant.Points/CreateVectorName", write(Admin, "collections.create_vector")),
    ("/qdrant.Points/DeleteVectorName", write(Admin, "collections.delete_vector")),

    ("/qdrant.Snapshots/List", read(Admin, "snapshots.list")),
    ("/qdrant.Snapshots/ListFull", read(Admin, "snapshots.list_full")),
    ("/qdrant.Snapshots/Create", write(Admin, "snapshots.create")),
    ("/qdrant.Snapshots/CreateFull", write(Admin, "snapshots.create_full")),
    ("/qdrant.Snapshots/Delete", write(Admin, "snapshots.delete")),
    ("/qdrant.Snapshots/DeleteFull", write(Admin, "snapshots.delete_full")),
];

#[cfg(test)]
pub(super) fn methods() -> impl Iterator<Item = (&'static str, Access)> {
    METHODS.iter().copied()
}
