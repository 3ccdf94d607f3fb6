//! What is known of the gRPC messages: where they name collections. From the protobuf files of Qdrant 1.20.

use std::fmt;

/// A type of message.
pub(super) struct Shape {
    /// The highest number of a field that is known. What is beyond could mean anything.
    pub(super) known: u32,
    /// Whether field 1 is the name of the collection.
    pub(super) names: bool,
    /// Fields that name another collection: `lookup_from`, `with_lookup`.
    pub(super) foreign: &'static [u32],
    /// Fields that hold messages which have one of these in them.
    pub(super) inner: &'static [(u32, &'static Shape)],
}

impl fmt::Debug for Shape {
    /// Prefetches are in prefetches without end.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shape").field("known", &self.known).finish_non_exhaustive()
    }
}

const fn plain(known: u32) -> Shape {
    Shape { known, names: true, foreign: &[], inner: &[] }
}

static PREFETCH: Shape = Shape { known: 8, names: false, foreign: &[8], inner: &[(1, &PREFETCH)] };
static QUERY: Shape = Shape { known: 15, names: true, foreign: &[14], inner: &[(2, &PREFETCH)] };
static QUERY_BATCH: Shape = Shape { known: 4, names: true, foreign: &[], inner: &[(2, &QUERY)] };
static QUERY_GROUPS: Shape =
    Shape { known: 17, names: true, foreign: &[10, 15], inner: &[(2, &PREFETCH)] };
static SEARCH: Shape = plain(15);
static SEARCH_BATCH: Shape = Shape { known: 4, names: true, foreign: &[], inner: &[(2, &SEARCH)] };
static SEARCH_GROUPS: Shape = Shape { known: 16, names: true, foreign: &[13], inner: &[] };
static RECOMMEND: Shape = Shape { known: 20, names: true, foreign: &[13], inner: &[] };
static RECOMMEND_BATCH: Shape =
    Shape { known: 4, names: true, foreign: &[], inner: &[(2, &RECOMMEND)] };
static RECOMMEND_GROUPS: Shape = Shape { known: 21, names: true, foreign: &[11, 15], inner: &[] };
static DISCOVER: Shape = Shape { known: 14, names: true, foreign: &[11], inner: &[] };
static DISCOVER_BATCH: Shape =
    Shape { known: 4, names: true, foreign: &[], inner: &[(2, &DISCOVER)] };

static NAME_ALONE: Shape = plain(1);
// Fields 2, 3 and 13 were the vectors' parameters and `init_from` of versions long gone.
static CREATE: Shape = Shape { known: 20, names: true, foreign: &[2, 3, 13], inner: &[] };
static UP_TO_FIVE: Shape = plain(5);
static UP_TO_SIX: Shape = plain(6);
static UP_TO_SEVEN: Shape = plain(7);
static UP_TO_EIGHT: Shape = plain(8);
static UP_TO_NINE: Shape = plain(9);
static UP_TO_ELEVEN: Shape = plain(11);

/// The request of a method that a limited key may call; none for a method that names no one collection.
pub(super) fn shape_of(path: &str) -> Option<&'static Shape> {
    Some(match path {
        "/qdrant.Collections/Get"
        | "/qdrant.Collections/CollectionExists"
        | "/qdrant.Collections/ListCollectionAliases" => &NAME_ALONE,
        "/qdrant.Collections/Create" => &CREATE,
        "/qdrant.Points/Query" => &QUERY,
        "/qdrant.Points/QueryBatch" => &QUERY_BATCH,
        "/qdrant.Points/QueryGroups" => &QUERY_GROUPS,
        "/qdrant.Points/Search" => &SEARCH,
        "/qdrant.Points/SearchBatch" => &SEARCH_BATCH,
        "/qdrant.Points/SearchGroups" => &SEARCH_GROUPS,
        "/qdrant.Points/Recommend" => &RECOMMEND,
        "/qdrant.Points/RecommendBatch" => &RECOMMEND_BATCH,
        "/qdrant.Points/RecommendGroups" => &RECOMMEND_GROUPS,
        "/qdrant.Points/Discover" => &DISCOVER,
        "/qdrant.Points/DiscoverBatch" => &DISCOVER_BATCH,
        "/qdrant.Points/UpdateBatch" => &UP_TO_FIVE,
        "/qdrant.Points/Count" | "/qdrant.Points/Delete" | "/qdrant.Points/ClearPayload" => {
            &UP_TO_SIX
        }
        "/qdrant.Points/UpdateVectors"
        | "/qdrant.Points/DeleteVectors"
        | "/qdrant.Points/CreateFieldIndex" => &UP_TO_SEVEN,
        "/qdrant.Points/Get"
        | "/qdrant.Points/Facet"
        | "/qdrant.Points/Upsert"
        | "/qdrant.Points/DeletePayload"
        | "/qdrant.Points/SearchMatrixPairs"
        | "/qdrant.Points/SearchMatrixOffsets" => &UP_TO_EIGHT,
        "/qdrant.Points/SetPayload" | "/qdrant.Points/OverwritePayload" => &UP_TO_NINE,
        "/qdrant.Points/Scroll" => &UP_TO_ELEVEN,
        _ => return None,
    })
}
