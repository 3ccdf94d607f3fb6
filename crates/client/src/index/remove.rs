//! Removing what the source no longer has. It comes last, when everything that replaces it is
//! written, and spares every id the source does have; so no failure before or in it loses text.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::{
    Condition, DeletePoints, Filter, IsEmptyCondition, PointsIdsList, PointsSelector, UpdateStatus,
};
use uuid::Uuid;

use super::point::wire_id;
use super::read::spill_error;
use super::write::{PAGE, Run, count};
use crate::ensure::DOC_KEY;
use crate::error::Error;
use crate::spill::{Entry, Sorted, Spill};
use crate::target::{SERVER_TIMEOUT, request};

/// Removes those orphans that are nowhere in the source; how many.
pub(super) async fn orphans(
    run: &Run,
    orphans: Spill,
    seen: Spill,
    removed: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, Error> {
    let mut orphans = Some(Walk::new(orphans).await?);
    let mut seen = Some(Walk::new(seen).await?);
    let mut total = 0;
    loop {
        let page = blocking((orphans.take(), seen.take()), |(orphans, seen)| {
            next_page(orphans.as_mut(), seen.as_mut())
        });
        let (walks, page) = page.await?;
        (orphans, seen) = walks;
        if page.is_empty() {
            return Ok(total);
        }
        total += delete(run, &page).await?;
        removed(total);
    }
}

/// Removes every point we wrote that is nowhere in the source; how many. Points that others wrote
/// into the collection stay.
pub(super) async fn all_but(
    run: &Run,
    seen: Spill,
    removed: &(dyn Fn(u64) + Send + Sync),
) -> Result<u64, Error> {
    let mut seen = Some(Walk::new(seen).await?);
    let ours = Filter {
        must_not: vec![Condition {
            condition_one_of: Some(ConditionOneOf::IsEmpty(IsEmptyCondition {
                key: DOC_KEY.to_owned(),
            })),
        }],
        ..Filter::default()
    };
    let mut scroll = run.scroll(ours);
    let mut total = 0;
    let mut last = 0;
    while let Some(page) = run.page(&mut scroll).await? {
        for id in &page {
            // The walk through `seen` goes forward only; out of order, it would take what is in
            // the source for something that is not.
            if id.as_u128() < last {
                return Err(Error::Unsupported {
                    action: "list points in the order of their ids".to_owned(),
                    message: format!("{id} came late"),
                });
            }
            last = id.as_u128();
        }
        let listed = blocking((seen.take(), page), |(seen, page)| {
            let mut gone = Vec::new();
            for id in page.iter() {
                if !has(seen.as_mut(), id.as_u128())? {
                    gone.push(*id);
                }
            }
            Ok(gone)
        });
        let ((walk, _), gone) = listed.await?;
        seen = walk;
        total += delete(run, &gone).await?;
        removed(total);
    }
    Ok(total)
}

/// A sorted set, and its entry in hand.
struct Walk {
    sorted: Sorted,
    head: Option<Entry>,
}

impl Walk {
    async fn new(spill: Spill) -> Result<Self, Error> {
        let (_, walk) = blocking(spill, |spill| {
            let mut sorted = spill.sorted()?;
            let head = sorted.next()?;
            Ok(Self { sorted, head })
        })
        .await?;
        Ok(walk)
    }

    fn step(&mut self) -> std::io::Result<()> {
        self.head = self.sorted.next()?;
        Ok(())
    }
}

/// Whether an id is in the walk; asked for in rising order.
fn has(walk: Option<&mut Walk>, id: u128) -> std::io::Result<bool> {
    let Some(walk) = walk else { return Ok(true) };
    while let Some((head, _)) = walk.head
        && head < id
    {
        walk.step()?;
    }
    Ok(walk.head.is_some_and(|(head, _)| head == id))
}

/// The next orphans that are not in the source.
fn next_page(
    orphans: Option<&mut Walk>,
    mut seen: Option<&mut Walk>,
) -> std::io::Result<Vec<Uuid>> {
    let mut page = Vec::new();
    let Some(orphans) = orphans else { return Ok(page) };
    while let Some((id, _)) = orphans.head
        && count(page.len()) < u64::from(PAGE)
    {
        orphans.step()?;
        let is_repeated = page.last().is_some_and(|last: &Uuid| last.as_u128() == id);
        if !is_repeated && !has(seen.as_deref_mut(), id)? {
            page.push(Uuid::from_u128(id));
        }
    }
    Ok(page)
}

/// Runs file work on the thread pool for it; what it works on goes in and comes out again.
async fn blocking<A: Send + 'static, B: Send + 'static>(
    mut on: A,
    work: impl FnOnce(&mut A) -> std::io::Result<B> + Send + 'static,
) -> Result<(A, B), Error> {
    tokio::task::spawn_blocking(move || work(&mut on).map(|result| (on, result)))
        .await
        .map_err(|error| Error::Internal(error.to_string()))?
        .map_err(spill_error)
}

async fn delete(run: &Run, ids: &[Uuid]) -> Result<u64, Error> {
    let action = "remove points";
    if ids.is_empty() || run.dry_run {
        return Ok(count(ids.len()));
    }
    let answer = run
        .patience
        .call(action, || {
            let mut client = run.connection.points();
            let ids = ids.iter().map(|id| wire_id(*id)).collect();
            let message = DeletePoints {
                collection_name: run.connection.collection.clone(),
                wait: Some(true),
                points: Some(PointsSelector {
                    points_selector_one_of: Some(PointsSelectorOneOf::Points(PointsIdsList {
                        ids,
                    })),
                }),
                timeout: Some(SERVER_TIMEOUT.as_secs()),
                ..DeletePoints::default()
            };
            async move {
                let answer = client.delete(request(message)).await?.into_inner();
                match answer.result.map(|result| result.status()) {
                    // In the log; nothing follows that would need it applied.
                    Some(
                        UpdateStatus::Completed
                        | UpdateStatus::WaitTimeout
                        | UpdateStatus::Acknowledged,
                    ) => Ok(()),
                    Some(UpdateStatus::ClockRejected | UpdateStatus::UnknownUpdateStatus)
                    | None => Err(tonic::Status::aborted("not applied")),
                }
            }
        })
        .await;
    answer.map_err(|failure| failure.name(&run.connection, action))?;
    Ok(count(ids.len()))
}
