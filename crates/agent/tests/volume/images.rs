//! An image is made once, mounted, adopted, grown, and never taken for another one.

use std::path::{Path, PathBuf};

use qmoor_agent::volume::VolumeError;
use qmoor_agent::volume::image::{ImageSpec, ensure_mounted, mounted, unmount};
use qmoor_plan::config::Filesystem;

use crate::disk::{Disk, done, loops_are, stamp};

const MIB: u64 = 1 << 20;

/// A place for an image, and what is to be there.
struct Place {
    disk: Disk,
    spec: ImageSpec,
}

impl Place {
    fn or_skip(filesystem: Filesystem) -> Option<Self> {
        let disk = Disk::or_skip("xfs", 1024)?;
        let at = |name: &str| disk.path().join(name);
        let spec = ImageSpec {
            image: at("volume.img"),
            size: 512 * MIB,
            filesystem,
            mount: at("volume"),
            record: at("volume.json"),
        };
        Some(Self { disk, spec })
    }

    fn both() -> impl Iterator<Item = Self> {
        [Filesystem::Xfs, Filesystem::Ext4].into_iter().filter_map(Self::or_skip)
    }

    /// Mounts it, and finds one device and the file that was written before.
    fn is_well(&self, adopted: bool) {
        let done = ensure_mounted(&self.spec).unwrap();
        assert_eq!(done.adopted, adopted);
        assert_eq!(mounted(&self.spec).unwrap(), Some(done.device));
        loops_are(&self.disk.path(), 1);
        let file = self.spec.mount.join("kept");
        if file.exists() {
            assert_eq!(std::fs::read(&file).unwrap(), b"kept");
        }
    }

    fn made_and_unmounted(&self) {
        self.is_well(false);
        std::fs::write(self.spec.mount.join("kept"), "kept").unwrap();
        unmount(&self.spec).unwrap();
        loops_are(&self.disk.path(), 0);
    }

    /// Refuses, for this reason, and has attached and written nothing.
    fn refuses(&self, why: &str) {
        let before = self.spec.image.exists().then(|| stamp(&self.spec.image));
        let error = ensure_mounted(&self.spec).unwrap_err();
        assert!(matches!(error, VolumeError::Refused { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(why) && text.contains("(hint: "), "{text}");
        assert_eq!(self.spec.image.exists().then(|| stamp(&self.spec.image)), before);
        loops_are(&self.disk.path(), 0);
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[test]
fn it_is_made_once_mounted_and_adopted_by_whoever_comes_next() {
    for place in Place::both() {
        place.is_well(false);
        std::fs::write(place.spec.mount.join("kept"), "kept").unwrap();
        place.is_well(true);
        let options = done(
            "findmnt",
            &["--noheadings", "--output", "FSTYPE,OPTIONS", &text(&place.spec.mount)],
        );
        assert!(options.contains("noatime") && options.contains("nodev"), "{options}");
        assert!(options.starts_with(place.spec.filesystem.as_str()), "{options}");
        assert!(!options.contains("nouuid"), "{options}");
        unmount(&place.spec).unwrap();
        unmount(&place.spec).unwrap();
        loops_are(&place.disk.path(), 0);
        place.is_well(false);
        assert!(place.spec.mount.join("kept").exists());
        // It takes the room of what is in it.
        use std::os::unix::fs::MetadataExt as _;
        let meta = place.spec.image.metadata().unwrap();
        assert_eq!(meta.len(), 512 * MIB);
        assert!(meta.blocks() * 512 < 100 * MIB, "{}", meta.blocks());
    }
}

#[test]
fn a_crash_at_any_point_of_the_making_is_healed_by_the_next_call() {
    let Some(place) = Place::or_skip(Filesystem::Xfs) else { return };
    place.made_and_unmounted();
    let record = std::fs::read_to_string(&place.spec.record).unwrap();
    let begun = record.replace("\"made\":true", "\"made\":false");
    assert_ne!(begun, record);
    let cut = |prepare: &dyn Fn(&Place)| {
        for place in Place::both() {
            let begun = begun.replace("\"xfs\"", &format!("{:?}", place.spec.filesystem.as_str()));
            std::fs::write(&place.spec.record, begun).unwrap();
            prepare(&place);
            place.made_and_unmounted();
            place.is_well(false);
            assert!(place.spec.mount.join("kept").exists());
            let left = place.disk.path().join("volume.img.making");
            assert!(!left.exists());
        }
    };
    // Written down, and nothing made.
    cut(&|_| {});
    // The file, and half of what is in it, under its first name.
    cut(&|place| std::fs::write(place.disk.path().join("volume.img.making"), "half").unwrap());
    // Whole under its name, and not yet written down as made.
    cut(&|place| {
        ensure_mounted(&place.spec).unwrap();
        unmount(&place.spec).unwrap();
        let made = std::fs::read_to_string(&place.spec.record).unwrap();
        let made = made.replace("\"made\":true", "\"made\":false");
        std::fs::write(&place.spec.record, made).unwrap();
    });
}

#[test]
fn a_crash_between_the_device_and_the_mount_leaves_no_second_device() {
    for place in Place::both() {
        place.made_and_unmounted();
        for devices in 1..=2 {
            for _ in 0..devices {
                done("losetup", &["--find", &text(&place.spec.image)]);
            }
            loops_are(&place.disk.path(), devices);
            place.is_well(false);
            unmount(&place.spec).unwrap();
            loops_are(&place.disk.path(), 0);
        }
    }
}

#[test]
fn an_image_that_is_gone_is_not_made_anew() {
    for place in Place::both() {
        place.made_and_unmounted();
        let away = place.disk.path().join("away");
        std::fs::rename(&place.spec.image, &away).unwrap();
        place.refuses("is gone, and held the data of this node");
        assert!(!place.spec.image.exists());
        std::fs::rename(&away, &place.spec.image).unwrap();
        place.is_well(false);
    }
}

#[test]
fn only_a_blank_file_is_formatted() {
    for place in Place::both() {
        let image = text(&place.spec.image);
        for filesystem in ["xfs", "ext4"] {
            std::fs::File::create(&image).unwrap().set_len(512 * MIB).unwrap();
            done(&format!("mkfs.{filesystem}"), &["-q", &image]);
            place.refuses("that this node did not make");
            std::fs::remove_file(&image).unwrap();
        }
        // What no program knows is not nothing.
        for at in [1000, 512 * MIB - 1000] {
            let file = std::fs::File::create(&image).unwrap();
            file.set_len(512 * MIB).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, b"somebody's", at).unwrap();
            place.refuses("something unknown");
        }
        assert!(!place.spec.record.exists());
        std::fs::File::create(&image).unwrap().set_len(100 * MIB).unwrap();
        place.is_well(false);
        assert_eq!(place.spec.image.metadata().unwrap().len(), 512 * MIB);
    }
}

#[test]
fn a_file_that_is_longer_than_configured_is_not_cut() {
    let Some(place) = Place::or_skip(Filesystem::Xfs) else { return };
    std::fs::File::create(&place.spec.image).unwrap().set_len(600 * MIB).unwrap();
    place.refuses("is longer than `volume.size`");
    assert_eq!(place.spec.image.metadata().unwrap().len(), 600 * MIB);
}

#[test]
fn another_image_in_its_place_is_not_mounted() {
    for place in Place::both() {
        place.made_and_unmounted();
        let image = text(&place.spec.image);
        let away = place.disk.path().join("away");
        std::fs::rename(&image, &away).unwrap();
        std::fs::File::create(&image).unwrap().set_len(512 * MIB).unwrap();
        place.refuses("is blank, and held the data");
        done(&format!("mkfs.{}", place.spec.filesystem.as_str()), &["-q", &image]);
        place.refuses("not that of this node");
        std::fs::rename(&away, &image).unwrap();
        let file = std::fs::File::options().write(true).open(&image).unwrap();
        file.set_len(500 * MIB).unwrap();
        place.refuses("its end is missing");
    }
}

#[test]
fn a_folder_that_holds_files_is_not_mounted_over() {
    for place in Place::both() {
        place.made_and_unmounted();
        std::fs::create_dir(place.spec.mount.join("data")).unwrap();
        place.refuses("holds `data` and no volume is mounted on it");
        std::fs::remove_dir(place.spec.mount.join("data")).unwrap();
        place.is_well(false);
    }
}

#[test]
fn what_else_is_mounted_there_is_not_taken_for_it() {
    let Some(place) = Place::or_skip(Filesystem::Ext4) else { return };
    place.made_and_unmounted();
    done("mount", &["-t", "tmpfs", "tmpfs", &text(&place.spec.mount)]);
    place.refuses("has tmpfs mounted on it");
    done("umount", &[&text(&place.spec.mount)]);
    let elsewhere = place.disk.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    done("mount", &["-o", "loop", &text(&place.spec.image), &text(&elsewhere)]);
    let error = ensure_mounted(&place.spec).unwrap_err().to_string();
    assert!(error.contains("is mounted on") && error.contains("elsewhere already"), "{error}");
    loops_are(&place.disk.path(), 1);
}

#[test]
fn another_file_system_than_it_was_made_with_is_refused() {
    let Some(mut place) = Place::or_skip(Filesystem::Ext4) else { return };
    place.made_and_unmounted();
    place.spec.filesystem = Filesystem::Xfs;
    place.refuses("was made with ext4, and `volume.filesystem` is xfs");
}

/// Bytes of the mounted file system.
fn capacity(mount: &Path) -> u64 {
    let found = rustix::fs::statvfs(mount).unwrap();
    found.f_blocks * found.f_frsize
}

#[test]
fn it_grows_while_mounted_and_at_the_mount_and_does_not_shrink() {
    for mut place in Place::both() {
        place.is_well(false);
        std::fs::write(place.spec.mount.join("kept"), "kept").unwrap();
        let small = capacity(&place.spec.mount);
        place.spec.size = 640 * MIB;
        match ensure_mounted(&place.spec) {
            Ok(done) => assert!(done.adopted),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("cannot grow while it is mounted"), "{text}");
                assert!(
                    text.contains("umount") && place.spec.filesystem == Filesystem::Ext4,
                    "{text}"
                );
                eprintln!("SKIPPED: without the right CAP_SYS_RESOURCE no mounted ext4 has grown");
                unmount(&place.spec).unwrap();
                place.is_well(false);
            }
        }
        place.is_well(true);
        let larger = capacity(&place.spec.mount);
        assert!(larger > small + 100 * MIB, "{small} {larger}");
        unmount(&place.spec).unwrap();
        // Cut after the file had grown, and nothing else had.
        std::fs::File::options()
            .write(true)
            .open(&place.spec.image)
            .unwrap()
            .set_len(768 * MIB)
            .unwrap();
        place.spec.size = 768 * MIB;
        place.is_well(false);
        assert!(capacity(&place.spec.mount) > larger + 100 * MIB);
        unmount(&place.spec).unwrap();
        place.spec.size = 640 * MIB;
        place.refuses("a volume cannot shrink");
        place.spec.size = 768 * MIB;
        place.is_well(false);
    }
}

#[test]
fn a_log_that_was_not_replayed_is_replayed_at_the_mount() {
    for place in Place::both() {
        place.is_well(false);
        let kept = place.spec.mount.join("kept");
        std::fs::write(&kept, "kept").unwrap();
        std::fs::File::open(&kept).unwrap().sync_all().unwrap();
        // As a power cut leaves it.
        let cut: PathBuf = place.disk.path().join("cut.img");
        done("cp", &["--reflink=always", &text(&place.spec.image), &text(&cut)]);
        unmount(&place.spec).unwrap();
        std::fs::rename(&cut, &place.spec.image).unwrap();
        place.is_well(false);
        assert_eq!(std::fs::read(&kept).unwrap(), b"kept");
    }
}

#[test]
fn what_is_removed_inside_gives_its_room_back() {
    use std::os::unix::fs::MetadataExt as _;
    for place in Place::both() {
        place.is_well(false);
        let large = place.spec.mount.join("large");
        let sync = || done("sync", &["--file-system", &text(&place.spec.mount)]);
        let held = || place.spec.image.metadata().unwrap().blocks() * 512;
        let before = held();
        std::fs::write(&large, vec![7; 100_000_000]).unwrap();
        sync();
        assert!(held() > before + 90_000_000);
        std::fs::remove_file(&large).unwrap();
        // It is given back in the background.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while held() > before + 20_000_000 {
            assert!(std::time::Instant::now() < deadline, "{before} {}", held());
            sync();
        }
    }
}
