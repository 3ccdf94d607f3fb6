//! A frozen file system blocks writers and nobody else, and never stays frozen.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use qmoor_agent::volume::VolumeError;
use qmoor_agent::volume::clone::clone_image;
use qmoor_agent::volume::freeze::{Freezable, Frozen, thaw_if_frozen};
use qmoor_agent::volume::image::{ImageSpec, ensure_mounted};
use qmoor_plan::config::Filesystem;

use crate::disk::{Disk, done};

/// Long enough for a write that is not blocked, many times over.
const WHILE: Duration = Duration::from_millis(300);
/// Nothing here takes as long, unless it hangs.
const LONG: Duration = Duration::from_secs(20);
/// Tells this program, started once more, what to freeze.
const FREEZE: &str = "QMOOR_TEST_FREEZE";

pub(crate) fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_qmoor"))
}

fn both() -> impl Iterator<Item = Disk> {
    ["xfs", "ext4"].into_iter().filter_map(|filesystem| Disk::or_skip(filesystem, 320))
}

fn freezable(disk: &Disk) -> Freezable {
    Freezable::find(&disk.path(), &[]).unwrap()
}

fn frozen(disk: &Disk) -> Frozen {
    freezable(disk).freeze(program(), LONG).unwrap()
}

/// A write that begins now; it is told when it is over.
fn write(disk: &Disk, name: &str) -> Receiver<()> {
    let path = disk.path().join(name);
    let (tell, told) = channel();
    std::thread::spawn(move || {
        std::fs::write(path, name_of_thread()).unwrap();
        tell.send(()).ok();
    });
    told
}

fn name_of_thread() -> String {
    format!("{:?}", std::thread::current().id())
}

#[track_caller]
fn waits(written: &Receiver<()>) {
    assert!(written.recv_timeout(WHILE).is_err(), "it was written, though frozen");
}

#[track_caller]
fn ends(written: &Receiver<()>) {
    written.recv_timeout(LONG).expect("written in time");
}

/// The watchdogs of a disk.
fn watchdogs(disk: &Disk) -> Vec<u32> {
    let mount = disk.path().canonicalize().unwrap().to_str().unwrap().to_owned();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains("thaw-watchdog") && line.contains(&mount)
        })
        .collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !is_so() {
        assert!(Instant::now() < deadline, "not {what}");
        std::thread::yield_now();
    }
}

#[test]
fn writers_wait_until_the_thaw_and_readers_do_not() {
    for disk in both() {
        ends(&write(&disk, "before"));
        let frozen = frozen(&disk);
        let written = write(&disk, "during");
        waits(&written);
        assert!(std::fs::read_to_string(disk.path().join("before")).unwrap().contains("ThreadId"));
        assert!(std::fs::read_dir(disk.path()).unwrap().count() >= 1);
        let took = frozen.thaw().unwrap();
        assert!(took >= WHILE, "{took:?}");
        ends(&written);
        ends(&write(&disk, "after"));
        until("gone, the watchdog", || watchdogs(&disk).is_empty());
    }
}

#[test]
fn dropping_thaws() {
    for disk in both() {
        let frozen = frozen(&disk);
        let written = write(&disk, "during");
        waits(&written);
        drop(frozen);
        ends(&written);
        assert!(!thaw_if_frozen(&disk.path()).unwrap());
    }
}

#[test]
fn a_freeze_of_what_is_frozen_says_so_and_leaves_it_frozen() {
    for disk in both() {
        let first = frozen(&disk);
        let error = freezable(&disk).freeze(program(), LONG).unwrap_err();
        assert!(matches!(error, VolumeError::AlreadyFrozen { .. }), "{error}");
        until("gone, the second watchdog", || watchdogs(&disk).len() == 1);
        let written = write(&disk, "during");
        waits(&written);
        first.thaw().unwrap();
        ends(&written);
    }
}

#[test]
fn at_the_deadline_it_is_thawed_whatever_its_owner_does_and_its_owner_is_told() {
    for disk in both() {
        let frozen = freezable(&disk).freeze(program(), WHILE).unwrap();
        ends(&write(&disk, "during"));
        let error = frozen.thaw().unwrap_err();
        assert!(matches!(error, VolumeError::ThawedEarly { .. }), "{error}");
        assert!(!thaw_if_frozen(&disk.path()).unwrap());
    }
}

/// Not a fact of its own: what the next tests run in a process that they kill.
#[test]
fn helper_that_freezes_and_waits_to_be_killed() {
    let Some(mount) = std::env::var_os(FREEZE) else { return };
    let freezable = Freezable::find(Path::new(&mount), &[]).unwrap();
    let _frozen = freezable.freeze(program(), 10 * LONG).unwrap();
    eprintln!("is frozen");
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

/// This program once more, to freeze the disk.
pub(crate) fn freezing_program(disk: &Disk) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "freeze::helper_that_freezes_and_waits_to_be_killed", "--nocapture"])
        .env(FREEZE, disk.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// A process of its own that has frozen the disk, in a group of its own.
fn freezing_process(disk: &Disk) -> Child {
    let mut command = freezing_program(disk);
    let mut child =
        command.stdin(Stdio::piped()).stderr(Stdio::piped()).process_group(0).spawn().unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut all = String::new();
    for line in said {
        if line.contains("is frozen") {
            return child;
        }
        all.push_str(&line);
    }
    let ended = child.wait().unwrap();
    panic!("it froze nothing and ended with {ended}: {all}");
}

fn kill(signal: &str, target: &str) {
    done("kill", &[&format!("-{signal}"), "--", target]);
}

#[test]
fn killing_the_process_that_froze_it_thaws_it() {
    for disk in both() {
        let mut child = freezing_process(&disk);
        let written = write(&disk, "during");
        waits(&written);
        child.kill().unwrap();
        ends(&written);
        child.wait().unwrap();
        until("gone, the watchdog", || watchdogs(&disk).is_empty());
        assert!(!thaw_if_frozen(&disk.path()).unwrap());
    }
}

#[test]
fn a_stuck_process_is_killed_with_its_group_and_the_watchdog_thaws_all_the_same() {
    for disk in both() {
        let mut child = freezing_process(&disk);
        let group = format!("-{}", child.id());
        kill("STOP", &group);
        let written = write(&disk, "during");
        waits(&written);
        kill("INT", &group);
        kill("KILL", &group);
        ends(&written);
        child.wait().unwrap();
    }
}

#[test]
fn what_ends_a_service_does_not_end_the_watchdog() {
    for disk in both() {
        let frozen = frozen(&disk);
        let [watchdog] = watchdogs(&disk)[..] else { panic!("no watchdog") };
        for signal in ["TERM", "INT", "TERM"] {
            kill(signal, &watchdog.to_string());
        }
        let written = write(&disk, "during");
        waits(&written);
        assert_eq!(watchdogs(&disk), [watchdog]);
        let group = done("ps", &["-o", "pgid=", "-p", &watchdog.to_string()]);
        assert_eq!(group.trim(), watchdog.to_string());
        frozen.thaw().unwrap();
        ends(&written);
    }
}

#[test]
fn without_a_watchdog_nothing_is_frozen() {
    let Some(disk) = Disk::or_skip("ext4", 64) else { return };
    for program in ["/bin/false", "/bin/echo", "/missing/qmoor"] {
        let error = freezable(&disk).freeze(Path::new(program), LONG).unwrap_err();
        assert!(matches!(error, VolumeError::NoWatchdog { .. }), "{error}");
        ends(&write(&disk, "after"));
    }
}

#[test]
fn what_another_has_left_frozen_is_thawed_once() {
    for disk in both() {
        done("fsfreeze", &["--freeze", disk.path().to_str().unwrap()]);
        let written = write(&disk, "during");
        waits(&written);
        assert!(thaw_if_frozen(&disk.path()).unwrap());
        ends(&written);
        assert!(!thaw_if_frozen(&disk.path()).unwrap());
    }
}

/// What is printed here is what a person may expect of such a disk.
#[test]
fn a_frozen_clone_of_two_gibibytes_holds_what_was_written_and_takes_no_time() {
    for filesystem in [Filesystem::Xfs, Filesystem::Ext4] {
        let Some(disk) = Disk::or_skip("xfs", 6 * 1024) else { return };
        let at = |name: &str| disk.path().join(name);
        let spec = ImageSpec {
            image: at("volume.img"),
            size: 2 << 30,
            filesystem,
            mount: at("volume"),
            record: at("volume.json"),
        };
        ensure_mounted(&spec).unwrap();
        let random = std::fs::File::open("/dev/urandom").unwrap();
        let mut random = std::io::Read::take(random, 400 << 20);
        let data: PathBuf = spec.mount.join("data");
        std::io::copy(&mut random, &mut std::fs::File::create(&data).unwrap()).unwrap();
        // What a store does while nobody waits yet.
        done("sync", &["--file-system", spec.mount.to_str().unwrap()]);
        done("sync", &["--file-system", disk.path().to_str().unwrap()]);
        std::fs::write(spec.mount.join("last"), "not synced").unwrap();
        let freezable = Freezable::find(&data, &[&disk.path()]).unwrap();
        let begun = Instant::now();
        let frozen = freezable.freeze(program(), LONG).unwrap();
        let froze = begun.elapsed();
        clone_image(&spec.image, &at("clone.img")).unwrap();
        let cloned = begun.elapsed() - froze;
        let held = frozen.thaw().unwrap();
        let all = begun.elapsed();
        eprintln!(
            "{filesystem:?}: sync, watchdog and freeze {froze:?}, clone {cloned:?}, frozen for {held:?}, all {all:?}"
        );
        assert!(held < Duration::from_secs(5), "{held:?}");
        let look =
            qmoor_agent::volume::scratch::Scratch::open(&at("clone.img"), &at("look"), filesystem);
        let look = look.unwrap();
        assert_eq!(std::fs::read(look.mount().join("last")).unwrap(), b"not synced");
        let same = |name: &str| {
            done("cmp", &[data.to_str().unwrap(), look.mount().join(name).to_str().unwrap()])
        };
        assert_eq!(same("data"), "");
        look.check().unwrap();
    }
}
