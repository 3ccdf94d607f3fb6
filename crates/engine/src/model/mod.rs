//! The requests and answers both doors share. REST bodies deserialize into these directly; the gRPC
//! door converts its messages into the same values. Filters, payloads, ids and selectors are the
//! engine crate's own types, whose JSON form is Qdrant's.

pub(crate) mod collection;
pub(crate) mod points;
pub(crate) mod query;
pub(crate) mod update;
pub(crate) mod vectors;

use serde::{Deserialize, Deserializer};

/// A field that must be absent or null, because the embedded engine has no shard keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct NoShardKey;

impl<'de> Deserialize<'de> for NoShardKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Option::<serde::de::IgnoredAny>::deserialize(deserializer)? {
            None => Ok(Self),
            Some(serde::de::IgnoredAny) => {
                Err(serde::de::Error::custom("shard keys are not available in the embedded engine"))
            }
        }
    }
}
