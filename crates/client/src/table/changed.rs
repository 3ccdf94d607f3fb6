//! Which rows differ from what is there, asked before they are embedded.

use std::collections::{HashMap, HashSet};

use arrow_array::RecordBatch;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, Filter, GetPoints, HasIdCondition, PayloadIncludeSelector, PointsSelector,
    ScrollPoints, SetPayloadPoints, UpdateStatus, Value, WithPayloadSelector,
};

use super::TableSchema;
use super::clean::{PAGE, is_tail, not_before};
use super::columns::Fault;
use super::keys::{Id, Key, Keys};
use super::send::Sender;
use crate::ensure::{DOC_KEY, GENERATION_KEY, HASH_KEY};
use crate::error::Error;

/// Points asked for in one request.
const POINTS: usize = 1000;

impl Sender {
    /// Of each row, whether it is to be written: it is not in the collection with the same hash, or
    /// it is the last chunk of a document that has chunks behind it there. With a generation, the
    /// rows that are not get it.
    pub(super) async fn changed(
        &self,
        schema: &TableSchema,
        batch: &RecordBatch,
    ) -> Result<Vec<bool>, Error> {
        if schema.hash.is_none() {
            let why = "telling what changed needs a column of hashes (`hash`)".to_owned();
            return Err(Error::Schema { column: None, why });
        }
        let keys = Keys::new(schema, batch)?;
        let rows: Vec<Key<'_>> = (0..batch.num_rows())
            .map(|row| {
                keys.row(row).map_err(|Fault { column, why }| Error::BadRow {
                    row: u64::try_from(row).unwrap_or(u64::MAX),
                    column,
                    why,
                })
            })
            .collect::<Result<_, _>>()?;
        let mut changed = Vec::with_capacity(rows.len());
        for page in rows.chunks(POINTS) {
            let found = self.hashes(page).await?;
            changed.extend(page.iter().map(|key| match (found.get(&key.id), key.hash) {
                (Some(found), Some(hash)) => found != hash,
                _ => true,
            }));
        }
        let mut last: Vec<(&str, u64, usize)> = Vec::new();
        for (at, (key, changed)) in rows.iter().zip(&changed).enumerate() {
            if let (false, Some(doc), Some(chunk), Some(count)) =
                (*changed, key.doc, key.chunk, key.count)
                && chunk + 1 == count
            {
                last.push((doc, count, at));
            }
        }
        for page in last.chunks(PAGE) {
            let longer = self.longer(page).await?;
            for (doc, _, at) in page {
                if let Some(changed) = changed.get_mut(*at) {
                    *changed = longer.contains(*doc);
                }
            }
        }
        if let Some(generation) = self.options.generation {
            let kept = rows.iter().zip(&changed).filter(|(_, changed)| !**changed);
            let kept: Vec<Id> = kept.map(|(key, _)| key.id).collect();
            for page in kept.chunks(POINTS) {
                self.renew(page, generation).await?;
            }
        }
        Ok(changed)
    }

    /// The hashes of those of these points that are in the collection.
    async fn hashes(&self, keys: &[Key<'_>]) -> Result<HashMap<Id, String>, Error> {
        let action = "read points";
        let message = GetPoints {
            collection_name: self.connection.collection.clone(),
            ids: keys.iter().map(|key| key.id.wire()).collect(),
            with_payload: Some(only(HASH_KEY)),
            ..GetPoints::default()
        };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, request) =
                    (self.connection.points(), self.request(message.clone()));
                async move { client.get(request).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        let found = answer.into_inner().result.into_iter().filter_map(|mut point| {
            let hash = text(point.payload.remove(HASH_KEY))?;
            Some((Id::from_wire(point.id.as_ref())?, hash))
        });
        Ok(found.collect())
    }

    /// The documents that have chunks from their number of chunks on.
    async fn longer(&self, page: &[(&str, u64, usize)]) -> Result<HashSet<String>, Error> {
        let action = "read points";
        let tails = page.iter().map(|(doc, count, _)| is_tail(doc, *count));
        let filter = Filter { should: tails.collect(), ..Filter::default() };
        let mut message = ScrollPoints {
            collection_name: self.connection.collection.clone(),
            filter: Some(filter),
            limit: u32::try_from(POINTS).ok(),
            with_payload: Some(only(DOC_KEY)),
            ..ScrollPoints::default()
        };
        let mut longer = HashSet::new();
        loop {
            let answer = self
                .patience
                .call(action, || {
                    let (mut client, request) =
                        (self.connection.points(), self.request(message.clone()));
                    async move { client.scroll(request).await }
                })
                .await
                .map_err(|failure| failure.name(&self.connection, action))?
                .into_inner();
            let docs = answer.result.into_iter();
            longer.extend(docs.filter_map(|mut point| text(point.payload.remove(DOC_KEY))));
            match answer.next_page_offset {
                Some(offset) => message.offset = Some(offset),
                None => return Ok(longer),
            }
        }
    }

    /// Gives points this generation, unless they have it or a later one.
    async fn renew(&self, ids: &[Id], generation: u64) -> Result<(), Error> {
        let action = "write points";
        let ids = HasIdCondition { has_id: ids.iter().map(|id| id.wire()).collect() };
        let filter = Filter {
            must: vec![Condition { condition_one_of: Some(ConditionOneOf::HasId(ids)) }],
            must_not: vec![not_before(generation)],
            ..Filter::default()
        };
        let value =
            Value { kind: Some(Kind::IntegerValue(i64::try_from(generation).unwrap_or(i64::MAX))) };
        let message = SetPayloadPoints {
            collection_name: self.connection.collection.clone(),
            wait: Some(true),
            payload: HashMap::from([(GENERATION_KEY.to_owned(), value)]),
            points_selector: Some(PointsSelector {
                points_selector_one_of: Some(PointsSelectorOneOf::Filter(filter)),
            }),
            timeout: Some(self.options.server_wait_s),
            ..SetPayloadPoints::default()
        };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, request) =
                    (self.connection.points(), self.request(message.clone()));
                async move { client.set_payload(request).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        let status = answer.into_inner().result.map(|result| result.status());
        if status != Some(UpdateStatus::Completed) {
            self.until_applied().await?;
        }
        Ok(())
    }
}

fn only(key: &str) -> WithPayloadSelector {
    let fields = vec![key.to_owned()];
    WithPayloadSelector {
        selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector { fields })),
    }
}

fn text(value: Option<Value>) -> Option<String> {
    match value?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}
