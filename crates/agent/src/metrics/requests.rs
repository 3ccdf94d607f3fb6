//! What the gateway has answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec};
use qmoor_plan::access::{Effect, Role};
use qmoor_plan::history::Totals;
use qmoor_plan::metrics;

use super::MetricsError;
use super::page::{Page, opts};

/// Upper bounds of the durations, in seconds: from a search in memory to a bulk upsert that was held.
pub(crate) const BUCKETS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// One request that is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answered {
    /// Whose key it had, if it had a right one.
    pub(crate) role: Option<Role>,
    /// Of the list's set.
    pub(crate) operation: &'static str,
    /// Of HTTP.
    pub(crate) status: u16,
    /// Of gRPC.
    pub(crate) grpc_status: Option<i32>,
    /// Whether the answer broke off.
    pub(crate) cut: bool,
    /// Whether the key's role or its collections did not allow it.
    pub(crate) forbidden: bool,
    /// What it does to the engine; nothing when the gateway answers it by itself.
    pub(crate) effect: Option<Effect>,
    /// From its head to the end of its answer.
    pub(crate) took: Duration,
}

/// Counts of requests.
#[derive(Debug)]
pub(crate) struct Requests {
    total: IntCounterVec,
    seconds: HistogramVec,
    forbidden: AtomicU64,
    /// The same over all operations of the engine, for the history.
    reads: AtomicU64,
    writes: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len() + 1],
}

impl Requests {
    pub(super) fn new() -> Result<Self, MetricsError> {
        let (total, seconds) = (metrics::REQUESTS, metrics::SECONDS);
        let buckets = HistogramOpts::new(seconds.name, seconds.help).buckets(BUCKETS.to_vec());
        Ok(Self {
            total: IntCounterVec::new(opts(&total), total.labels)?,
            seconds: HistogramVec::new(buckets, seconds.labels)?,
            forbidden: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
        })
    }

    /// Counts one.
    pub(crate) fn note(&self, answered: &Answered) {
        let role = answered.role.map_or("none", Role::as_str);
        let labels = [role, answered.operation, class(answered)];
        self.total.with_label_values(&labels).inc();
        let seconds = answered.took.as_secs_f64();
        self.seconds.with_label_values(&[answered.operation]).observe(seconds);
        if answered.forbidden {
            self.forbidden.fetch_add(1, Ordering::Relaxed);
        }
        // What is turned away at the door is no traffic.
        let (Some(effect), Some(_)) = (answered.effect, answered.role) else { return };
        let count = match effect {
            Effect::Read => &self.reads,
            Effect::Write => &self.writes,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if let Some(bucket) = self.buckets.get(BUCKETS.partition_point(|bound| *bound < seconds)) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What has been counted of the engine's operations since the start.
    pub(crate) fn totals(&self) -> Totals {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            reads: count(&self.reads),
            writes: count(&self.writes),
            buckets: self.buckets.iter().map(count).collect(),
        }
    }

    pub(super) fn forbidden(&self) -> u64 {
        self.forbidden.load(Ordering::Relaxed)
    }

    pub(super) fn show(&self, page: &Page) -> Result<(), MetricsError> {
        page.add(self.total.clone())?;
        page.add(self.seconds.clone())
    }
}

/// The class of a status. A gRPC answer has status 200 whatever it says, so its own code counts.
fn class(answered: &Answered) -> &'static str {
    if answered.cut {
        return "cut";
    }
    let by_code = answered.grpc_status.filter(|_| answered.status == 200);
    match (by_code.map(tonic::Code::from_i32), answered.status) {
        (Some(code), _) => class_of_code(code),
        (None, ..=299) => "2xx",
        (None, 300..=399) => "3xx",
        (None, 400..=499) => "4xx",
        (None, 500..) => "5xx",
    }
}

/// The class that the same answer has over HTTP.
fn class_of_code(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "2xx",
        Code::Cancelled
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unauthenticated => "4xx",
        Code::Unknown
        | Code::DeadlineExceeded
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => "5xx",
    }
}

#[cfg(test)]
impl Requests {
    pub(crate) fn for_tests() -> Self {
        Self::new().unwrap()
    }
}

/// A search that took 3 ms.
#[cfg(test)]
pub(crate) fn answered_for_tests() -> Answered {
    Answered {
        role: Some(Role::Search),
        operation: "points.query",
        status: 200,
        grpc_status: None,
        cut: false,
        forbidden: false,
        effect: Some(Effect::Read),
        took: Duration::from_millis(3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, grpc_status: Option<i32>) -> Answered {
        Answered { status, grpc_status, forbidden: status == 403, ..answered_for_tests() }
    }

    #[test]
    fn the_history_counts_what_the_engine_was_asked_with_a_right_key() {
        let requests = Requests::new().unwrap();
        requests.note(&answered(200, None));
        requests.note(&Answered { effect: Some(Effect::Write), ..answered(200, None) });
        requests.note(&Answered { effect: None, ..answered(200, None) });
        requests.note(&Answered { role: None, ..answered(401, None) });
        requests.note(&Answered { took: Duration::from_secs(90), ..answered(200, None) });
        let totals = requests.totals();
        assert_eq!((totals.reads, totals.writes), (2, 1));
        assert_eq!((totals.buckets[2], totals.buckets[BUCKETS.len()]), (2, 1));
        assert_eq!(totals.buckets.iter().sum::<u64>(), 3);
    }

    #[test]
    fn an_answer_over_grpc_has_the_class_of_the_same_answer_over_http() {
        for (status, grpc_status, expected) in [
            (200, None, "2xx"),
            (200, Some(0), "2xx"),
            (200, Some(5), "4xx"),
            (200, Some(8), "4xx"),
            (200, Some(14), "5xx"),
            (200, Some(99), "5xx"),
            (502, Some(0), "5xx"),
            (301, None, "3xx"),
            (404, None, "4xx"),
            (499, None, "4xx"),
            (503, None, "5xx"),
        ] {
            assert_eq!(class(&answered(status, grpc_status)), expected, "{status} {grpc_status:?}");
        }
        assert_eq!(class(&Answered { cut: true, ..answered(200, Some(0)) }), "cut");
    }

    #[test]
    fn what_was_counted_is_what_is_shown() {
        let requests = Requests::new().unwrap();
        requests.note(&answered(200, None));
        requests.note(&answered(200, Some(0)));
        requests.note(&answered(403, None));
        requests.note(&Answered { role: None, ..answered(401, None) });
        let page = Page::new();
        requests.show(&page).unwrap();
        let text = page.text().unwrap();
        for line in [
            r#"qmoor_gateway_requests_total{operation="points.query",role="search",status="2xx"} 2"#,
            r#"qmoor_gateway_requests_total{operation="points.query",role="search",status="4xx"} 1"#,
            r#"qmoor_gateway_requests_total{operation="points.query",role="none",status="4xx"} 1"#,
            r#"qmoor_gateway_request_duration_seconds_bucket{operation="points.query",le="0.0025"} 0"#,
            r#"qmoor_gateway_request_duration_seconds_bucket{operation="points.query",le="0.005"} 4"#,
            r#"qmoor_gateway_request_duration_seconds_count{operation="points.query"} 4"#,
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
        assert_eq!(requests.forbidden(), 1);
    }
}
