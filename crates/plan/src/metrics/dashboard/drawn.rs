//! Panels that are drawn by hand, in the order in which they are shown.

use super::super::{
    BACKUP_ATTEMPT, BACKUP_POINTS, BACKUP_RUNNING, BACKUP_SUCCESS, BACKUP_VERIFIED,
    BACKUPS_COMPLETE, BACKUPS_VERIFIED, BUILD_INFO, CERTIFICATE_DAYS, COLLECTION_POINTS, DENIED,
    DRILL_RTO, DRILL_SUCCESS, ENGINE_READY, ENGINE_RESTARTS, ENGINE_SCRAPED, ENGINE_UNCLEAN,
    ENGINE_UP, HELD, HOLDING, IN_FLIGHT, REQUESTS, SECONDS, SHED, START_TIME, VOLUME_FREE,
    VOLUME_INODES, VOLUME_INODES_FREE, VOLUME_SIZE,
};
use super::panel::Shape::{Graph, Names, Now, States};
use super::panel::{Panel, WHEN, in_an_hour, percentile, rate, since, used, value, value_as, when};

/// All of them. A panel is in the row of the first metric that it shows.
pub(super) fn panels() -> Vec<Panel> {
    [node(), door(), engine(), backups(), drills(), volume(), certificate()].concat()
}

fn node() -> Vec<Panel> {
    vec![
        Panel::new("Version, kind of engine, API", Names, "short", vec![value(&BUILD_INFO)]),
        Panel::new("Agent up for", Now, "s", vec![since(&START_TIME)]),
    ]
}

fn door() -> Vec<Panel> {
    let latency = vec![
        percentile(&SECONDS, 50, &[], "p50"),
        percentile(&SECONDS, 95, &[], "p95"),
        percentile(&SECONDS, 99, &[], "p99"),
    ];
    let gate = vec![value_as(&IN_FLIGHT, "in flight"), value_as(&HELD, "held")];
    let away = vec![rate(&SHED, &[], "shed"), rate(&DENIED, &["reason"], "")];
    vec![
        Panel::new("Requests", Graph, "reqps", vec![rate(&REQUESTS, &["operation", "status"], "")]),
        Panel::new("Requests by role", Graph, "reqps", vec![rate(&REQUESTS, &["role"], "")]),
        Panel::new("Requests turned away", Graph, "reqps", away),
        Panel::new("Latency", Graph, "s", latency),
        Panel::new(
            "Latency by operation, p95",
            Graph,
            "s",
            vec![percentile(&SECONDS, 95, &["operation"], "")],
        ),
        Panel::new("At the gate", Graph, "short", gate),
        Panel::new("Held by a backup or by hand", States, "short", vec![value(&HOLDING)]),
    ]
}

fn engine() -> Vec<Panel> {
    let up = vec![value_as(&ENGINE_UP, "up"), value_as(&ENGINE_SCRAPED, "gives its metrics")];
    let starts =
        vec![in_an_hour(&ENGINE_RESTARTS, "starts"), in_an_hour(&ENGINE_UNCLEAN, "unclean ends")];
    vec![
        Panel::new("Engine", States, "short", up),
        Panel::new("Starts and unclean ends in an hour", Graph, "short", starts),
        Panel::new("Last start took", Graph, "s", vec![value(&ENGINE_READY)]),
        Panel::new("Points at the last backup", Graph, "short", vec![value(&COLLECTION_POINTS)]),
    ]
}

fn backups() -> Vec<Panel> {
    let times = vec![
        when(&BACKUP_SUCCESS, "complete"),
        when(&BACKUP_ATTEMPT, "begun"),
        when(&BACKUP_VERIFIED, "proved"),
    ];
    let counts =
        vec![value_as(&BACKUPS_COMPLETE, "complete"), value_as(&BACKUPS_VERIFIED, "proved")];
    vec![
        Panel::new("Last backup", Now, WHEN, times),
        Panel::new("Backups", Graph, "short", counts),
        Panel::new("A backup is being made", States, "short", vec![value(&BACKUP_RUNNING)]),
        Panel::new("Points in the last backup", Graph, "short", vec![value(&BACKUP_POINTS)]),
    ]
}

fn drills() -> Vec<Panel> {
    vec![
        Panel::new("Last drill that went well", Now, WHEN, vec![when(&DRILL_SUCCESS, "")]),
        Panel::new("Recovery time in the last drill", Graph, "s", vec![value(&DRILL_RTO)]),
    ]
}

fn volume() -> Vec<Panel> {
    let bytes = vec![value_as(&VOLUME_SIZE, "size"), value_as(&VOLUME_FREE, "free")];
    let part = vec![
        used(&VOLUME_FREE, &VOLUME_SIZE, "bytes"),
        used(&VOLUME_INODES_FREE, &VOLUME_INODES, "inodes"),
    ];
    vec![
        Panel::new("Volume", Graph, "bytes", bytes),
        Panel::new("Used", Graph, "percentunit", part),
    ]
}

fn certificate() -> Vec<Panel> {
    vec![Panel::new("Certificate ends in", Now, "d", vec![value(&CERTIFICATE_DAYS)])]
}
