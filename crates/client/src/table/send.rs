//! Sending requests that are encoded already, so that sending one again costs nothing.

use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes};
use http::uri::PathAndQuery;
use prost::Message;
use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    Condition, DeletePoints, Filter, GetPoints, HasIdCondition, PayloadIncludeSelector, PointId,
    PointsOperationResponse, PointsSelector, UpdateStatus, UpsertPoints, WithPayloadSelector,
};
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::{Request, Status};
use uuid::Uuid;

use super::clean::not_before;
use super::pack::Batch;
use super::{BadRow, Budget, Durability, OnBadRow, WriteOptions};
use crate::ensure::GENERATION_KEY;
use crate::error::{Error, is_about_a_row};
use crate::retry::{Failure, Patience, jitter};
use crate::target::Connection;

const UPSERT: PathAndQuery = PathAndQuery::from_static("/qdrant.Points/Upsert");
/// The longest pause between two looks at whether the node has caught up.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(5);

/// What became of a request.
#[derive(Debug, Default)]
pub(super) struct Sent {
    pub(super) acked: u64,
    pub(super) pending: u64,
    /// Points that the node refused, by their number in the request.
    pub(super) refused: Vec<(usize, BadRow)>,
    pub(super) error: Option<Error>,
    pub(super) took: Duration,
    /// Whether it had to be repeated.
    pub(super) repeated: bool,
}

/// What became of some points.
enum Outcome {
    Applied,
    /// They are in the log, and nobody asked for more.
    Logged,
    /// One of them cannot be used.
    Refused(String),
    /// They are in the log, and nothing more is known.
    Pending(Error),
}

/// Sends the requests of one write.
pub(super) struct Sender {
    pub(super) connection: Connection,
    pub(super) patience: Patience,
    pub(super) options: WriteOptions,
    pub(super) budget: Budget,
}

impl Sender {
    pub(super) fn new(connection: &Connection, options: &WriteOptions, budget: &Budget) -> Self {
        let give_up_after = Duration::from_secs(options.give_up_after_s);
        let deadline = Duration::from_secs(options.deadline_s);
        Self {
            connection: connection.clone(),
            patience: Patience::with_deadline(give_up_after, deadline),
            options: options.clone(),
            budget: budget.clone(),
        }
    }

    /// What every request begins with.
    pub(super) fn head(&self) -> UpsertPoints {
        UpsertPoints {
            collection_name: self.connection.collection.clone(),
            wait: Some(self.options.durability == Durability::Applied),
            // A run that was thought dead must not write over what a later one wrote.
            update_filter: self.options.generation.map(|generation| Filter {
                must_not: vec![not_before(generation + 1)],
                ..Filter::default()
            }),
            timeout: Some(self.options.server_wait_s),
            ..UpsertPoints::default()
        }
    }

    /// A request that ends by itself.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.set_timeout(Duration::from_secs(self.options.deadline_s));
        request
    }

    /// Sends points. A request that is refused for good is halved until the row to blame is found.
    pub(super) async fn send(&self, batch: &Batch) -> Sent {
        let begun = Instant::now();
        let retries = self.patience.retries();
        let mut sent = Sent::default();
        let mut work = vec![(0..batch.len()).collect::<Vec<_>>()];
        while let Some(mut points) = work.pop() {
            if points.is_empty() {
                continue;
            }
            let count = u64::try_from(points.len()).unwrap_or(u64::MAX);
            match self.upsert(batch, &points).await {
                Ok(Outcome::Applied) => sent.acked += count,
                Ok(Outcome::Logged) => sent.pending += count,
                Ok(Outcome::Pending(error)) => {
                    sent.pending += count;
                    sent.error = Some(error);
                    break;
                }
                Ok(Outcome::Refused(_)) if points.len() > 1 => {
                    let rest = points.split_off(points.len() / 2);
                    work.push(rest);
                    work.push(points);
                }
                Ok(Outcome::Refused(why)) => {
                    let point = points.first().copied().unwrap_or_default();
                    let row = batch.rows.get(point).copied().unwrap_or_default();
                    let (column, why) = (None, format!("refused by the node: {why}"));
                    if self.options.on_bad_row == OnBadRow::Raise {
                        sent.error = Some(Error::BadRow { row, column, why });
                        break;
                    }
                    sent.refused.push((point, BadRow { row, column, why }));
                }
                Err(error) => {
                    sent.error = Some(error);
                    break;
                }
            }
        }
        sent.took = begun.elapsed();
        sent.repeated = self.patience.retries() > retries;
        sent
    }

    async fn upsert(&self, batch: &Batch, points: &[usize]) -> Result<Outcome, Error> {
        let action = "write points";
        let begun = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(100);
        let mut message = batch.message(points);
        loop {
            let _permit = self.budget.permit().await;
            let answer = self.patience.call(action, || self.put(message.clone())).await;
            let status = match answer {
                Ok(answer) => answer.result.map(|result| result.status()),
                Err(Failure::Final(status)) if is_about_a_row(&status) => {
                    return Ok(Outcome::Refused(status.message().to_owned()));
                }
                Err(failure) => return Err(failure.name(&self.connection, action)),
            };
            match status {
                Some(UpdateStatus::Completed) => return Ok(Outcome::Applied),
                Some(UpdateStatus::Acknowledged | UpdateStatus::WaitTimeout)
                    if self.options.durability == Durability::Wal =>
                {
                    return Ok(Outcome::Logged);
                }
                Some(UpdateStatus::Acknowledged | UpdateStatus::WaitTimeout) => {
                    // In the log: what the node will come to must not be sent again.
                    if let Err(error) = self.until_applied().await {
                        return Ok(Outcome::Pending(error));
                    }
                    let missing = self.missing(batch, points).await?;
                    if missing.is_empty() {
                        return Ok(Outcome::Applied);
                    }
                    message = batch.message(&missing);
                }
                // Outdated by its own words: to be sent again.
                Some(UpdateStatus::ClockRejected | UpdateStatus::UnknownUpdateStatus) | None => {}
            }
            self.give_up(begun)?;
            tokio::time::sleep(pause / 2 + jitter(pause / 2)).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }

    fn give_up(&self, begun: tokio::time::Instant) -> Result<(), Error> {
        if begun.elapsed() <= Duration::from_secs(self.options.give_up_after_s) {
            return Ok(());
        }
        Err(Error::GaveUp {
            action: "write points".to_owned(),
            waited: begun.elapsed(),
            message: "the node accepted them and does not apply them".to_owned(),
        })
    }

    async fn put(&self, message: Bytes) -> Result<PointsOperationResponse, Status> {
        let mut client = self.connection.raw();
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answer = client.unary(self.request(message), UPSERT, Raw).await?;
        Ok(answer.into_inner())
    }

    /// Waits until the node has applied all that it accepted before: changes are applied in order,
    /// and this one changes nothing.
    pub(super) async fn until_applied(&self) -> Result<(), Error> {
        let begun = tokio::time::Instant::now();
        loop {
            if self.touch(true).await? == Some(UpdateStatus::Completed) {
                return Ok(());
            }
            self.give_up(begun)?;
            let pause = LOOK_AGAIN_MAX / 10;
            tokio::time::sleep(pause / 2 + jitter(pause / 2)).await;
        }
    }

    /// A change of the collection that changes nothing: it removes a point that does not exist.
    pub(super) async fn touch(&self, wait: bool) -> Result<Option<UpdateStatus>, Error> {
        let action = "write points";
        let nobody = PointId::from(Uuid::new_v4().to_string());
        let filter = Filter {
            must: vec![Condition {
                condition_one_of: Some(ConditionOneOf::HasId(HasIdCondition {
                    has_id: vec![nobody],
                })),
            }],
            ..Filter::default()
        };
        let message = DeletePoints {
            collection_name: self.connection.collection.clone(),
            wait: Some(wait),
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
        Ok(answer.into_inner().result.map(|result| result.status()))
    }

    /// Those of some points that the collection does not have as they were sent.
    async fn missing(&self, batch: &Batch, points: &[usize]) -> Result<Vec<usize>, Error> {
        let action = "read points";
        let id = |point: &usize| batch.ids.get(*point).map(|id| id.wire());
        let message = GetPoints {
            collection_name: self.connection.collection.clone(),
            ids: points.iter().filter_map(id).collect(),
            with_payload: Some(WithPayloadSelector {
                selector_options: Some(SelectorOptions::Include(PayloadIncludeSelector {
                    fields: vec![GENERATION_KEY.to_owned()],
                })),
            }),
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
        let generation = self.options.generation.and_then(|wanted| i64::try_from(wanted).ok());
        let found = answer.into_inner().result.into_iter().filter(|point| {
            let kind = point.payload.get(GENERATION_KEY).and_then(|value| value.kind.as_ref());
            match (generation, kind) {
                (Some(wanted), Some(Kind::IntegerValue(found))) => *found >= wanted,
                (Some(_), _) => false,
                (None, _) => true,
            }
        });
        let found: std::collections::HashSet<_> =
            found.filter_map(|point| super::keys::Id::from_wire(point.id.as_ref())).collect();
        let is_missing =
            |point: &&usize| batch.ids.get(**point).is_some_and(|id| !found.contains(id));
        Ok(points.iter().filter(is_missing).copied().collect())
    }
}

/// Takes messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = PointsOperationResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        to.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = PointsOperationResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let answer = PointsOperationResponse::decode(from);
        answer.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
