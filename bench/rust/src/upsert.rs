//! Writing points.

use std::time::Instant;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use prost::Message;
use qdrant_client::qdrant::{
    PointStruct, PointsOperationResponse, UpdateStatus, UpsertPoints, UpsertPointsBuilder,
};
use qdrant_client::{Payload, Qdrant};
use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};

use crate::encoded::{connect, send};
use crate::{DEADLINE, Job, Outcome, cpu_time};

/// The points of `vectors.f32` and `payload.jsonl`; the ids are the rows' numbers.
fn read_points(job: &Job) -> Outcome<Vec<PointStruct>> {
    let vectors = job.vectors("vectors.f32")?;
    let payloads = fs_err::read_to_string(format!("{}/payload.jsonl", job.folder))?;
    if vectors.len() != payloads.lines().count() {
        return Err("vectors.f32 and payload.jsonl are not of the same length".into());
    }
    (0u64..)
        .zip(vectors.into_iter().zip(payloads.lines()))
        .map(|(id, (vector, line))| {
            let payload = Payload::try_from(serde_json::from_str::<Value>(line)?)?;
            Ok(PointStruct::new(id, vector, payload))
        })
        .collect()
}

/// Runs the work, from the first connection on, and says what it took.
async fn measured(work: impl Future<Output = Outcome<()>>) -> Outcome<Value> {
    // The most memory so far was for reading the data; from here on it counts.
    fs_err::write("/proc/self/clear_refs", "5")?;
    let held = memory_mib("VmRSS:")?;
    let (wall, cpu) = (Instant::now(), cpu_time());
    work.await?;
    let (wall, cpu) = (wall.elapsed(), cpu_time() - cpu);
    Ok(json!({
        "wall_s": wall.as_secs_f64(),
        "cpu_s": cpu.as_secs_f64(),
        "held_mib": held,
        "own_peak_mib": memory_mib("VmHWM:")?,
    }))
}

fn memory_mib(field: &str) -> Outcome<f64> {
    let status = fs_err::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap_or_default();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

pub(crate) async fn chunked(job: &Job, key: &MetadataValue<Ascii>) -> Outcome<Value> {
    let points = read_points(job)?;
    measured(async {
        let client = Qdrant::from_url(&job.url())
            .api_key(key.to_str()?)
            .timeout(DEADLINE)
            .skip_compatibility_check()
            .build()?;
        let request = UpsertPointsBuilder::new(&job.collection, points).wait(true);
        completed(&client.upsert_points_chunked(request, job.batch).await?)
    })
    .await
}

pub(crate) async fn encoded(job: &Job, key: &MetadataValue<Ascii>) -> Outcome<Value> {
    let requests: Vec<Bytes> = read_points(job)?
        .chunks(job.batch)
        .map(|points| {
            let request = UpsertPoints {
                collection_name: job.collection.clone(),
                wait: Some(true),
                points: points.to_vec(),
                ..UpsertPoints::default()
            };
            request.encode_to_vec().into()
        })
        .collect();
    measured(async {
        let channel = connect(job).await?;
        stream::iter(&requests)
            .map(|request| send(channel.clone(), key, "/qdrant.Points/Upsert", request.clone()))
            .buffer_unordered(job.inflight)
            .try_for_each(async |answer| completed(&answer))
            .await
    })
    .await
}

fn completed(answer: &PointsOperationResponse) -> Outcome<()> {
    match &answer.result {
        Some(result) if result.status() == UpdateStatus::Completed => Ok(()),
        other => Err(format!("a request was not applied: {other:?}").into()),
    }
}
