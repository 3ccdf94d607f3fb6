//! Removing what is stale, and looking at what is there.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, CountPoints, DeletePoints, Direction, FieldCondition, Filter, IsEmptyCondition,
    Match, OrderBy, PayloadIncludeSelector, PointsSelector, Range, RepeatedStrings, ScrollPoints,
    UpdateStatus, WithPayloadSelector,
};

use super::send::Sender;
use crate::ensure::{CHUNK_KEY, DOC_KEY, GENERATION_KEY};
use crate::error::Error;

/// Documents looked at in one request.
pub(super) const PAGE: usize = 256;

impl Sender {
    /// Removes the chunks of documents from their number of chunks on, as far as no run from this
    /// one on wrote them; how many.
    pub(super) async fn delete_tails(&self, documents: &[(String, u64)]) -> Result<u64, Error> {
        let generation = self.generation()?;
        let mut removed = 0;
        for page in documents.chunks(PAGE) {
            let filter = Filter {
                should: page.iter().map(|(doc, count)| is_tail(doc, *count)).collect(),
                must_not: vec![not_before(generation)],
                ..Filter::default()
            };
            removed += self.delete(filter).await?;
        }
        Ok(removed)
    }

    /// Removes all chunks of documents that no run from this one on wrote; how many.
    pub(super) async fn delete_older_of(&self, docs: &[String]) -> Result<u64, Error> {
        let generation = self.generation()?;
        let mut removed = 0;
        for page in docs.chunks(PAGE) {
            let filter = Filter {
                must: vec![is_one_of(page.to_vec())],
                must_not: vec![not_before(generation)],
                ..Filter::default()
            };
            removed += self.delete(filter).await?;
        }
        Ok(removed)
    }

    /// Removes all points of documents that no run from this one on wrote; how many.
    pub(super) async fn delete_older(&self) -> Result<u64, Error> {
        let filter = Filter {
            must_not: vec![is_empty(DOC_KEY), not_before(self.generation()?)],
            ..Filter::default()
        };
        self.delete(filter).await
    }

    /// How many points match.
    pub(super) async fn count(&self, filter: Option<Filter>) -> Result<u64, Error> {
        let action = "count points";
        let message = CountPoints {
            collection_name: self.connection.collection.clone(),
            filter,
            exact: Some(true),
            ..CountPoints::default()
        };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, request) =
                    (self.connection.points(), self.request(message.clone()));
                async move { client.count(request).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        Ok(answer.into_inner().result.map_or(0, |result| result.count))
    }

    /// The largest generation in the collection.
    pub(super) async fn newest_generation(&self) -> Result<Option<u64>, Error> {
        let action = "read points";
        let message = ScrollPoints {
            collection_name: self.connection.collection.clone(),
            limit: Some(1),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector {
                    fields: vec![GENERATION_KEY.to_owned()],
                })),
            }),
            order_by: Some(OrderBy {
                key: GENERATION_KEY.to_owned(),
                direction: Some(Direction::Desc.into()),
                start_from: None,
            }),
            ..ScrollPoints::default()
        };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, request) =
                    (self.connection.points(), self.request(message.clone()));
                async move { client.scroll(request).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        let point = answer.into_inner().result.into_iter().next();
        let kind = point.and_then(|mut point| point.payload.remove(GENERATION_KEY)?.kind);
        match kind {
            Some(Kind::IntegerValue(generation)) => Ok(u64::try_from(generation).ok()),
            _ => Ok(None),
        }
    }

    /// Removes what matches; how many. Mostly there is nothing, and asking costs the node less.
    async fn delete(&self, filter: Filter) -> Result<u64, Error> {
        let action = "remove points";
        let found = self.count(Some(filter.clone())).await?;
        if found == 0 {
            return Ok(0);
        }
        let message = DeletePoints {
            collection_name: self.connection.collection.clone(),
            wait: Some(true),
            points: Some(PointsSelector {
                points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)),
            }),
            timeout: Some(self.options.server_wait_s),
            ..DeletePoints::default()
        };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, request) =
                    (self.connection.points(), self.request(message.clone()));
                async move { client.delete(request).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        let status = answer.into_inner().result.map(|result| result.status());
        if status != Some(UpdateStatus::Completed) {
            self.until_applied().await?;
        }
        Ok(found)
    }

    fn generation(&self) -> Result<u64, Error> {
        self.options.generation.ok_or_else(|| Error::Schema {
            column: None,
            why: "removing what is stale needs a `generation`".to_owned(),
        })
    }
}

/// Written by the run of this generation or a later one.
#[expect(clippy::cast_precision_loss, reason = "generations are at most 2^53")]
pub(super) fn not_before(generation: u64) -> Condition {
    range(GENERATION_KEY, generation as f64)
}

/// A chunk of this document beyond its number of chunks.
#[expect(clippy::cast_precision_loss, reason = "documents have fewer chunks than 2^53")]
pub(super) fn is_tail(doc: &str, count: u64) -> Condition {
    let filter = Filter {
        must: vec![is_one_of(vec![doc.to_owned()]), range(CHUNK_KEY, count as f64)],
        ..Filter::default()
    };
    Condition { condition_one_of: Some(ConditionOneOf::Filter(filter)) }
}

fn range(key: &str, gte: f64) -> Condition {
    field(FieldCondition {
        key: key.to_owned(),
        range: Some(Range { gte: Some(gte), ..Range::default() }),
        ..FieldCondition::default()
    })
}

fn is_one_of(docs: Vec<String>) -> Condition {
    field(FieldCondition {
        key: DOC_KEY.to_owned(),
        r#match: Some(Match {
            match_value: Some(MatchValue::Keywords(RepeatedStrings { strings: docs })),
        }),
        ..FieldCondition::default()
    })
}

fn is_empty(key: &str) -> Condition {
    let empty = IsEmptyCondition { key: key.to_owned() };
    Condition { condition_one_of: Some(ConditionOneOf::IsEmpty(empty)) }
}

fn field(field: FieldCondition) -> Condition {
    Condition { condition_one_of: Some(ConditionOneOf::Field(field)) }
}
