//! Asking queries, from now until some seconds have passed.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use prost::Message;
use qdrant_client::qdrant::{
    QueryBatchPoints, QueryBatchResponse, QueryPoints, QueryPointsBuilder, QueryResponse,
};
use serde_json::{Value, json};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;

use crate::encoded::{connect, send};
use crate::{Job, Outcome, cpu_time, server_cpu};

pub(crate) async fn queries(job: &Job, key: &MetadataValue<Ascii>) -> Outcome<Value> {
    let vectors = job.vectors("queries.f32")?;
    let queries: Vec<QueryPoints> = vectors.into_iter().map(|vector| query(job, vector)).collect();
    let requests: Vec<Bytes> = queries.chunks(job.batch).map(|part| encode(job, part)).collect();
    let channel = connect(job).await?;
    // Once before it counts, as the others do.
    ask(job, key, &channel, &requests, Instant::now()).await?;
    let (wall, cpu, server) = (Instant::now(), cpu_time(), server_cpu(job)?);
    let until = wall + Duration::from_secs_f64(job.seconds);
    let mut taken = ask(job, key, &channel, &requests, until).await?;
    let (wall, cpu, server) = (wall.elapsed(), cpu_time() - cpu, server_cpu(job)? - server);
    taken.sort_unstable();
    let asked = taken.len() as f64 * job.batch as f64;
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1000.0;
    Ok(json!({
        "per_s": asked / wall.as_secs_f64(),
        "cpu_ms_each": cpu.as_secs_f64() * 1000.0 / asked,
        "server_cpu_ms_each": server * 1000.0 / asked,
        "p50_ms": at(0.5),
        "p99_ms": at(0.99),
    }))
}

fn query(job: &Job, vector: Vec<f32>) -> QueryPoints {
    QueryPointsBuilder::new(&job.collection)
        .query(vector)
        .limit(job.k)
        .with_payload(job.payload)
        .build()
}

/// One query as itself, several as a batch.
fn encode(job: &Job, queries: &[QueryPoints]) -> Bytes {
    if let [query] = queries {
        return query.encode_to_vec().into();
    }
    let collection_name = job.collection.clone();
    let query_points = queries.to_vec();
    QueryBatchPoints { collection_name, query_points, ..QueryBatchPoints::default() }
        .encode_to_vec()
        .into()
}

/// All requests once, and over again until the time; how long each took.
async fn ask(
    job: &Job,
    key: &MetadataValue<Ascii>,
    channel: &Channel,
    requests: &[Bytes],
    until: Instant,
) -> Outcome<Vec<Duration>> {
    let numbers =
        (0usize..).take_while(|number| *number < requests.len() || Instant::now() < until);
    stream::iter(numbers)
        .map(|number| {
            let (request, channel) = (requests[number % requests.len()].clone(), channel.clone());
            async move {
                let began = Instant::now();
                let found = if job.batch == 1 {
                    let answer: QueryResponse =
                        send(channel, key, "/qdrant.Points/Query", request).await?;
                    vec![answer.result.len()]
                } else {
                    let answer: QueryBatchResponse =
                        send(channel, key, "/qdrant.Points/QueryBatch", request).await?;
                    answer.result.iter().map(|one| one.result.len()).collect()
                };
                let wanted = usize::try_from(job.k)?;
                if found.len() != job.batch || found.iter().any(|one| *one != wanted) {
                    return Err("a query did not find what it should".into());
                }
                Ok(began.elapsed())
            }
        })
        .buffer_unordered(job.inflight)
        .try_collect()
        .await
}
