//! Each check passes on a node that is well, and says so of one that is not.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::{Config, EngineKind, StoreKind};
use crate::engine::Image;
use crate::manifest::Grade;
use crate::schedule::Cron;

const GIB: u64 = 1 << 30;

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

fn hours_ago(hours: i64) -> Timestamp {
    now() - SignedDuration::from_hours(hours)
}

fn backup(id: &str, hours: i64, gib: u64) -> Backup {
    Backup {
        id: id.to_owned(),
        at: hours_ago(hours),
        complete: true,
        in_progress: false,
        trouble: None,
        grade: Some(Grade::Clean),
        pause_ms: 700.0,
        bytes_total: gib * GIB,
        drill: Some(Drill { at: hours_ago(hours), ok: true, rto_ms: 900.0 }),
    }
}

fn disk(place: Place, path: &str, point: &str, device: (u32, u32)) -> Disk {
    Disk {
        place,
        path: path.into(),
        point: point.into(),
        filesystem: "xfs".to_owned(),
        device,
        bytes: 100 * GIB,
        bytes_free: 60 * GIB,
        files: 1000,
        files_free: 900,
    }
}

/// A node that is well, with the docker engine on a disk of its own, and TLS at its address.
fn well() -> Facts {
    let mut config = Config::for_dir(Path::new("/n"));
    config.engine.kind = EngineKind::Docker;
    config.gateway.listen = "10.0.2.15".parse().unwrap();
    config.schedule.backup = Some(Cron::parse("0 3 * * *").unwrap());
    config.schedule.drill = Some(Cron::parse("30 4 * * SUN").unwrap());
    let door: SocketAddr = "10.0.2.15:6333".parse().unwrap();
    let second: SocketAddr = "10.0.2.15:6334".parse().unwrap();
    let engine: SocketAddr = "127.0.0.1:40001".parse().unwrap();
    let version = config.engine.image.version.to_string();
    Facts {
        now: now(),
        config: Ok(config),
        node: Ok(Node {
            pid: 7,
            started: hours_ago(48),
            http: Some(door),
            grpc: Some(second),
            engine: Engine { up: true, starts: 3, trouble: None },
        }),
        agent_trouble: None,
        backups: Ok(Ok(vec![backup("b-1", 240, 10), backup("b-2", 2, 11)])),
        door: Ok(Door {
            url: "https://10.0.2.15:6333".to_owned(),
            is_encrypted: true,
            is_local: false,
            greeting: Ok(200),
            version: Ok(version),
            without_key: Ok(401),
            with_key: Ok(200),
            search_key_write: Ok(403),
            search_key_snapshots: Ok(403),
            collections: Ok(vec![Collection {
                name: "docs".to_owned(),
                status: "green".to_owned(),
                optimizer_error: None,
                is_strict: true,
            }]),
            certificate: Ok(Certificate { not_after: hours_ago(-24 * 90), refused: None }),
        }),
        address_held: Ok(true),
        listeners: Ok(vec![door, second, engine, "0.0.0.0:22".parse().unwrap()]),
        engine: Ok(Process {
            listens: Ok(vec![engine]),
            open_files: Ok(500),
            open_files_max: Ok(65_536),
            maps: Ok(2000),
        }),
        disks: Ok(vec![
            disk(Place::Data, "/n/data", "/n", (1, 1)),
            disk(Place::State, "/n/state", "/n", (1, 1)),
            disk(Place::Store, "/b", "/b", (1, 2)),
        ]),
        volume_trouble: Ok(None),
        modes: Ok(vec![FileMode { path: "/n/state".into(), mode: 0o700, guard: Guard::OwnerOnly }]),
        leaks: Ok(Vec::new()),
        docker: Ok(Docker { own: Some(own_container(engine)), published: Vec::new() }),
        map_count: Ok(1_048_576),
        clock: Ok(Clock { is_synchronized: true, said_by: "timedatectl".to_owned() }),
        firewall: Ok(Firewall { has_table: true }),
    }
}

fn own_container(engine: SocketAddr) -> Container {
    Container {
        name: "qmoor-node".to_owned(),
        image: "sha256:0a".to_owned(),
        command: vec!["./qdrant".to_owned(), "--config-path".to_owned()],
        restart: "no".to_owned(),
        published: vec![Published { container: "qmoor-node".to_owned(), inside: 6333, at: engine }],
    }
}

fn config(facts: &mut Facts) -> &mut Config {
    facts.config.as_mut().unwrap()
}

fn door(facts: &mut Facts) -> &mut Door {
    facts.door.as_mut().unwrap()
}

fn backups(facts: &mut Facts) -> &mut Vec<Backup> {
    facts.backups.as_mut().unwrap().as_mut().unwrap()
}

fn own(facts: &mut Facts) -> &mut Container {
    facts.docker.as_mut().unwrap().own.as_mut().unwrap()
}

fn open(facts: &mut Facts, mode: u32, guard: Guard) {
    let path = "/n/state/keys.json".into();
    facts.modes.as_mut().unwrap().push(FileMode { path, mode, guard });
}

fn process(facts: &mut Facts) -> &mut Process {
    facts.engine.as_mut().unwrap()
}

fn disks(facts: &mut Facts) -> &mut Vec<Disk> {
    facts.disks.as_mut().unwrap()
}

type Break = fn(&mut Facts);

use Verdict::{Fail, NotApplicable, Warn};

/// What is broken, by which check that is seen, and how bad it is.
const BROKEN: &[(&str, Verdict, Break)] = &[
    ("config-valid", Fail, |f| f.config = Err("line 1: unknown key".to_owned())),
    ("agent-up", Fail, |f| f.agent_trouble = Some("no agent runs here".to_owned())),
    ("engine-up", Fail, |f| f.node.as_mut().unwrap().engine.up = false),
    ("engine-up", Fail, |f| f.node.as_mut().unwrap().engine.trouble = Some("no image".to_owned())),
    ("engine-up", Warn, |f| f.node.as_mut().unwrap().engine.starts = 1000),
    ("agent-up", NotApplicable, |f| f.node = Err("its socket is the owner's".to_owned())),
    ("engine-up", NotApplicable, |f| f.node = Err("no agent runs here".to_owned())),
    ("address-held", Fail, |f| f.address_held = Ok(false)),
    ("address-held", Warn, |f| config(f).gateway.listen = "0.0.0.0".parse().unwrap()),
    ("engine-bound", Fail, |f| process(f).listens = Ok(vec!["0.0.0.0:40001".parse().unwrap()])),
    ("engine-bound", Fail, |f| f.listeners.as_mut().unwrap().push("0.0.0.0:6335".parse().unwrap())),
    ("engine-bound", Fail, |f| f.listeners.as_mut().unwrap().push("[::]:6333".parse().unwrap())),
    ("engine-bound", Warn, |f| config(f).gateway.listen = "10.0.2.16".parse().unwrap()),
    ("docker-ports", Fail, |f| own(f).published[0].at = "0.0.0.0:6333".parse().unwrap()),
    ("docker-ports", Fail, |f| {
        let at = "[::]:16334".parse().unwrap();
        let other = Published { container: "other".to_owned(), inside: 6334, at };
        f.docker.as_mut().unwrap().published.push(other);
    }),
    ("docker-ports", NotApplicable, |f| f.docker = Err("no Docker".to_owned())),
    ("host-firewall", Warn, |f| f.firewall = Ok(Firewall { has_table: false })),
    ("host-firewall", NotApplicable, |f| {
        config(f).gateway.listen = "127.0.0.1".parse().unwrap();
    }),
    ("reachable", Fail, |f| door(f).greeting = Err("connection refused".to_owned())),
    ("reachable", Warn, |f| door(f).greeting = Ok(502)),
    ("answers-with-key", Fail, |f| door(f).with_key = Ok(401)),
    ("answers-with-key", Fail, |f| door(f).with_key = Ok(502)),
    ("answers-with-key", NotApplicable, |f| door(f).with_key = Err("no key".to_owned())),
    ("refuses-without-key", Fail, |f| door(f).without_key = Ok(200)),
    ("refuses-without-key", Warn, |f| door(f).without_key = Ok(500)),
    ("refuses-without-key", NotApplicable, |f| door(f).without_key = Err("no answer".to_owned())),
    ("search-key-cannot-write", Fail, |f| door(f).search_key_write = Ok(404)),
    ("search-key-cannot-write", Fail, |f| door(f).search_key_write = Ok(200)),
    ("search-key-cannot-write", Warn, |f| door(f).search_key_write = Ok(401)),
    ("search-key-no-snapshots", Warn, |f| door(f).search_key_snapshots = Ok(200)),
    ("tls", Warn, |f| door(f).is_encrypted = false),
    ("tls", NotApplicable, |f| {
        door(f).is_encrypted = false;
        door(f).greeting = Err("connection refused".to_owned());
    }),
    ("tls", Fail, |f| {
        door(f).certificate.as_mut().unwrap().refused = Some("unknown issuer".to_owned());
    }),
    ("tls-expiry", Fail, |f| door(f).certificate.as_mut().unwrap().not_after = hours_ago(1)),
    ("tls-expiry", Warn, |f| door(f).certificate.as_mut().unwrap().not_after = hours_ago(-24)),
    ("tls-expiry", NotApplicable, |f| door(f).is_encrypted = false),
    ("collections-green", Fail, |f| {
        door(f).collections.as_mut().unwrap()[0].optimizer_error = Some("no space".to_owned());
    }),
    ("collections-green", Fail, |f| {
        "red".clone_into(&mut door(f).collections.as_mut().unwrap()[0].status);
    }),
    ("collections-green", Warn, |f| {
        "grey".clone_into(&mut door(f).collections.as_mut().unwrap()[0].status);
    }),
    ("strict-mode", Warn, |f| door(f).collections.as_mut().unwrap()[0].is_strict = false),
    ("strict-mode", NotApplicable, |f| door(f).collections = Ok(Vec::new())),
    ("version-current", Warn, |f| door(f).version = Ok("1.2.3".to_owned())),
    ("version-current", NotApplicable, |f| config(f).engine.kind = EngineKind::Embedded),
    ("data-on-volume", Fail, |f| f.volume_trouble = Ok(Some("not mounted".to_owned()))),
    ("data-on-volume", Fail, |f| "tmpfs".clone_into(&mut disks(f)[0].filesystem)),
    ("data-on-volume", Fail, |f| "nfs4".clone_into(&mut disks(f)[0].filesystem)),
    ("data-on-volume", Fail, |f| config(f).volume.kind = crate::config::VolumeKind::Image),
    ("data-on-volume", Warn, |f| disks(f)[0].point = "/".into()),
    ("disk-headroom", Fail, |f| disks(f)[2].bytes_free = GIB),
    ("disk-headroom", Fail, |f| disks(f)[0].files_free = 10),
    ("disk-headroom", Warn, |f| disks(f)[1].bytes_free = 10 * GIB),
    ("days-to-full", Fail, |f| disks(f)[0].bytes_free = GIB / 10),
    ("days-to-full", Warn, |f| disks(f)[0].bytes_free = GIB),
    ("days-to-full", NotApplicable, |f| backups(f).truncate(1)),
    ("backup-age", Fail, |f| backups(f).clear()),
    ("backup-age", Fail, |f| backups(f).truncate(1)),
    ("backup-age", Warn, |f| backups(f)[1].at = hours_ago(30)),
    ("backup-age", NotApplicable, |f| f.backups = Err("no agent".to_owned())),
    ("backup-grade", Warn, |f| backups(f)[1].grade = Some(Grade::Crash)),
    ("backup-grade", Warn, |f| backups(f)[1].grade = None),
    ("drill-age", Fail, |f| backups(f)[1].drill.as_mut().unwrap().ok = false),
    ("drill-age", Warn, |f| {
        for one in backups(f).iter_mut() {
            one.drill = None;
        }
    }),
    ("drill-age", Warn, |f| {
        for one in backups(f).iter_mut() {
            one.drill.as_mut().unwrap().at = hours_ago(24 * 40);
        }
    }),
    ("schedule", Warn, |f| config(f).schedule.backup = None),
    ("schedule", Warn, |f| config(f).schedule.drill = None),
    ("schedule", NotApplicable, |f| {
        config(f).schedule.backup = None;
        config(f).schedule.drill = None;
        config(f).gateway.listen = "127.0.0.1".parse().unwrap();
    }),
    ("store-reachable", Fail, |f| f.backups = Ok(Err("its disk is not there".to_owned()))),
    ("store-reachable", Fail, |f| backups(f)[0].trouble = Some("torn".to_owned())),
    ("store-reachable", Warn, |f| backups(f)[0].complete = false),
    ("store-elsewhere", Warn, |f| disks(f)[2].device = (1, 1)),
    ("store-elsewhere", Warn, |f| config(f).store.kind = StoreKind::Clone),
    ("secrets-modes", Fail, |f| open(f, 0o640, Guard::OwnerOnly)),
    ("secrets-modes", Fail, |f| open(f, 0o604, Guard::NotOthers)),
    ("secrets-modes", Warn, |f| open(f, 0o664, Guard::NotWritten)),
    ("secrets-hidden", Fail, |f| f.leaks = Ok(vec!["the log".to_owned(), "a file".to_owned()])),
    ("image-pinned", Fail, |f| own(f).command = vec!["./entrypoint.sh".to_owned()]),
    ("image-pinned", Fail, |f| "always".clone_into(&mut own(f).restart)),
    ("image-pinned", NotApplicable, |f| config(f).engine.kind = EngineKind::Embedded),
    ("open-files", Fail, |f| process(f).open_files = Ok(60_000)),
    ("open-files", Warn, |f| process(f).open_files_max = Ok(1024)),
    ("map-count", Fail, |f| process(f).maps = Ok(1_000_000)),
    ("map-count", Warn, |f| f.map_count = Ok(65_530)),
    ("clock", Fail, |f| backups(f)[1].at = hours_ago(-2)),
    ("clock", Warn, |f| f.clock.as_mut().unwrap().is_synchronized = false),
    ("hold-budget", Warn, |f| {
        config(f).gateway.hold_budget = std::time::Duration::from_secs(5);
    }),
    ("hold-budget", Warn, |f| backups(f)[0].pause_ms = 9000.0),
    ("hold-budget", NotApplicable, |f| config(f).gateway.enabled = false),
];

/// Those that cannot be seen on a node at all.
const ELSEWHERE: [&str; 2] = ["security-group", "node-role"];

#[test]
fn a_node_that_is_well_passes_every_check() {
    let facts = well();
    for check in checks() {
        let found = check.run(&facts);
        let expected = if ELSEWHERE.contains(&check.id) { NotApplicable } else { Verdict::Pass };
        assert_eq!(found.verdict, expected, "{found:?}");
        assert_eq!(found.fix, None, "{found:?}");
    }
}

#[test]
fn what_is_broken_is_seen_and_comes_with_what_mends_it() {
    let mut tried = BTreeSet::from(ELSEWHERE);
    for (at, (id, verdict, broken)) in BROKEN.iter().enumerate() {
        let mut facts = well();
        broken(&mut facts);
        let check = checks().iter().find(|check| check.id == *id).unwrap();
        let found = check.run(&facts);
        assert_eq!(found.verdict, *verdict, "line {at}: {found:?}");
        assert_eq!(found.fix.is_some(), matches!(verdict, Warn | Fail), "line {at}: {found:?}");
        assert!(!found.seen.is_empty());
        tried.insert(id);
    }
    let all: BTreeSet<&str> = checks().iter().map(|check| check.id).collect();
    assert_eq!(tried, all, "each check has a line above");
}

#[test]
fn what_was_not_looked_at_does_not_apply_and_says_why() {
    let facts = Facts::unseen(now(), "nobody looked");
    for check in checks().iter().filter(|check| check.id != "config-valid") {
        let found = check.run(&facts);
        assert_eq!(
            (found.verdict, found.seen.as_str()),
            (NotApplicable, "nobody looked"),
            "{}",
            check.id
        );
    }
}

#[test]
fn an_image_by_digest_and_one_by_tag_are_both_pinned() {
    let mut facts = well();
    let check = checks().iter().find(|check| check.id == "image-pinned").unwrap();
    assert!(check.run(&facts).seen.contains("held to what it was at first"));
    let digest = format!("qdrant/qdrant:v1.19.0@sha256:{}", "0a".repeat(32));
    config(&mut facts).engine.image = Image::parse(&digest).unwrap();
    assert!(check.run(&facts).seen.contains("by its digest"));
}

#[test]
fn the_way_to_a_newer_version_is_one_step_at_a_time() {
    let mut facts = well();
    let newest = config(&mut facts).engine.image.version;
    let check = checks().iter().find(|check| check.id == "version-current").unwrap();
    let mut told = |minor: u32| {
        door(&mut facts).version = Ok(format!("{}.{minor}.0", newest.major));
        check.run(&facts).fix.unwrap()
    };
    assert!(told(newest.minor - 1).contains(&format!("upgrade {newest} ")), "one step");
    assert!(told(newest.minor - 3).contains(&format!("{}.{}.x", newest.major, newest.minor - 2)));
}

#[test]
fn ids_are_kebab_case_and_there_is_one_of_each() {
    let ids: BTreeSet<&str> = checks().iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), checks().len());
    for id in ids {
        assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{id}");
    }
}

#[test]
fn a_key_is_found_in_a_text_and_its_id_is_not_one() {
    let key = format!("GET / api-key: qm_search_{}\n", "0a".repeat(32));
    assert!(shows_a_key(key.as_bytes()));
    for text in [
        "qm_search_…",
        "qm_",
        "key 8f14e45f of role search",
        "qm_search_KEY is the key for searching, say 64 letters or more here",
    ] {
        assert!(!shows_a_key(text.as_bytes()), "{text}");
    }
}

#[test]
fn the_worst_of_all_counts() {
    let finding = |verdict| Finding::new(verdict, "", None);
    assert_eq!(worst(&[]), Verdict::Pass);
    assert_eq!(worst(&[finding(NotApplicable), finding(Verdict::Pass)]), Verdict::Pass);
    assert_eq!(worst(&[finding(Fail), finding(Warn)]), Fail);
}

/// `UPDATE_DOCS=1` writes the page instead.
#[test]
fn the_page_about_the_checks_is_the_list() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/doctor.md");
    let wanted = page();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &wanted).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(found == wanted, "docs/doctor.md is not the list; run the test with UPDATE_DOCS=1");
}
