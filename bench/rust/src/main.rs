//! What bench/ingest and bench/search compare besides Python: `bench-client JOB`, the job as JSON, the key in
//! `QDRANT_API_KEY`. Prints what it took as JSON.
//!
//! - `chunked`: writes by the official client's `upsert_points_chunked`;
//! - `encoded`: writes requests that are bytes before the clock starts, only sent: what no client can beat;
//! - `queries`: asks queries that are bytes before the clock starts, and looks at the answers no further.

mod encoded;
mod search;
mod upsert;

use std::error::Error;

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const DEADLINE: Duration = Duration::from_secs(60);

/// What is to be done; keys that only other ways need are passed over.
#[derive(Deserialize)]
struct Job {
    way: String,
    folder: String,
    grpc: String,
    collection: String,
    dimensions: usize,
    /// Points or queries in a request.
    batch: usize,
    /// Requests under way at a time.
    inflight: usize,
    /// How long queries are asked.
    #[serde(default)]
    seconds: f64,
    /// How many points a query finds.
    #[serde(default)]
    k: u64,
    /// Whether they come with their payload.
    #[serde(default)]
    payload: bool,
    /// The processes whose processor time is the server's.
    #[serde(default)]
    server_pids: Vec<u32>,
}

impl Job {
    fn url(&self) -> String {
        format!("http://{}", self.grpc)
    }

    /// The vectors of a file of floats, in little-endian order.
    fn vectors(&self, name: &str) -> Outcome<Vec<Vec<f32>>> {
        let bytes = fs_err::read(format!("{}/{name}", self.folder))?;
        let (numbers, _) = bytes.as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        Ok(numbers.chunks_exact(self.dimensions).map(<[f32]>::to_vec).collect())
    }
}

fn main() -> Outcome<()> {
    let job: Job = serde_json::from_str(&std::env::args().nth(1).ok_or("bench-client JOB")?)?;
    let key: MetadataValue<Ascii> = std::env::var("QDRANT_API_KEY")?.parse()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures: Value = match job.way.as_str() {
        "chunked" => runtime.block_on(upsert::chunked(&job, &key)),
        "encoded" => runtime.block_on(upsert::encoded(&job, &key)),
        "queries" => runtime.block_on(search::queries(&job, &key)),
        other => Err(format!("way `{other}` is none of chunked, encoded, queries").into()),
    }?;
    println!("{figures}");
    Ok(())
}

/// The processor time of the server so far, in seconds.
fn server_cpu(job: &Job) -> Outcome<f64> {
    let mut ticks = 0u64;
    for pid in &job.server_pids {
        let stat = fs_err::read_to_string(format!("/proc/{pid}/stat"))?;
        let (_, fields) = stat.rsplit_once(')').ok_or("a line of /proc cannot be read")?;
        for field in fields.split_whitespace().skip(11).take(2) {
            ticks += field.parse::<u64>()?;
        }
    }
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The processor time of this process so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}
