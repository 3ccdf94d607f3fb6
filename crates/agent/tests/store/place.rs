//! Data, and a store of either kind for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use qmoor_agent::durable::sync_filesystem;
use qmoor_agent::store::ebs::EbsStore;
use qmoor_agent::store::restic::ResticStore;
use qmoor_agent::store::{self, Labels, SnapshotStore, StoreError, Taken};
use qmoor_agent::volume::ebs::{self, EbsSpec};
use qmoor_agent::volume::image::{ImageSpec, ensure_mounted};
use qmoor_aws::Aws;
use qmoor_plan::config::{Config, Filesystem, StoreKind, VolumeKind};

use crate::disk::Disk;
use crate::emulator::{Emulator, ZONE};

pub(crate) struct Place {
    pub(crate) config: Config,
    pub(crate) dir: tempfile::TempDir,
    /// Goes before the folder does.
    pub(crate) disk: Option<Disk>,
    /// Where the emulated AWS is.
    pub(crate) cloud: Option<String>,
}

impl Place {
    /// For a repository of restic.
    pub(crate) fn restic() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = Config::for_dir(dir.path());
        Self { config, dir, disk: None, cloud: None }.filled()
    }

    /// For clones of an image.
    pub(crate) fn clones_or_skip(filesystem: Filesystem) -> Option<Self> {
        let disk = Disk::or_skip("xfs", 2048)?;
        let mut config = Config::for_dir(&disk.path());
        config.store.kind = StoreKind::Clone;
        config.volume.kind = VolumeKind::Image;
        config.volume.size = 512 << 20;
        config.volume.filesystem = filesystem;
        config.node.data = config.volume.mount.join("data");
        std::fs::create_dir(&config.node.state).unwrap();
        ensure_mounted(&ImageSpec::of(&config).unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        Some(Self { config, dir, disk: Some(disk), cloud: None }.filled())
    }

    /// For snapshots of EBS.
    pub(crate) fn ebs(emulator: &Emulator) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Of a place alone: all share one account.
        let name = dir.path().file_name().unwrap().to_string_lossy().replace('.', "n");
        let volume = emulator.volume(&name);
        let mut config = Config::for_dir(dir.path());
        config.node.name = name;
        config.volume.kind = VolumeKind::Ebs;
        config.store.kind = StoreKind::Ebs;
        config.volume.id = Some(volume);
        config.volume.devices = emulator.devices.clone();
        config.node.data = config.volume.mount.join("data");
        config.store.path = config.volume.mount.join("store");
        std::fs::create_dir_all(&config.node.state).unwrap();
        ebs::ensure_mounted(&EbsSpec::of(&config).unwrap().unwrap()).unwrap();
        let url = emulator.url.clone();
        Self { config, dir, disk: None, cloud: Some(url) }.filled()
    }

    fn filled(self) -> Self {
        std::fs::create_dir_all(&self.config.node.state).unwrap();
        for (name, bytes) in [
            ("aliases.json", b"{}".to_vec()),
            ("collections/docs/config.json", b"{\"a\":1}".to_vec()),
            ("collections/docs/segments/1/vectors.dat", noise(300_000, 1)),
            ("collections/docs/segments/2/vectors.dat", noise(3_000_000, 2)),
            ("collections/docs/empty", Vec::new()),
            ("collections/docs/wal/o'dd \"name\" \\ \u{fc}", noise(1000, 3)),
        ] {
            self.write(name, &bytes);
        }
        std::fs::create_dir_all(self.data().join("collections/hollow")).unwrap();
        self
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.config.node.data.clone()
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.config.store.path.clone()
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.config.node.state.join("store.key")
    }

    pub(crate) fn open(&self) -> Arc<dyn SnapshotStore> {
        self.try_open(false).unwrap()
    }

    pub(crate) fn try_open(&self, must_exist: bool) -> Result<Arc<dyn SnapshotStore>, StoreError> {
        match &self.cloud {
            None => store::open(&self.config, must_exist),
            Some(url) => {
                let aws = Aws::at(url, ZONE.trim_end_matches('a'), "test", "test");
                Ok(Arc::new(EbsStore::through(&self.config, must_exist, aws)?))
            }
        }
    }

    pub(crate) fn open_restic(&self) -> ResticStore {
        ResticStore::open(&self.store_path(), &self.key(), false).unwrap()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.data().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The point, with `meanwhile` between the preparation and the cut.
    pub(crate) fn take(
        &self,
        store: &dyn SnapshotStore,
        id: &str,
        meanwhile: impl FnOnce(),
    ) -> Result<Taken, StoreError> {
        let labels = labels(id);
        let prepared = store.prepare(&self.data(), &labels).unwrap();
        meanwhile();
        sync_filesystem(&self.data()).unwrap();
        store.take(&prepared, &self.data(), &labels)
    }

    /// A whole backup, with `meanwhile` between the preparation and the cut.
    pub(crate) fn back_up(
        &self,
        store: &dyn SnapshotStore,
        id: &str,
        meanwhile: impl FnOnce(),
    ) -> Taken {
        let taken = self.take(store, id, meanwhile).unwrap();
        store.settle().unwrap();
        store.verify(&store.find(id).unwrap(), Some(&taken), true).unwrap();
        store.write_manifest(&labels(id), id.as_bytes(), Timestamp::now()).unwrap();
        taken
    }

    pub(crate) fn restored(
        &self,
        store: &dyn SnapshotStore,
        id: &str,
    ) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        self.seen(store, id, contents)
    }

    /// Shows what was restored to `see`, and takes it away again.
    pub(crate) fn seen<T>(
        &self,
        store: &dyn SnapshotStore,
        id: &str,
        see: impl FnOnce(&Path) -> T,
    ) -> T {
        let into = self.dir.path().join(format!("restored-{id}"));
        let restored = store.restore(&store.find(id).unwrap(), &into).unwrap();
        let seen = see(&restored.data);
        store.forget(&into).unwrap();
        assert!(!into.exists());
        seen
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.cloud.is_some() {
            let mount = self.config.volume.mount.clone();
            std::process::Command::new("umount").arg(mount).status().unwrap();
        }
    }
}

pub(crate) fn labels(id: &str) -> Labels {
    Labels {
        id: id.to_owned(),
        host: "node".to_owned(),
        batch: Some("batch, with a comma".to_owned()),
        grade: "clean".to_owned(),
    }
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
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
pub(crate) fn contents(root: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
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
