//! Changing points: checked, resolved to ids, logged and applied, and made durable.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use qdrant_edge::{
    Condition, ConditionalInsertOperation, CreateIndex, DeletePayloadOp, EdgeShard,
    FieldIndexOperations, Filter, HasIdCondition, HasVectorCondition, JsonPath, PayloadOps,
    PointId, PointInsertOperations, PointOperations, PointStructPersisted, PointVectorsPersisted,
    ScrollRequest, SetPayloadOp, SparseVector, UpdateMode, UpdateOperation, UpdateVectorsOp,
    VectorOperations, VectorPersisted, VectorStructPersisted, WithPayloadInterface,
};

use super::checks::check_filter;
use super::log_sync::Ticket;
use super::schema::Kind;
use super::{Collection, Counter};
use crate::disk::check_room;
use crate::error::ApiError;
use crate::model::collection::CreateFieldIndex;
use crate::model::update::{
    DeletePayload, DeleteVectors, PointsSelector, SetPayload, UpdateOp, UpdateResult, UpdateStatus,
    UpdateVectors, Upsert,
};

/// How many ids one log entry names at most, when a filter is resolved to ids.
const IDS_PER_ENTRY: usize = 20_000;

impl Collection {
    /// Changes points. With `wait` the answer comes when the change is applied and on the disk;
    /// without, when it is applied and in the log.
    pub(crate) fn update(&self, op: UpdateOp, wait: bool) -> Result<UpdateResult, ApiError> {
        let checked = self.check(op)?;
        self.check_there()?;
        check_room(&self.dir)?;
        let (operation_id, ticket) = self.apply(checked)?;
        self.finish(operation_id, ticket, wait)
    }

    /// Several changes in order; stops at the first that fails.
    pub(crate) fn update_batch(
        &self,
        ops: Vec<UpdateOp>,
        wait: bool,
    ) -> Result<Vec<UpdateResult>, ApiError> {
        let checked =
            ops.into_iter().map(|op| self.check(op)).collect::<Result<Vec<Checked>, _>>()?;
        self.check_there()?;
        check_room(&self.dir)?;
        let mut applied = Vec::with_capacity(checked.len());
        for op in checked {
            applied.push(self.apply(op)?);
        }
        if wait && let Some((_, ticket)) = applied.last() {
            self.log.wait(*ticket)?;
        }
        Ok(applied.into_iter().map(|(operation_id, _)| result(operation_id, wait)).collect())
    }

    /// Makes a payload index.
    pub(crate) fn create_field_index(
        &self,
        request: CreateFieldIndex,
        wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        let CreateFieldIndex { field_name, field_schema } = request;
        let Some(schema) = field_schema else {
            return Err(ApiError::BadInput(format!(
                "Unable to infer type for the field '{field_name}'. Please specify `field_schema`"
            )));
        };
        self.check_there()?;
        check_room(&self.dir)?;
        let operation = FieldIndexOperations::CreateIndex(CreateIndex {
            field_name,
            field_schema: Some(schema),
        });
        self.update_index(operation, wait)
    }

    /// Removes a payload index.
    pub(crate) fn delete_field_index(
        &self,
        field: JsonPath,
        wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        self.update_index(FieldIndexOperations::DeleteIndex(field), wait)
    }

    fn update_index(
        &self,
        operation: FieldIndexOperations,
        wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        let checked = Checked::Whole(UpdateOperation::FieldIndexOperation(operation));
        let (operation_id, ticket) = self.apply(checked)?;
        self.finish(operation_id, ticket, wait)
    }

    fn finish(
        &self,
        operation_id: u64,
        ticket: Ticket,
        wait: bool,
    ) -> Result<UpdateResult, ApiError> {
        if wait {
            self.log.wait(ticket)?;
        }
        Ok(result(operation_id, wait))
    }

    /// Everything that can be checked without holding up other writers.
    fn check(&self, op: UpdateOp) -> Result<Checked, ApiError> {
        match op {
            UpdateOp::Upsert(upsert) => self.check_upsert(upsert),
            UpdateOp::Delete(points) => Ok(Checked::ByPoints(points, PerPoints::Delete)),
            UpdateOp::SetPayload(SetPayload { payload, points, key }) => {
                Ok(Checked::ByPoints(points, PerPoints::SetPayload { payload, key }))
            }
            UpdateOp::OverwritePayload(SetPayload { payload, points, key }) => {
                Ok(Checked::ByPoints(points, PerPoints::OverwritePayload { payload, key }))
            }
            UpdateOp::DeletePayload(DeletePayload { keys, points }) => {
                Ok(Checked::ByPoints(points, PerPoints::DeletePayload(keys)))
            }
            UpdateOp::ClearPayload(points) => {
                Ok(Checked::ByPoints(points, PerPoints::ClearPayload))
            }
            UpdateOp::UpdateVectors(UpdateVectors { points, update_filter, shard_key: _ }) => {
                check_filter(update_filter.as_ref())?;
                let points = points
                    .into_iter()
                    .map(|point| {
                        let vector = self.schema.stored(point.vector)?;
                        Ok(PointVectorsPersisted { id: point.id, vector })
                    })
                    .collect::<Result<Vec<_>, ApiError>>()?;
                Ok(Checked::Whole(UpdateOperation::VectorOperation(
                    VectorOperations::UpdateVectors(UpdateVectorsOp { points, update_filter }),
                )))
            }
            UpdateOp::DeleteVectors(DeleteVectors { points, vector }) => {
                for name in &vector {
                    self.schema.kind(name)?;
                }
                if vector.is_empty() {
                    return Err(ApiError::Validation(
                        "Validation error in JSON body: [vector: must not be empty]".into(),
                    ));
                }
                Ok(Checked::ByPoints(points, PerPoints::DeleteVectors(vector)))
            }
        }
    }

    fn check_upsert(&self, upsert: Upsert) -> Result<Checked, ApiError> {
        let Upsert { points, update_filter, update_mode } = upsert;
        check_filter(update_filter.as_ref())?;
        let points = points
            .into_iter()
            .map(|point| {
                Ok(PointStructPersisted {
                    id: point.id,
                    vector: self.schema.stored(point.vector)?,
                    payload: point.payload,
                })
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        let points = PointInsertOperations::PointsList(points);
        let operation = if update_filter.is_none() && update_mode == UpdateMode::Upsert {
            PointOperations::UpsertPoints(points)
        } else {
            PointOperations::UpsertPointsConditional(ConditionalInsertOperation {
                points_op: points,
                condition: update_filter.unwrap_or_default(),
                update_mode: Some(update_mode),
            })
        };
        Ok(Checked::Whole(UpdateOperation::PointOperation(operation)))
    }

    /// Logs and applies one change, after every change before it.
    fn apply(&self, op: Checked) -> Result<(u64, Ticket), ApiError> {
        let _waiting = Counter::up(&self.waiting);
        let mut writes = self.writes.lock();
        let shard = self.open_shard()?;
        let mut entries = self.entries(&shard, op)?.into_iter().peekable();
        let operation_id = writes.next_operation;
        writes.next_operation += 1;
        self.dirty.store(true, Ordering::Release);
        self.unoptimized.store(true, Ordering::Release);
        loop {
            let applied = entries.next().map_or(Ok(()), |entry| shard.update(entry));
            // An entry that could not be applied may be in the log all the same.
            let ticket = self
                .log
                .appended()
                .map_err(|error| ApiError::internal("cannot read the log's folder", &error));
            applied?;
            let ticket = ticket?;
            if entries.peek().is_none() {
                return Ok((operation_id, ticket));
            }
        }
    }
}

/// A change whose parts are all checked.
enum Checked {
    /// It goes to the log as it is.
    Whole(UpdateOperation),
    /// It names points, maybe by a filter. A filter is resolved to ids before it is logged: applied
    /// again after a crash it might find others.
    ByPoints(PointsSelector, PerPoints),
}

/// What to do with some points.
enum PerPoints {
    Delete,
    SetPayload { payload: qdrant_edge::Payload, key: Option<JsonPath> },
    OverwritePayload { payload: qdrant_edge::Payload, key: Option<JsonPath> },
    DeletePayload(Vec<JsonPath>),
    ClearPayload,
    DeleteVectors(Vec<String>),
}

impl Collection {
    /// A checked change as the log keeps it.
    fn entries(&self, shard: &EdgeShard, op: Checked) -> Result<Vec<UpdateOperation>, ApiError> {
        let (ids, what) = match op {
            Checked::Whole(operation) => return Ok(vec![operation]),
            Checked::ByPoints(PointsSelector::Ids(ids), what) => (ids, what),
            Checked::ByPoints(PointsSelector::Filter(filter), what) => {
                (matching(shard, filter)?, what)
            }
        };
        let mut entries = Vec::new();
        if ids.is_empty() {
            return Ok(entries);
        }
        if let PerPoints::DeleteVectors(names) = &what {
            for name in names {
                if self.schema.kind(name)? == Kind::Sparse {
                    entries.extend(emptied(shard, &ids, name)?);
                }
            }
        }
        if ids.len() <= IDS_PER_ENTRY {
            entries.push(entry(ids, &what));
        } else {
            entries.extend(ids.chunks(IDS_PER_ENTRY).map(|ids| entry(ids.to_vec(), &what)));
        }
        Ok(entries)
    }
}

/// Makes a sparse vector empty where there is one. Removing one leaves its terms in the storage
/// engine's index, to be found again when the point gets another; overwriting it takes them out.
fn emptied(
    shard: &EdgeShard,
    ids: &[PointId],
    name: &str,
) -> Result<Vec<UpdateOperation>, ApiError> {
    let having = Filter {
        must: Some(vec![
            Condition::HasId(HasIdCondition::from_iter(ids.iter().copied())),
            Condition::HasVector(HasVectorCondition { has_vector: name.to_owned() }),
        ]),
        ..Filter::default()
    };
    let ids = matching(shard, having)?;
    let empty = |id: &PointId| PointVectorsPersisted {
        id: *id,
        vector: VectorStructPersisted::Named(HashMap::from([(
            name.to_owned(),
            VectorPersisted::Sparse(SparseVector::default()),
        )])),
    };
    Ok(ids
        .chunks(IDS_PER_ENTRY)
        .map(|ids| {
            let points = ids.iter().map(empty).collect();
            let operation = UpdateVectorsOp { points, update_filter: None };
            UpdateOperation::VectorOperation(VectorOperations::UpdateVectors(operation))
        })
        .collect())
}

/// The ids a filter finds.
fn matching(shard: &EdgeShard, filter: Filter) -> Result<Vec<PointId>, ApiError> {
    check_filter(Some(&filter))?;
    let request = ScrollRequest {
        limit: Some(shard.info()?.points_count.max(1)),
        filter: Some(filter),
        with_payload: Some(WithPayloadInterface::Bool(false)),
        ..ScrollRequest::new()
    };
    let (records, _) = shard.scroll(request)?;
    Ok(records.into_iter().map(|record| record.id).collect())
}

fn entry(ids: Vec<PointId>, what: &PerPoints) -> UpdateOperation {
    let set = |payload: &qdrant_edge::Payload, key: &Option<JsonPath>, points| SetPayloadOp {
        payload: payload.clone(),
        points: Some(points),
        filter: None,
        key: key.clone(),
    };
    match what {
        PerPoints::Delete => UpdateOperation::PointOperation(PointOperations::DeletePoints { ids }),
        PerPoints::SetPayload { payload, key } => {
            UpdateOperation::PayloadOperation(PayloadOps::SetPayload(set(payload, key, ids)))
        }
        PerPoints::OverwritePayload { payload, key } => {
            UpdateOperation::PayloadOperation(PayloadOps::OverwritePayload(set(payload, key, ids)))
        }
        PerPoints::DeletePayload(keys) => {
            UpdateOperation::PayloadOperation(PayloadOps::DeletePayload(DeletePayloadOp {
                keys: keys.clone(),
                points: Some(ids),
                filter: None,
            }))
        }
        PerPoints::ClearPayload => {
            UpdateOperation::PayloadOperation(PayloadOps::ClearPayload { points: ids })
        }
        PerPoints::DeleteVectors(names) => UpdateOperation::VectorOperation(
            VectorOperations::DeleteVectors(ids.into(), names.clone()),
        ),
    }
}

fn result(operation_id: u64, wait: bool) -> UpdateResult {
    let status = if wait { UpdateStatus::Completed } else { UpdateStatus::Acknowledged };
    UpdateResult { operation_id, status }
}
