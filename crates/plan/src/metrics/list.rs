//! The list.

use super::{Kind, Metric};

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Metric {
    Metric { name, kind: Kind::Histogram, labels, help }
}

/// Declares metrics, and says which there are in each part of the page.
macro_rules! metrics {
    ($($part:literal, $about:literal { $($constant:ident = $metric:expr;)+ })+) => {
        $($(
            #[allow(missing_docs, reason = "its help says it")]
            pub const $constant: Metric = $metric;
        )+)+

        /// All of them: parts with a title, a sentence, and their metrics.
        pub const PARTS: &[(&str, &str, &[Metric])] = &[$(($part, $about, &[$($constant),+])),+];
    };
}

metrics! {
"The node", "" {
    BUILD_INFO = gauge("qmoor_build_info", &["version", "engine", "api_version"],
        "Always 1; its labels say which qmoor runs, which kind of engine, and the version of Qdrant's API that it speaks");
    START_TIME = gauge("qmoor_start_time_seconds", &[],
        "When the agent started, in seconds since 1970");
}
"The gateway", "A request counts when it is over, however it ends. `operation` is the name on the list of what each role \
may do, like `points.query`; what is not on it is `unlisted`." {
    REQUESTS = counter("qmoor_gateway_requests_total", &["role", "operation", "status"],
        "Requests by the role of their key (`none` without a right one), operation and class of the status: `2xx` to `5xx`, \
over gRPC that of the HTTP status with the same meaning, and `cut` for an answer that broke off");
    SECONDS = histogram("qmoor_gateway_request_duration_seconds", &["operation"],
        "Time from a request's head to the end of its answer, waiting at the gate included");
    IN_FLIGHT = gauge("qmoor_gateway_in_flight", &["effect"],
        "Requests that the engine is working on; `effect` is `read` or `write`");
    HOLDING = gauge("qmoor_gateway_holding", &["effect"],
        "Whether requests of this effect are held at this moment, 0 or 1");
    HELD = gauge("qmoor_gateway_held", &[],
        "Requests that wait at the gate");
    SHED = counter("qmoor_gateway_shed_total", &[],
        "Requests that were told to come again because a hold outlasted them or too many waited already");
    DENIED = counter("qmoor_gateway_denied_total", &["reason"],
        "Requests that were turned away: `no_key` without a right key, `too_many` the same from an address that had many of \
them, `forbidden` what the key's role or its collections do not allow");
}
"The audit log", "" {
    AUDIT_LOST = counter("qmoor_audit_lost_total", &[],
        "Records of the audit log that could not be written to it; they are in the agent's log only");
}
"The engine", "" {
    ENGINE_UP = gauge("qmoor_engine_up", &[],
        "Whether the engine runs and has answered since its start, 0 or 1; 0 while a backup has stopped it");
    ENGINE_READY = gauge("qmoor_engine_ready_seconds", &[],
        "How long the last start took until the engine answered");
    ENGINE_RESTARTS = counter("qmoor_engine_restarts_total", &[],
        "Starts of the engine after the first one, those that end a backup included");
    ENGINE_UNCLEAN = counter("qmoor_engine_unclean_stops_total", &[],
        "Ends of the engine by itself, by force, or with another exit code than 0");
    ENGINE_SCRAPED = gauge("qmoor_engine_metrics_scraped", &[],
        "Whether the engine gave its own metrics in time for this answer, 0 or 1; if not, they are left out");
    COLLECTION_POINTS = gauge("qmoor_collection_points", &["collection"],
        "Points of each collection when a backup last counted them; not there before the first backup of this agent");
}
"Backups", "They come from the node's journal, so they outlive a restart. A time is in seconds since 1970, and 0 for never." {
    BACKUP_SUCCESS = gauge("qmoor_backup_last_success_timestamp_seconds", &[],
        "When the last complete backup ended");
    BACKUP_ATTEMPT = gauge("qmoor_backup_last_attempt_timestamp_seconds", &[],
        "When a backup was last begun, however it ended");
    BACKUP_PAUSE = gauge("qmoor_backup_last_pause_seconds", &["grade"],
        "How long the last complete backup held writes; `grade` is `clean`, `frozen`, `crash` or `unknown`");
    BACKUP_ADDED = gauge("qmoor_backup_last_added_bytes", &["grade"],
        "What the store grew by in the last complete backup");
    BACKUP_POINTS = gauge("qmoor_backup_last_points", &["grade"],
        "Points in the last complete backup");
    BACKUPS_COMPLETE = gauge("qmoor_backups_complete", &[],
        "Backups that are complete and not pruned");
    BACKUPS_VERIFIED = gauge("qmoor_backups_verified", &[],
        "Of these, those whose last check, by reading them back or by a drill, went well");
    BACKUP_VERIFIED = gauge("qmoor_backup_last_verified_timestamp_seconds", &[],
        "When a backup was last proved, by reading it back or by a drill");
    BACKUP_RUNNING = gauge("qmoor_backup_running", &[],
        "Whether a backup is being made, 0 or 1");
}
"Drills", "" {
    DRILL_SUCCESS = gauge("qmoor_drill_last_success_timestamp_seconds", &[],
        "When a drill last found everything as it should be; 0 for never");
    DRILL_RTO = gauge("qmoor_drill_last_rto_seconds", &[],
        "The recovery time that this drill measured; not there before the first one");
}
"Schedules", "For each of `schedule.backup` and `schedule.drill` that is set. They outlive a restart. A time is in seconds since \
1970, and 0 for never." {
    SCHEDULE_INTERVAL = gauge("qmoor_schedule_interval_seconds", &["schedule"],
        "The longest time between two of the next hundred runs; `schedule` is `backup` or `drill`");
    SCHEDULE_NEXT = gauge("qmoor_schedule_next_run_timestamp_seconds", &["schedule"],
        "When the next run begins");
    SCHEDULE_MISSED = gauge("qmoor_schedule_missed_runs", &["schedule"],
        "Runs that were missed, ever");
    SCHEDULE_LAST_MISSED = gauge("qmoor_schedule_last_missed_timestamp_seconds", &["schedule"],
        "When a run was last found to be missed");
}
"Notifications", "`channel` is `webhook` or `command`." {
    NOTIFICATIONS_SENT = counter("qmoor_notifications_sent_total", &["channel"],
        "Messages that were taken: with a status of 2xx, or with exit code 0");
    NOTIFICATIONS_FAILED = counter("qmoor_notifications_failed_total", &["channel"],
        "Messages that were not, after all tries");
    NOTIFICATIONS_DROPPED = counter("qmoor_notifications_dropped_total", &[],
        "Messages that were dropped because too many waited");
}
"The volume", "The file system that holds the data. Not there while it does not answer." {
    VOLUME_SIZE = gauge("qmoor_volume_size_bytes", &[],
        "Size of the file system");
    VOLUME_FREE = gauge("qmoor_volume_free_bytes", &[],
        "What the engine may still write");
    VOLUME_INODES = gauge("qmoor_volume_inodes", &[],
        "How many files the file system can have; 0 where there is no bound");
    VOLUME_INODES_FREE = gauge("qmoor_volume_inodes_free", &[],
        "How many more files it can have");
    VOLUME_GROWTH = gauge("qmoor_volume_growth_bytes_per_day", &[],
        "Bytes a day by which it fills, the median slope of the last 14 days; negative when it empties; not there before the \
node has seen a whole day");
    VOLUME_DAYS = gauge("qmoor_volume_days_to_full", &[],
        "Days until it is full at that rate; not there when it does not fill, or not within ten years");
}
"TLS", "With `gateway.tls_cert` only." {
    CERTIFICATE_DAYS = gauge("qmoor_tls_certificate_days_left", &[],
        "Days until the certificate in use ends; negative after its end");
}
}
