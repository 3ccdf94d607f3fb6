//! What is special to a store of clones.

use std::path::Path;

use qmoor_agent::store::{self, StoreError};
use qmoor_agent::volume::image::{ImageSpec, ensure_mounted, unmount};
use qmoor_plan::config::Filesystem;

use crate::disk::{Disk, loops_are};
use crate::place::{Place, contents, labels, noise};

fn place() -> Option<Place> {
    Place::clones_or_skip(Filesystem::Xfs)
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_backup_costs_no_room_and_leaves_no_device_and_no_mount() {
    let Some(place) = place() else { return };
    let store = place.open();
    place.write("large", &noise(50_000_000, 5));
    qmoor_agent::durable::sync_filesystem(&place.data()).unwrap();
    let disk = place.disk.as_ref().unwrap().path();
    let free = || {
        qmoor_agent::durable::sync_filesystem(&disk).unwrap();
        qmoor_agent::durable::free_bytes(&disk).unwrap()
    };
    let before = free();
    for id in ["b-1", "b-2", "b-3"] {
        let taken = place.back_up(store.as_ref(), id, || {});
        assert!(taken.bytes_added < 10_000 && taken.bytes_read_stopped == 0, "{taken:?}");
    }
    let after = free();
    assert!(before - after < 5_000_000, "{before} {after}");
    assert_eq!(names(&place.store_path()), ["b-1", "b-2", "b-3", "store.json"]);
    loops_are(&disk, 1);
}

#[test]
fn what_a_backup_or_a_look_that_was_killed_has_left_is_removed_by_the_next_one() {
    let Some(place) = place() else { return };
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    let path = place.store_path();
    let left = || {
        for name in [".coming-b-2", ".going-b-0"] {
            std::fs::create_dir(path.join(name)).unwrap();
            std::fs::write(path.join(name).join("volume.img"), "half").unwrap();
        }
        let image = path.join("b-1/volume.img");
        let look = path.join(".look-b-1");
        let kind = Filesystem::Xfs;
        std::mem::forget(qmoor_agent::volume::scratch::Scratch::open(&image, &look, kind).unwrap());
    };
    left();
    assert_eq!(store.settle().unwrap(), 3);
    assert_eq!(names(&path), ["b-1", "store.json"]);
    left();
    let store = place.open();
    assert_eq!(names(&path), ["b-1", "store.json"]);
    loops_are(&place.disk.as_ref().unwrap().path(), 1);
    assert_eq!(place.restored(store.as_ref(), "b-1"), contents(&place.data()));
}

#[test]
fn a_clone_of_another_moment_in_its_place_is_found() {
    let Some(place) = place() else { return };
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    place.back_up(store.as_ref(), "b-2", || place.write("new", b"new"));
    let path = place.store_path();
    std::fs::copy(path.join("b-2/volume.img"), path.join("b-1/volume.img")).unwrap();
    let entry = store.find("b-1").unwrap();
    let error = store.verify(&entry, None, false).unwrap_err();
    assert!(matches!(error, StoreError::Differs { .. }), "{error}");
    let error = store.restore(&entry, &place.dir.path().join("out")).unwrap_err();
    assert!(matches!(error, StoreError::Differs { .. }), "{error}");
}

#[test]
fn a_damaged_file_system_is_found() {
    let Some(place) = place() else { return };
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    let image = place.store_path().join("b-1/volume.img");
    let file = std::fs::File::options().write(true).open(image).unwrap();
    // The spare superblock of the second group of four.
    std::os::unix::fs::FileExt::write_all_at(&file, &[0x5A; 64], (128 << 20) + 32).unwrap();
    let error = store.verify(&store.find("b-1").unwrap(), None, false).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    assert!(error.to_string().contains("xfs_repair"), "{error}");
}

#[test]
fn it_needs_a_disk_that_shares_blocks_and_a_folder_of_its_own() {
    let Some(mut place) = place() else { return };
    let own = place.store_path();
    place.config.store.path = place.dir.path().join("store");
    let error = store::open(&place.config, false).unwrap_err();
    assert!(error.to_string().contains("reflink=1"), "{error}");
    place.config.store.path = own;
    std::fs::create_dir(place.store_path()).unwrap();
    place_a_file(&place.store_path());
    let error = store::open(&place.config, false).unwrap_err();
    assert!(matches!(error, StoreError::Unfit { .. }), "{error}");
    assert!(error.to_string().contains("holds `notes`"), "{error}");
    assert_eq!(names(&place.store_path()), ["notes"]);
}

fn place_a_file(dir: &Path) {
    std::fs::write(dir.join("notes"), "mine").unwrap();
}

#[test]
fn data_that_is_not_on_the_volume_is_not_backed_up_as_if_it_were() {
    let Some(place) = place() else { return };
    let store = place.open();
    let prepared = store.prepare(&place.data(), &labels("b-1")).unwrap();
    let error = store.take(&prepared, place.dir.path(), &labels("b-1")).unwrap_err();
    assert!(error.to_string().contains("is not on the volume"), "{error}");
    // The folder is there, and the volume is not: what is in it is not what the image holds.
    let volume = ImageSpec::of(&place.config).unwrap();
    unmount(&volume).unwrap();
    std::fs::create_dir_all(place.data()).unwrap();
    let error = store.take(&prepared, &place.data(), &labels("b-1")).unwrap_err();
    assert!(error.to_string().contains("not mounted"), "{error}");
    std::fs::remove_dir(place.data()).unwrap();
    ensure_mounted(&volume).unwrap();
    place.back_up(store.as_ref(), "b-1", || {});
}

#[test]
fn a_restore_onto_a_disk_without_room_is_an_error_and_leaves_no_mount() {
    let (Some(place), Some(small)) = (place(), Disk::or_skip("ext4", 16)) else { return };
    place.write("large", &noise(30_000_000, 5));
    let store = place.open();
    place.back_up(store.as_ref(), "b-1", || {});
    let into = small.path().join("out");
    let error = store.restore(&store.find("b-1").unwrap(), &into).unwrap_err();
    assert!(error.to_string().contains("No space left"), "{error}");
    assert_eq!(names(&place.store_path()), ["b-1", "store.json"]);
    loops_are(&place.disk.as_ref().unwrap().path(), 1);
}
