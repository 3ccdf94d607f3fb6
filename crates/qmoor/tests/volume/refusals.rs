//! What must not be frozen is not, and the reason is said.

use std::path::Path;

use qmoor_agent::volume::VolumeError;
use qmoor_agent::volume::freeze::Freezable;

use crate::disk::{Disk, done};
use crate::freeze::freezing_program;

#[track_caller]
fn refused(data: &Path, never: &[&Path], why: &str) {
    let error = Freezable::find(data, never).unwrap_err();
    assert!(matches!(error, VolumeError::NotFreezable { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(why) && text.contains("(hint: "), "{text}");
    assert!(text.contains(&data.display().to_string()), "{text}");
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_root_of_the_system_and_what_is_no_disk_are_not_frozen() {
    let dir = tempfile::tempdir().unwrap();
    let error = Freezable::find(dir.path(), &[]).unwrap_err().to_string();
    // As the place of temporary files is on the root, on a disk of its own, or in memory.
    let reasons = [
        "holds the root of the system too",
        "neither ext4 nor xfs",
        "of a larger file system",
        "the program",
    ];
    assert!(reasons.iter().any(|why| error.contains(why)), "{error}");
    refused(Path::new("/proc"), &[], "its file system is proc");
    let error = Freezable::find(Path::new("/"), &[]).unwrap_err().to_string();
    assert!(
        error.contains("holds the root of the system too")
            || error.contains("neither ext4 nor xfs"),
        "{error}"
    );
    let error = Freezable::find(&dir.path().join("missing"), &[]).unwrap_err();
    assert!(matches!(error, VolumeError::Io { .. }), "{error}");
}

#[test]
fn memory_and_layers_are_not_frozen() {
    let Some(disk) = Disk::or_skip("ext4", 64) else { return };
    let at = |name: &str| {
        let path = disk.path().join(name);
        std::fs::create_dir(&path).unwrap();
        path
    };
    let memory = at("memory");
    done("mount", &["-t", "tmpfs", "tmpfs", text(&memory)]);
    refused(&memory, &[], "its file system is tmpfs");
    let (lower, upper, work, layers) = (at("lower"), at("upper"), at("work"), at("layers"));
    let (lower, upper, work) = (lower.display(), upper.display(), work.display());
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    done("mount", &["-t", "overlay", "-o", &options, "overlay", text(&layers)]);
    refused(&layers, &[], "its file system is overlay");
}

#[test]
fn a_part_of_a_disk_is_not_frozen_as_if_it_were_all_of_it() {
    let Some(disk) = Disk::or_skip("ext4", 64) else { return };
    let (part, elsewhere) = (disk.path().join("part"), disk.path().join("elsewhere"));
    std::fs::create_dir(&part).unwrap();
    std::fs::create_dir(&elsewhere).unwrap();
    done("mount", &["--bind", text(&part), text(&elsewhere)]);
    refused(&elsewhere, &[], "only the part /part of a larger file system");
    Freezable::find(&part, &[]).unwrap();
}

#[test]
fn a_disk_that_holds_what_must_be_written_meanwhile_is_not_frozen() {
    let (Some(data), Some(other)) = (Disk::or_skip("xfs", 320), Disk::or_skip("ext4", 64)) else {
        return;
    };
    let store = data.path().join("store/not/made/yet");
    refused(&data.path(), &[&other.path(), &store], "holds ");
    let found = Freezable::find(&data.path().join("."), &[&other.path()]).unwrap();
    assert_eq!(found.mount(), data.path().canonicalize().unwrap());
    // The other way round: the store is a disk of its own, and its file lies on the data.
    let image = data.path().join("store.img");
    std::fs::File::create(&image).unwrap().set_len(64 << 20).unwrap();
    done("mkfs.ext4", &["-q", text(&image)]);
    let inner = other.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    done("mount", &["-o", "loop", text(&image), text(&inner)]);
    refused(&data.path(), &[&inner], &format!("holds {} too", inner.display()));
    Freezable::find(&inner, &[&data.path()]).unwrap();
}

#[test]
fn a_disk_that_holds_the_log_of_the_program_is_not_frozen() {
    let Some(disk) = Disk::or_skip("ext4", 64) else { return };
    let log = disk.path().join("log");
    let status = freezing_program(&disk).stderr(std::fs::File::create(&log).unwrap()).status();
    assert!(!status.unwrap().success());
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("holds the program's log, its standard error too"), "{said}");
}
