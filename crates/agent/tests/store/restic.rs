//! The store with plain files in the place of an engine's data: what goes in comes out, whatever happened
//! meanwhile, and plain `restic` reads it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use qmoor_agent::store::{Labels, Store, StoreError, Taken};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        for (name, bytes) in [
            ("aliases.json", b"{}".to_vec()),
            ("collections/docs/config.json", b"{\"a\":1}".to_vec()),
            ("collections/docs/segments/1/vectors.dat", noise(300_000, 1)),
            ("collections/docs/segments/2/vectors.dat", noise(3_000_000, 2)),
            ("collections/docs/empty", Vec::new()),
            ("collections/docs/wal/o'dd \"name\" \\ \u{fc}", noise(1000, 3)),
        ] {
            place.write(name, &bytes);
        }
        std::fs::create_dir_all(place.data().join("collections/hollow")).unwrap();
        place
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn store_path(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("store.key")
    }

    fn open(&self) -> Store {
        Store::open(&self.store_path(), &self.key(), false).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.data().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// A whole backup, with `meanwhile` between its two passes.
    fn back_up(&self, store: &Store, id: &str, meanwhile: impl FnOnce()) -> Taken {
        let labels = labels(id);
        let first = store.first_pass(&self.data(), &labels, None).unwrap();
        meanwhile();
        let taken = store.second_pass(&first, &self.data(), &labels).unwrap();
        store.remove_first_passes().unwrap();
        store.verify(&store.find(id).unwrap(), Some(&taken), true).unwrap();
        store.write_manifest(&labels, id.as_bytes().to_vec(), Timestamp::now()).unwrap();
        taken
    }

    fn restored(&self, store: &Store, id: &str) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let into = self.dir.path().join(format!("restored-{id}"));
        store.restore(&store.find(id).unwrap(), &into).unwrap();
        contents(&into)
    }
}

fn labels(id: &str) -> Labels {
    Labels {
        id: id.to_owned(),
        host: "node".to_owned(),
        batch: Some("batch, with a comma".to_owned()),
        grade: "clean".to_owned(),
    }
}

/// Bytes that do not compress, the same for the same seed.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

/// Every file's bytes and every folder, by path below `root`.
fn contents(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_owned();
            if path.is_dir() {
                found.insert(name, None);
                open.push(path);
            } else {
                found.insert(name, Some(std::fs::read(path).unwrap()));
            }
        }
    }
    found
}

#[test]
fn what_went_in_comes_out() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    assert_eq!(place.restored(&store, "b-1"), contents(&place.data()));
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(store.manifest(&listed[0]).unwrap().unwrap(), b"b-1");
}

#[test]
fn what_changed_between_the_passes_is_in_it_as_it_was_at_the_second() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {
        place.write("collections/docs/segments/1/vectors.dat", &noise(300_000, 7));
        place.write("collections/docs/segments/9/new.dat", &noise(5000, 8));
        std::fs::remove_file(place.data().join("aliases.json")).unwrap();
    });
    assert_eq!(place.restored(&store, "b-1"), contents(&place.data()));
}

/// What a store through a memory map to a dirty page does: other bytes, the same length and the same times.
#[test]
fn a_change_that_no_time_shows_is_in_it() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {
        let path = place.data().join("collections/docs/segments/2/vectors.dat");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let meta = file.metadata().unwrap();
        (&file).write_all(&noise(1000, 9)).unwrap();
        let times = std::fs::FileTimes::new().set_modified(meta.modified().unwrap());
        file.set_times(times).unwrap();
    });
    assert_eq!(place.restored(&store, "b-1"), contents(&place.data()));
}

#[test]
fn several_first_passes_come_to_the_same() {
    let place = Place::new();
    let store = place.open();
    let labels = labels("b-1");
    let mut first = store.first_pass(&place.data(), &labels, None).unwrap();
    for round in 0..2 {
        let path = place.data().join("collections/docs/segments/2/vectors.dat");
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        (&file).write_all(&noise(1000, 30 + round)).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(modified)).unwrap();
        place.write("collections/docs/segments/1/vectors.dat", &noise(300_000, 40 + round));
        first = store.first_pass(&place.data(), &labels, Some(&first)).unwrap();
    }
    assert!(first.bytes_to_read(&place.data()).unwrap() > 0);
    let taken = store.second_pass(&first, &place.data(), &labels).unwrap();
    assert_eq!(store.remove_first_passes().unwrap(), 3);
    store.verify(&store.find("b-1").unwrap(), Some(&taken), true).unwrap();
    assert_eq!(place.restored(&store, "b-1"), contents(&place.data()));
}

#[test]
fn a_pack_that_was_not_written_as_it_was_meant_is_found_before_the_backup_counts() {
    let place = Place::new();
    let store = place.open();
    let labels = labels("b-1");
    let first = store.first_pass(&place.data(), &labels, None).unwrap();
    let taken = store.second_pass(&first, &place.data(), &labels).unwrap();
    flip_a_bit(&place);
    let err = store.verify(&store.find("b-1").unwrap(), Some(&taken), false).unwrap_err();
    assert!(matches!(err, StoreError::Damaged { .. }), "{err}");
}

#[test]
fn a_second_backup_of_the_same_data_adds_next_to_nothing() {
    let place = Place::new();
    let store = place.open();
    let one = place.back_up(&store, "b-1", || {});
    let two = place.back_up(&store, "b-2", || {});
    assert!(one.bytes_added > 3_000_000, "{one:?}");
    assert!(two.bytes_added < 50_000, "{two:?}");
    assert_eq!(place.restored(&store, "b-2"), contents(&place.data()));
}

#[test]
fn a_backup_cut_off_leaves_an_incomplete_one_and_its_first_pass_can_be_found() {
    let place = Place::new();
    let store = place.open();
    let first = store.first_pass(&place.data(), &labels("b-1"), None).unwrap();
    assert_eq!(store.list().unwrap(), []);
    store.second_pass(&first, &place.data(), &labels("b-1")).unwrap();
    let store = place.open();
    assert_eq!(store.list().unwrap()[0].manifest, None);
    assert_eq!(store.remove_first_passes().unwrap(), 1);
    assert_eq!(store.remove_first_passes().unwrap(), 0);
}

#[test]
fn what_is_removed_gives_its_space_back_and_the_rest_still_restores() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    place.write("collections/docs/segments/2/vectors.dat", &noise(3_000_000, 20));
    place.back_up(&store, "b-2", || {});
    let before = size(&place.store_path());
    store.remove(&["b-1".to_owned()]).unwrap();
    let freed = store.reclaim().unwrap();
    let after = size(&place.store_path());
    assert!(freed > 2_500_000 && before - after > 2_500_000, "{freed} {before} {after}");
    assert!(matches!(store.find("b-1"), Err(StoreError::NoSuchBackup { .. })));
    assert_eq!(place.restored(&store, "b-2"), contents(&place.data()));
}

fn size(dir: &Path) -> usize {
    contents(dir).values().flatten().map(Vec::len).sum()
}

#[test]
fn a_file_that_cannot_be_stored_is_an_error_and_not_a_smaller_backup() {
    let place = Place::new();
    let store = place.open();
    let first = store.first_pass(&place.data(), &labels("b-1"), None).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(place.data().join("engine.sock")).unwrap();
    let err = store.second_pass(&first, &place.data(), &labels("b-1")).unwrap_err();
    assert!(err.to_string().contains("engine.sock"), "{err}");
}

#[test]
fn a_missing_or_foreign_key_is_said_and_nothing_is_overwritten() {
    let place = Place::new();
    place.back_up(&place.open(), "b-1", || {});
    let key = std::fs::read(place.key()).unwrap();
    std::fs::remove_file(place.key()).unwrap();
    let missing = Store::open(&place.store_path(), &place.key(), false).unwrap_err();
    assert!(matches!(missing, StoreError::KeyMissing { .. }), "{missing}");
    std::fs::write(place.key(), "another\n").unwrap();
    let wrong = Store::open(&place.store_path(), &place.key(), false).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKey { .. }), "{wrong}");
    std::fs::write(place.key(), key).unwrap();
    assert_eq!(place.open().list().unwrap().len(), 1);
}

#[test]
fn a_store_that_held_backups_and_is_empty_is_not_begun_anew() {
    let place = Place::new();
    let err = Store::open(&place.store_path(), &place.key(), true).unwrap_err();
    assert!(matches!(err, StoreError::Vanished { .. }), "{err}");
    assert!(!place.store_path().exists());
}

#[test]
fn a_flipped_bit_is_found_by_reading_everything() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    flip_a_bit(&place);
    let entry = store.find("b-1").unwrap();
    assert!(store.verify(&entry, None, true).is_err());
    let err = store.restore(&entry, &place.dir.path().join("out")).unwrap_err();
    assert!(matches!(err, StoreError::Damaged { .. }), "{err}");
}

/// In the middle of the largest pack.
fn flip_a_bit(place: &Place) {
    let packs = contents(&place.store_path());
    let (name, mut bytes) = packs
        .iter()
        .filter(|(name, _)| name.starts_with("data"))
        .filter_map(|(name, bytes)| Some((name, bytes.clone()?)))
        .max_by_key(|(_, bytes)| bytes.len())
        .unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(place.store_path().join(name), bytes).unwrap();
}

#[test]
fn a_damaged_snapshot_file_does_not_hide_the_other_backups() {
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    place.back_up(&store, "b-2", || {});
    let snapshot = store.find("b-1").unwrap().snapshot;
    std::fs::write(place.store_path().join("snapshots").join(snapshot), "torn").unwrap();
    let ids: Vec<_> = store.list().unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, ["b-2"]);
    assert_eq!(place.restored(&store, "b-2"), contents(&place.data()));
}

#[test]
fn holes_come_back_as_holes() {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::new();
    let path = place.data().join("collections/docs/wal/hole");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(40_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"written", 20_000_000).unwrap();
    drop(file);
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    assert_eq!(place.restored(&store, "b-1"), contents(&place.data()));
    let restored = place.dir.path().join("restored-b-1/collections/docs/wal/hole");
    assert!(restored.metadata().unwrap().blocks() * 512 < 1_000_000);
}

#[test]
fn plain_restic_checks_and_restores_it() {
    if Command::new("restic").arg("version").output().is_err() {
        eprintln!("SKIPPED: `restic` is not installed, so nobody but us has read this repository");
        return;
    }
    let place = Place::new();
    let store = place.open();
    place.back_up(&store, "b-1", || {});
    let taken = place.back_up(&store, "b-2", || {
        place.write("collections/docs/segments/1/vectors.dat", &noise(300_000, 7));
    });
    store.remove(&["b-1".to_owned()]).unwrap();
    store.reclaim().unwrap();
    let restic = |arguments: &[&str]| {
        let output = Command::new("restic")
            .args(["--no-cache", "--password-file"])
            .arg(place.key())
            .arg("--repo")
            .arg(place.store_path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "restic {arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    restic(&["check", "--read-data"]);
    let into = place.dir.path().join("by-restic");
    restic(&["restore", &taken.snapshot, "--target", into.to_str().unwrap()]);
    assert_eq!(contents(&into.join("data")), contents(&place.data()));
    let tagged = restic(&["snapshots", "--json", "--tag", "qmoor,id=b-2,grade=clean"]);
    assert!(tagged.contains(&taken.snapshot), "{tagged}");
}
