//! What every kind of store promises.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use jiff::Timestamp;
use qmoor_agent::store::StoreError;

use crate::emulator::Emulator;

use crate::place::{Place, contents, labels, noise};

/// What EBS has no part in: it does not say what a snapshot held alone, and describes each by its tags.
const OF_FOLDERS: [&str; 2] =
    ["removed_bytes_come_back", "a_damaged_description_does_not_hide_the_other_backups"];

/// The same facts of all kinds.
macro_rules! facts {
    ($($fact:ident)*) => {
        mod of_restic {
            use crate::place::Place;
            $(#[test] fn $fact() { super::$fact(&Place::restic()); })*
        }
        /// One after the other, since the emulator takes seconds to start.
        #[test]
        fn of_ebs() {
            let Some(emulator) = Emulator::or_skip() else { return };
            $({
                eprintln!("{}", stringify!($fact));
                let place = Place::ebs(&emulator);
                if !OF_FOLDERS.contains(&stringify!($fact)) { $fact(&place); }
            })*
        }
        mod of_clones_of_xfs {
            use crate::place::Place;
            use qmoor_plan::config::Filesystem::Xfs;
            $(#[test] fn $fact() {
                if let Some(place) = Place::clones_or_skip(Xfs) { super::$fact(&place); }
            })*
        }
        mod of_clones_of_ext4 {
            use crate::place::Place;
            use qmoor_plan::config::Filesystem::Ext4;
            $(#[test] fn $fact() {
                if let Some(place) = Place::clones_or_skip(Ext4) { super::$fact(&place); }
            })*
        }
    };
}

facts! {
    what_went_in_comes_out
    holes_modes_times_and_links_come_back
    what_changed_after_the_preparation_is_in_it_as_it_was_at_the_cut
    what_changed_after_the_cut_is_not_in_it
    there_is_one_snapshot_for_an_id
    without_a_manifest_it_is_incomplete_and_is_swept_away
    a_complete_one_is_not_swept_away
    backups_are_listed_oldest_first_and_found_again_by_who_opens_the_store_next
    what_is_removed_is_gone_and_the_rest_still_restores
    removed_bytes_come_back
    a_file_that_cannot_be_stored_is_an_error_and_not_a_smaller_backup
    nothing_is_restored_over_what_is_there
    a_backup_that_is_not_there_is_said
    a_store_that_held_backups_and_is_empty_is_not_begun_anew
    a_damaged_description_does_not_hide_the_other_backups
    a_snapshot_that_is_another_is_not_taken_for_it
}

fn what_went_in_comes_out(place: &Place) {
    let store = place.open();
    let taken = place.back_up(store.as_ref(), "b-1", || {});
    assert_eq!(place.restored(store.as_ref(), "b-1"), contents(&place.data()));
    let listed = store.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].bytes_total, taken.bytes_total), (taken.bytes_total, 3_301_009));
    assert_eq!(listed[0].snapshot, taken.snapshot);
    assert_eq!(store.manifest(&listed[0]).unwrap().unwrap(), b"b-1");
    assert_eq!(store.manifests(&listed).unwrap()["b-1"].as_ref().unwrap(), b"b-1");
}

fn holes_modes_times_and_links_come_back(place: &Place) {
    let path = place.data().join("collections/docs/wal/hole");
    let file = std::fs::File::create(&path).unwrap();
    file.set_len(40_000_000).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"written", 20_000_000).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    file.set_times(std::fs::FileTimes::new().set_modified(long_ago)).unwrap();
    file.set_permissions(std::fs::Permissions::from_mode(0o640)).unwrap();
    drop(file);
    std::os::unix::fs::symlink("wal/hole", place.data().join("collections/docs/link")).unwrap();
    let folder = place.data().join("collections/hollow");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o500)).unwrap();
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    place.seen(store.as_ref(), "b-1", |data| {
        assert_eq!(contents(data), contents(&place.data()));
        let restored = data.join("collections");
        let hole = restored.join("docs/wal/hole").metadata().unwrap();
        assert!(hole.blocks() * 512 < 1_000_000);
        assert_eq!((hole.mode() & 0o777, hole.mtime()), (0o640, 1_000_000_000));
        assert_eq!(restored.join("hollow").metadata().unwrap().mode() & 0o777, 0o500);
        assert_eq!(
            std::fs::read_link(restored.join("docs/link")).unwrap().to_str(),
            Some("wal/hole")
        );
    });
}

fn what_changed_after_the_preparation_is_in_it_as_it_was_at_the_cut(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {
        place.write("collections/docs/segments/1/vectors.dat", &noise(300_000, 7));
        place.write("collections/docs/segments/9/new.dat", &noise(5000, 8));
        std::fs::remove_file(place.data().join("aliases.json")).unwrap();
    });
    assert_eq!(place.restored(store.as_ref(), "b-1"), contents(&place.data()));
}

fn what_changed_after_the_cut_is_not_in_it(place: &Place) {
    let store = place.open();
    let then = contents(&place.data());
    let taken = place.take(store.as_ref(), "b-1", || {}).unwrap();
    place.write("collections/docs/segments/1/vectors.dat", &noise(300_000, 7));
    place.write("new", b"new");
    std::fs::remove_dir_all(place.data().join("collections/docs/wal")).unwrap();
    store.settle().unwrap();
    store.verify(&store.find("b-1").unwrap(), Some(&taken), true).unwrap();
    assert_eq!(place.restored(store.as_ref(), "b-1"), then);
}

fn there_is_one_snapshot_for_an_id(place: &Place) {
    let store = place.open();
    let then = contents(&place.data());
    let prepared = store.prepare(&place.data(), &labels("b-1")).unwrap();
    let one = store.take(&prepared, &place.data(), &labels("b-1")).unwrap();
    place.write("new", b"new");
    let two = store.take(&prepared, &place.data(), &labels("b-1")).unwrap();
    assert_eq!((one.snapshot, one.bytes_total), (two.snapshot.clone(), two.bytes_total));
    // And by a process that knows nothing of the first call.
    let store = place.open();
    let three = place.take(store.as_ref(), "b-1", || {}).unwrap();
    assert_eq!(three.snapshot, two.snapshot);
    store.settle().unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    store.verify(&store.find("b-1").unwrap(), Some(&three), true).unwrap();
    assert_eq!(place.restored(store.as_ref(), "b-1"), then);
}

fn without_a_manifest_it_is_incomplete_and_is_swept_away(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    drop(store.prepare(&place.data(), &labels("b-cut")).unwrap());
    assert_eq!(store.list().unwrap().len(), 1);
    let store = place.open();
    assert!(!store.sweep("b-cut").unwrap(), "there is nothing but a preparation");
    place.take(store.as_ref(), "b-cut", || {}).unwrap();
    let store = place.open();
    let cut = store.find("b-cut").unwrap();
    assert_eq!((cut.manifest.clone(), store.manifest(&cut).unwrap()), (None, None));
    assert!(store.manifests(&[cut]).unwrap().is_empty());
    assert!(!store.sweep("b-cut").unwrap());
    assert!(matches!(store.find("b-cut"), Err(StoreError::NoSuchBackup { .. })));
    assert_eq!(store.settle().unwrap(), 0);
    assert_eq!(place.restored(store.as_ref(), "b-1"), contents(&place.data()));
}

fn a_complete_one_is_not_swept_away(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    assert!(store.sweep("b-1").unwrap());
    assert_eq!(place.restored(store.as_ref(), "b-1"), contents(&place.data()));
}

fn backups_are_listed_oldest_first_and_found_again_by_who_opens_the_store_next(place: &Place) {
    let store = place.open();
    for id in ["b-2", "b-1", "b-3"] {
        place.back_up(store.as_ref(), id, || {});
    }
    for store in [store, place.try_open(true).unwrap()] {
        let ids: Vec<_> = store.list().unwrap().into_iter().map(|entry| entry.id).collect();
        assert_eq!(ids, ["b-2", "b-1", "b-3"]);
        assert!(store.list().unwrap().is_sorted_by_key(|entry| entry.at));
        assert_eq!(store.path(), place.store_path());
    }
}

fn what_is_removed_is_gone_and_the_rest_still_restores(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    place.write("collections/docs/segments/2/vectors.dat", &noise(3_000_000, 20));
    place.back_up(store.as_ref(), "b-2", || {});
    store.remove(&["b-1".to_owned(), "b-never".to_owned()]).unwrap();
    // Removed by a call that was cut before its end, and once more.
    store.remove(&["b-1".to_owned()]).unwrap();
    assert!(matches!(store.find("b-1"), Err(StoreError::NoSuchBackup { .. })));
    store.reclaim().unwrap();
    let store = place.open();
    assert!(matches!(store.find("b-1"), Err(StoreError::NoSuchBackup { .. })));
    store.verify(&store.find("b-2").unwrap(), None, true).unwrap();
    assert_eq!(place.restored(store.as_ref(), "b-2"), contents(&place.data()));
    // The id may be used again.
    place.back_up(store.as_ref(), "b-1", || {});
}

fn removed_bytes_come_back(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    // In its place, so that the disk keeps none of the old blocks but those of the backup.
    let path = place.data().join("collections/docs/segments/2/vectors.dat");
    let file = std::fs::File::options().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &noise(3_000_000, 20), 0).unwrap();
    place.back_up(store.as_ref(), "b-2", || {});
    store.remove(&["b-1".to_owned()]).unwrap();
    let freed = store.reclaim().unwrap();
    assert!(freed > 2_500_000, "{freed}");
}

fn a_file_that_cannot_be_stored_is_an_error_and_not_a_smaller_backup(place: &Place) {
    let store = place.open();
    let bind = || std::os::unix::net::UnixListener::bind(place.data().join("odd.sock")).unwrap();
    let error = place.take(store.as_ref(), "b-1", || drop(bind())).unwrap_err();
    assert!(error.to_string().contains("odd.sock"), "{error}");
    assert!(!store.sweep("b-1").unwrap());
    assert_eq!(store.list().unwrap(), []);
}

fn nothing_is_restored_over_what_is_there(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    let before = contents(&place.data());
    store.restore(&store.find("b-1").unwrap(), &place.data()).unwrap_err();
    assert_eq!(contents(&place.data()), before);
}

fn a_backup_that_is_not_there_is_said(place: &Place) {
    let store = place.open();
    for id in ["b-1", "", ".", "..", "../state", "/etc"] {
        let error = store.find(id).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchBackup { .. }), "{error}");
    }
}

fn a_store_that_held_backups_and_is_empty_is_not_begun_anew(place: &Place) {
    let error = place.try_open(true).unwrap_err();
    assert!(matches!(error, StoreError::Vanished { .. }), "{error}");
    assert!(!place.store_path().exists());
}

/// What describes a snapshot: a file named after it, or in a folder named after it.
fn a_damaged_description_does_not_hide_the_other_backups(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    place.back_up(store.as_ref(), "b-2", || {});
    let snapshot = store.find("b-1").unwrap().snapshot;
    let describing = [
        place.store_path().join("snapshots").join(&snapshot),
        place.store_path().join(&snapshot).join("entry.json"),
    ];
    let found: Vec<_> = describing.iter().filter(|path| path.exists()).collect();
    assert_eq!(found.len(), 1);
    std::fs::write(found[0], "torn").unwrap();
    let ids: Vec<_> = store.list().unwrap().into_iter().map(|entry| entry.id).collect();
    assert_eq!(ids, ["b-2"]);
    assert_eq!(place.restored(store.as_ref(), "b-2"), contents(&place.data()));
}

fn a_snapshot_that_is_another_is_not_taken_for_it(place: &Place) {
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    let taken = place.take(store.as_ref(), "b-2", || place.write("new", b"new")).unwrap();
    let other = store.find("b-1").unwrap();
    let error = store.verify(&other, Some(&taken), false).unwrap_err();
    assert!(matches!(error, StoreError::Differs { .. }), "{error}");
    store.write_manifest(&labels("b-2"), b"b-2", Timestamp::now()).unwrap();
    assert_eq!(store.manifest(&store.find("b-2").unwrap()).unwrap().unwrap(), b"b-2");
}
