//! What is special to a repository of restic: its two passes, its key, and that plain `restic` reads it.

use std::io::Write as _;
use std::process::Command;

use qmoor_agent::store::restic::ResticStore;
use qmoor_agent::store::{SnapshotStore as _, StoreError};

use crate::place::{Place, contents, labels, noise};

/// What a store through a memory map to a dirty page does: other bytes, the same length and the same times.
#[test]
fn a_change_that_no_time_shows_is_in_it() {
    let place = Place::restic();
    let store = place.open_restic();
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
    let place = Place::restic();
    let store = place.open_restic();
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
    let place = Place::restic();
    let store = place.open_restic();
    let labels = labels("b-1");
    let first = store.first_pass(&place.data(), &labels, None).unwrap();
    let taken = store.second_pass(&first, &place.data(), &labels).unwrap();
    flip_a_bit(&place);
    let err = store.verify(&store.find("b-1").unwrap(), Some(&taken), false).unwrap_err();
    assert!(matches!(err, StoreError::Damaged { .. }), "{err}");
}

#[test]
fn a_second_backup_of_the_same_data_adds_next_to_nothing() {
    let place = Place::restic();
    let store = place.open_restic();
    let one = place.back_up(&store, "b-1", || {});
    let two = place.back_up(&store, "b-2", || {});
    assert!(one.bytes_added > 3_000_000, "{one:?}");
    assert!(two.bytes_added < 50_000, "{two:?}");
    assert_eq!(place.restored(&store, "b-2"), contents(&place.data()));
}

#[test]
fn a_backup_cut_off_leaves_an_incomplete_one_and_its_first_pass_can_be_found() {
    let place = Place::restic();
    let store = place.open_restic();
    let first = store.first_pass(&place.data(), &labels("b-1"), None).unwrap();
    assert_eq!(store.list().unwrap(), []);
    store.second_pass(&first, &place.data(), &labels("b-1")).unwrap();
    let store = place.open_restic();
    assert_eq!(store.list().unwrap()[0].manifest, None);
    assert_eq!(store.remove_first_passes().unwrap(), 1);
    assert_eq!(store.remove_first_passes().unwrap(), 0);
}

#[test]
fn a_missing_or_foreign_key_is_said_and_nothing_is_overwritten() {
    let place = Place::restic();
    place.back_up(&place.open_restic(), "b-1", || {});
    let key = std::fs::read(place.key()).unwrap();
    std::fs::remove_file(place.key()).unwrap();
    let missing = ResticStore::open(&place.store_path(), &place.key(), false).unwrap_err();
    assert!(matches!(missing, StoreError::KeyMissing { .. }), "{missing}");
    std::fs::write(place.key(), "another\n").unwrap();
    let wrong = ResticStore::open(&place.store_path(), &place.key(), false).unwrap_err();
    assert!(matches!(wrong, StoreError::WrongKey { .. }), "{wrong}");
    std::fs::write(place.key(), key).unwrap();
    assert_eq!(place.open_restic().list().unwrap().len(), 1);
}

#[test]
fn a_flipped_bit_is_found_by_reading_everything() {
    let place = Place::restic();
    let store = place.open_restic();
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
fn plain_restic_checks_and_restores_it() {
    if Command::new("restic").arg("version").output().is_err() {
        eprintln!("SKIPPED: `restic` is not installed, so nobody but us has read this repository");
        return;
    }
    let place = Place::restic();
    let store = place.open_restic();
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
