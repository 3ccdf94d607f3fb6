//! The writing half: what does a batch change, and sending that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, GetPoints, HasIdCondition, Match, PayloadIncludeSelector,
    RepeatedStrings, ScrollPoints, UpdateStatus, UpsertPoints, WithPayloadSelector,
};
use tonic::Status;
use uuid::Uuid;

use super::Rejected;
use super::dead::DeadLetters;
use super::point::{Point, uuid, wire_id};
use super::read::Batch;
use crate::ensure::{DOC_KEY, HASH_KEY};
use crate::error::{Error, is_about_a_row};
use crate::retry::{Failure, Patience, jitter};
use crate::target::{Connection, SERVER_TIMEOUT, request};

/// Ids listed at a time.
pub(super) const PAGE: u32 = 1000;

/// The longest pause between two looks at whether the node has caught up.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5);

/// What all batches of a run share.
pub(super) struct Run {
    pub(super) connection: Connection,
    pub(super) patience: Patience,
    pub(super) give_up_after: Duration,
    /// Nothing was in the collection when the run began, so nothing needs comparing.
    pub(super) is_fresh: bool,
    pub(super) dry_run: bool,
    pub(super) dead: Option<DeadLetters>,
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Done {
    pub(super) documents: u64,
    pub(super) written: u64,
    pub(super) unchanged: u64,
    pub(super) rejected: Vec<Rejected>,
    pub(super) skipped: u64,
    pub(super) bytes_read: u64,
    /// Points of documents that end in this batch which are not in it: to be removed, unless
    /// another batch has them.
    pub(super) orphans: Vec<Uuid>,
    pub(super) points: usize,
    pub(super) took: Duration,
    /// Whether the node said "later" meanwhile.
    pub(super) repeated: bool,
}

impl Run {
    /// Brings one batch into the collection.
    pub(super) async fn write(&self, batch: Batch) -> Result<Done, Error> {
        let begun = Instant::now();
        let retries = self.patience.retries();
        let Batch { points, ended, rejected, skipped, bytes_read, .. } = batch;
        let mut done = Done {
            documents: count(ended.len()),
            points: points.len(),
            rejected,
            skipped,
            bytes_read,
            ..Done::default()
        };
        let (hashes, orphans) =
            futures::try_join!(self.known(&points), self.orphans(&points, ended))?;
        done.orphans = orphans;
        let all = points.len();
        let changed: Vec<_> =
            points.into_iter().filter(|p| hashes.get(&p.id) != Some(&p.hash)).collect();
        done.unchanged = count(all - changed.len());
        if self.dry_run {
            done.written = count(changed.len());
        } else {
            self.upsert_all(changed, &mut done).await?;
        }
        done.took = begun.elapsed();
        done.repeated = self.patience.retries() > retries;
        Ok(done)
    }

    /// Sends points; a batch that is refused for good is halved until the row to blame is found.
    async fn upsert_all(&self, points: Vec<Point>, done: &mut Done) -> Result<(), Error> {
        let mut work = vec![points];
        while let Some(mut points) = work.pop() {
            if points.is_empty() {
                continue;
            }
            let refusal = match self.upsert(&points).await? {
                Ok(()) => {
                    done.written += count(points.len());
                    continue;
                }
                Err(refusal) => refusal,
            };
            if points.len() > 1 {
                let rest = points.split_off(points.len() / 2);
                work.push(rest);
                work.push(points);
                continue;
            }
            let place = points.first().map(|point| point.place.to_string()).unwrap_or_default();
            let message = refusal.message().to_owned();
            let Some(dead) = self.dead.clone() else {
                return Err(Error::Refused { place, message });
            };
            let rejected = Rejected { place, why: message };
            done.rejected.push(rejected.clone());
            tokio::task::spawn_blocking(move || dead.write(&rejected))
                .await
                .map_err(|error| Error::Internal(error.to_string()))??;
        }
        Ok(())
    }

    /// Sends points and waits until they are applied. The inner error is a refusal of one of them.
    async fn upsert(&self, points: &[Point]) -> Result<Result<(), Status>, Error> {
        let action = "write points";
        let begun = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(200);
        let mut to_send: Vec<&Point> = points.iter().collect();
        loop {
            let answer = self
                .patience
                .call(action, || {
                    let mut client = self.connection.points();
                    let message = self.upsertion(&to_send);
                    async move { client.upsert(request(message)).await }
                })
                .await;
            let status = match answer {
                Ok(answer) => answer.into_inner().result.map(|result| result.status()),
                Err(Failure::Final(status)) if is_about_a_row(&status) => return Ok(Err(status)),
                Err(failure) => return Err(failure.name(&self.connection, action)),
            };
            match status {
                Some(UpdateStatus::Completed) => return Ok(Ok(())),
                // Outdated by its own words: to be sent again.
                Some(UpdateStatus::ClockRejected | UpdateStatus::UnknownUpdateStatus) | None => {}
                // In the log and not yet applied: what shows up need not be sent again.
                Some(UpdateStatus::WaitTimeout | UpdateStatus::Acknowledged) => {
                    let hashes = self.hashes(points).await?;
                    to_send.retain(|point| hashes.get(&point.id) != Some(&point.hash));
                    if to_send.is_empty() {
                        return Ok(Ok(()));
                    }
                }
            }
            if begun.elapsed() > self.give_up_after {
                return Err(Error::GaveUp {
                    action: action.to_owned(),
                    waited: begun.elapsed(),
                    message: "the node accepted them and does not apply them".to_owned(),
                });
            }
            tokio::time::sleep(pause / 2 + jitter(pause / 2)).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }

    fn upsertion(&self, points: &[&Point]) -> UpsertPoints {
        UpsertPoints {
            collection_name: self.connection.collection.clone(),
            wait: Some(true),
            points: points.iter().map(|point| point.wire.clone()).collect(),
            timeout: Some(SERVER_TIMEOUT.as_secs()),
            ..UpsertPoints::default()
        }
    }

    /// As [`Run::hashes`], without asking where the answer is known.
    async fn known(&self, points: &[Point]) -> Result<HashMap<Uuid, String>, Error> {
        if self.is_fresh || points.is_empty() {
            return Ok(HashMap::new());
        }
        self.hashes(points).await
    }

    /// The hashes of those of these points that are in the collection.
    async fn hashes(&self, points: &[Point]) -> Result<HashMap<Uuid, String>, Error> {
        let action = "read points";
        let answer = self
            .patience
            .call(action, || {
                let mut client = self.connection.points();
                let message = GetPoints {
                    collection_name: self.connection.collection.clone(),
                    ids: points.iter().map(|point| wire_id(point.id)).collect(),
                    with_payload: Some(only(HASH_KEY)),
                    ..GetPoints::default()
                };
                async move { client.get(request(message)).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?;
        let hash = |kind: Option<Kind>| match kind {
            Some(Kind::StringValue(hash)) => Some(hash),
            Some(_) | None => None,
        };
        let found = answer.into_inner().result.into_iter().filter_map(|mut point| {
            let value = point.payload.remove(HASH_KEY)?;
            Some((uuid(point.id.as_ref())?, hash(value.kind)?))
        });
        Ok(found.collect())
    }

    /// The points of documents that are not among `points`.
    async fn orphans(&self, points: &[Point], docs: Vec<String>) -> Result<Vec<Uuid>, Error> {
        if self.is_fresh || docs.is_empty() {
            return Ok(Vec::new());
        }
        let ids = points.iter().map(|point| wire_id(point.id)).collect();
        let filter = Filter {
            must: vec![is_document(docs)],
            must_not: vec![Condition {
                condition_one_of: Some(ConditionOneOf::HasId(HasIdCondition { has_id: ids })),
            }],
            ..Filter::default()
        };
        let mut orphans = Vec::new();
        let mut scroll = self.scroll(filter);
        while let Some(page) = self.page(&mut scroll).await? {
            orphans.extend(page);
        }
        Ok(orphans)
    }

    /// Begins listing the ids that match.
    pub(super) fn scroll(&self, filter: Filter) -> Option<ScrollPoints> {
        Some(ScrollPoints {
            collection_name: self.connection.collection.clone(),
            filter: Some(filter),
            limit: Some(PAGE),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(SelectorOptions::Enable(false)),
            }),
            ..ScrollPoints::default()
        })
    }

    /// The next page of a listing, in order; `None` at its end.
    pub(super) async fn page(
        &self,
        scroll: &mut Option<ScrollPoints>,
    ) -> Result<Option<Vec<Uuid>>, Error> {
        let action = "list points";
        let Some(message) = scroll.take() else { return Ok(None) };
        let answer = self
            .patience
            .call(action, || {
                let (mut client, message) = (self.connection.points(), message.clone());
                async move { client.scroll(request(message)).await }
            })
            .await
            .map_err(|failure| failure.name(&self.connection, action))?
            .into_inner();
        if let Some(offset) = answer.next_page_offset {
            *scroll = Some(ScrollPoints { offset: Some(offset), ..message });
        }
        Ok(Some(answer.result.iter().filter_map(|point| uuid(point.id.as_ref())).collect()))
    }
}

fn is_document(docs: Vec<String>) -> Condition {
    let field = FieldCondition {
        key: DOC_KEY.to_owned(),
        r#match: Some(Match {
            match_value: Some(MatchValue::Keywords(RepeatedStrings { strings: docs })),
        }),
        ..FieldCondition::default()
    };
    Condition { condition_one_of: Some(ConditionOneOf::Field(field)) }
}

fn only(key: &str) -> WithPayloadSelector {
    let fields = vec![key.to_owned()];
    WithPayloadSelector {
        selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector { fields })),
    }
}

pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
