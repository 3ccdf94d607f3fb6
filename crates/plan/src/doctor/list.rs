//! The checks there are, in the order in which they are told.

use super::{At, Check, Facts, Judged};
use super::{access, aws, backups, engine, network, node, secrets, storage};

const CHECKS: &[Check] = &[
    check("config-valid", At::Node, "the configuration can be used", node::config_valid),
    check("agent-up", At::Node, "the agent answers", node::agent_up),
    check(
        "engine-up",
        At::Node,
        "the engine answers, and does not fall again and again",
        node::engine_up,
    ),
    check(
        "address-held",
        At::Node,
        "an interface of this host has the address of `gateway.listen`",
        network::address_held,
    ),
    root(
        "engine-bound",
        At::Node,
        "the door is where the configuration says, the engine behind it, nothing on 0.0.0.0",
        network::engine_bound,
    ),
    check(
        "docker-ports",
        At::Node,
        "no container publishes a port of Qdrant on every interface, past the firewall",
        network::docker_ports,
    ),
    root(
        "host-firewall",
        At::Node,
        "the rules of `qmoor render firewall` are loaded",
        network::host_firewall,
    ),
    check("reachable", At::Both, "the server answers a greeting", access::reachable),
    check(
        "answers-with-key",
        At::Both,
        "a request with a key is answered",
        access::answers_with_key,
    ),
    check(
        "refuses-without-key",
        At::Both,
        "a request without a key is refused",
        access::refuses_without_key,
    ),
    check(
        "search-key-cannot-write",
        At::Both,
        "a deletion of nothing with the key for searching is refused",
        access::search_key_cannot_write,
    ),
    check(
        "search-key-no-snapshots",
        At::Both,
        "the key for searching does not list snapshots",
        access::search_key_no_snapshots,
    ),
    check(
        "tls",
        At::Both,
        "connections that leave the host are encrypted, with a certificate that clients take",
        access::tls,
    ),
    check("tls-expiry", At::Both, "the certificate is valid for 21 days more", access::tls_expiry),
    check(
        "collections-green",
        At::Both,
        "every collection is green or at work, and its optimizers are well",
        access::collections_green,
    ),
    check(
        "strict-mode",
        At::Url,
        "every collection limits what one request may ask for",
        access::strict_mode,
    ),
    check(
        "version-current",
        At::Both,
        "the engine is as new as this qmoor, or the way there is open",
        access::version_current,
    ),
    check(
        "data-on-volume",
        At::Node,
        "the data is on its volume, not on the disk of the system, in memory or on a network share",
        storage::data_on_volume,
    ),
    check(
        "disk-headroom",
        At::Node,
        "15 % of every disk of the node is free",
        storage::disk_headroom,
    ),
    check(
        "days-to-full",
        At::Node,
        "the disk of the data has room for 21 days, as the backups grew",
        storage::days_to_full,
    ),
    check(
        "backup-age",
        At::Node,
        "the newest complete backup is younger than 26 hours",
        backups::backup_age,
    ),
    check(
        "backup-grade",
        At::Node,
        "the newest complete backup is of grade clean or frozen",
        backups::backup_grade,
    ),
    check(
        "drill-age",
        At::Node,
        "a drill in the last 35 days, and the last one went well",
        backups::drill_age,
    ),
    check("schedule", At::Node, "the agent makes backups and drills by itself", backups::schedule),
    check(
        "store-reachable",
        At::Node,
        "the store answers, and every manifest in it can be read",
        backups::store_reachable,
    ),
    check(
        "store-elsewhere",
        At::Node,
        "the backups are not on the disk of the data",
        backups::store_elsewhere,
    ),
    root(
        "secrets-modes",
        At::Node,
        "nobody but the owner reads keys, state and data, or writes the configuration",
        secrets::secrets_modes,
    ),
    root(
        "secrets-hidden",
        At::Node,
        "no key on a command line, in the node's environment, log or configuration",
        secrets::secrets_hidden,
    ),
    check(
        "image-pinned",
        At::Node,
        "the container is of one image, runs the server as process 1, and is not started by the daemon",
        engine::image_pinned,
    ),
    root(
        "open-files",
        At::Node,
        "the engine may open 10000 files, and has not opened most of them",
        engine::open_files,
    ),
    root(
        "map-count",
        At::Node,
        "`vm.max_map_count` is 262144 at least, and not used up",
        engine::map_count,
    ),
    check(
        "clock",
        At::Node,
        "the clock is kept right, and has not gone back behind a backup",
        backups::clock,
    ),
    check(
        "hold-budget",
        At::Node,
        "requests are held for less than clients wait",
        backups::hold_budget,
    ),
    check("security-group", At::Node, "only the groups of the file come in", aws::security_group),
    check(
        "node-role",
        At::Node,
        "the role of the machine may do what this node needs, and nothing else",
        aws::node_role,
    ),
];

/// Every check there is, in the order in which they are told.
#[must_use]
pub fn checks() -> &'static [Check] {
    CHECKS
}

const fn check(
    id: &'static str,
    at: At,
    about: &'static str,
    judge: fn(&Facts) -> Judged,
) -> Check {
    Check { id, about, at, needs_root: false, judge }
}

/// One that sees all only as root, or as the user that the node runs as.
const fn root(id: &'static str, at: At, about: &'static str, judge: fn(&Facts) -> Judged) -> Check {
    Check { needs_root: true, ..check(id, at, about, judge) }
}
