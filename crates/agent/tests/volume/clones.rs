//! A clone is one moment of an image, and a look into one leaves nothing behind.

use std::path::Path;

use qmoor_agent::volume::VolumeError;
use qmoor_agent::volume::clone::clone_image;
use qmoor_agent::volume::image::{ImageSpec, ensure_mounted};
use qmoor_agent::volume::scratch::{Scratch, clear};
use qmoor_plan::config::Filesystem;

use crate::disk::{Disk, done, loops_are, stamp};

/// A mounted image with a file in it that is on the disk, and a clone of it.
fn cloned(disk: &Disk, filesystem: Filesystem) -> std::path::PathBuf {
    let at = |name: &str| disk.path().join(name);
    let spec = ImageSpec {
        image: at("volume.img"),
        size: 512 << 20,
        filesystem,
        mount: at("volume"),
        record: at("volume.json"),
    };
    ensure_mounted(&spec).unwrap();
    std::fs::write(spec.mount.join("before"), "before").unwrap();
    std::fs::File::open(spec.mount.join("before")).unwrap().sync_all().unwrap();
    let clone = at("clone.img");
    clone_image(&spec.image, &clone).unwrap();
    std::fs::write(spec.mount.join("after"), "after").unwrap();
    done("sync", &["--file-system", spec.mount.to_str().unwrap()]);
    clone
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "lost+found")
        .collect();
    names.sort();
    names
}

#[test]
fn a_look_into_a_clone_shows_the_moment_of_the_clone_and_changes_nothing() {
    for filesystem in [Filesystem::Xfs, Filesystem::Ext4] {
        let Some(disk) = Disk::or_skip("xfs", 1024) else { return };
        let clone = cloned(&disk, filesystem);
        let before = (stamp(&clone), names(&disk.path()));
        let dir = disk.path().join("look");
        let look = Scratch::open(&clone, &dir, filesystem).unwrap();
        assert_eq!(names(&look.mount()), ["before"]);
        assert_eq!(std::fs::read(look.mount().join("before")).unwrap(), b"before");
        std::fs::write(look.mount().join("scribble"), "x").unwrap();
        loops_are(&disk.path(), 2);
        look.check().unwrap();
        assert_eq!((stamp(&clone), names(&disk.path())), before);
        loops_are(&disk.path(), 1);
        drop(Scratch::open(&clone, &dir, filesystem).unwrap());
        assert_eq!(names(&disk.path()), before.1);
        loops_are(&disk.path(), 1);
    }
}

#[test]
fn what_a_look_that_was_killed_has_left_is_cleared() {
    let Some(disk) = Disk::or_skip("xfs", 1024) else { return };
    let clone = cloned(&disk, Filesystem::Xfs);
    let dir = disk.path().join("look");
    let look = Scratch::open(&clone, &dir, Filesystem::Xfs).unwrap();
    // As if the process were gone: nothing of it is dropped.
    std::mem::forget(look);
    loops_are(&disk.path(), 2);
    clear(&dir).unwrap();
    assert!(!dir.exists());
    loops_are(&disk.path(), 1);
    // Attached and not yet mounted.
    std::fs::create_dir_all(dir.join("mount")).unwrap();
    clone_image(&clone, &dir.join("volume.img")).unwrap();
    done("losetup", &["--find", dir.join("volume.img").to_str().unwrap()]);
    clear(&dir).unwrap();
    loops_are(&disk.path(), 1);
    clear(&dir).unwrap();
}

#[test]
fn a_damaged_file_system_is_found_by_the_check() {
    for filesystem in [Filesystem::Xfs, Filesystem::Ext4] {
        let Some(disk) = Disk::or_skip("xfs", 1024) else { return };
        let clone = cloned(&disk, filesystem);
        let file = std::fs::File::options().read(true).write(true).open(&clone).unwrap();
        // What no mount looks at, and no log has a copy of: the spare superblock of the second of four groups, and
        // the map of free blocks of the last.
        let at = match filesystem {
            Filesystem::Xfs => (128 << 20) + 32,
            Filesystem::Ext4 => free_map_of_ext4(&clone),
        };
        std::os::unix::fs::FileExt::write_all_at(&file, &[0x5A; 64], at).unwrap();
        drop(file);
        let dir = disk.path().join("look");
        let found = Scratch::open(&clone, &dir, filesystem).and_then(Scratch::check);
        let error = found.unwrap_err().to_string();
        assert!(error.contains("xfs_repair") || error.contains("e2fsck"), "{error}");
        loops_are(&disk.path(), 1);
        assert!(!dir.exists());
    }
}

/// Where the bitmap of the last group begins, in bytes.
fn free_map_of_ext4(image: &Path) -> u64 {
    let told = done("dumpe2fs", &[image.to_str().unwrap()]);
    let group = told.split("Group 3:").nth(1).unwrap();
    let block = group.split("Block bitmap at ").nth(1).unwrap();
    let digits: String = block.chars().take_while(char::is_ascii_digit).collect();
    let size = told.split("Block size:").nth(1).unwrap().split_whitespace().next().unwrap();
    digits.parse::<u64>().unwrap() * size.parse::<u64>().unwrap()
}

#[test]
fn where_blocks_cannot_be_shared_it_is_said_and_nothing_is_left() {
    let (Some(ext4), Some(xfs)) = (Disk::or_skip("ext4", 64), Disk::or_skip("xfs", 512)) else {
        return;
    };
    for disk in [&ext4, &xfs] {
        std::fs::write(disk.path().join("a"), vec![1; 100_000]).unwrap();
    }
    for (from, to) in [(&ext4, &ext4), (&xfs, &ext4), (&ext4, &xfs)] {
        let error = clone_image(&from.path().join("a"), &to.path().join("b")).unwrap_err();
        assert!(matches!(error, VolumeError::NoClone { .. }), "{error}");
        assert!(error.to_string().contains("reflink=1"), "{error}");
        assert_eq!(names(&to.path()), ["a"]);
    }
    clone_image(&xfs.path().join("a"), &xfs.path().join("b")).unwrap();
    assert_eq!(std::fs::read(xfs.path().join("b")).unwrap(), vec![1; 100_000]);
}
