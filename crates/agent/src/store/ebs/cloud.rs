//! The calls to AWS that a store makes, one after the other, from threads that may wait.

use std::io;
use std::time::Duration;

use qmoor_aws::ec2::{
    CopySnapshot, Ec2, LockMode, NewVolume, Snapshot, SnapshotFilter, SnapshotState, Volume,
};
use qmoor_aws::{Aws, AwsError, Tags, Timeouts};
use qmoor_plan::aws::names;
use qmoor_plan::config::Config;

use crate::store::StoreError;

/// Names under which a volume may be attached. See "Device names for volumes" in the EC2 User Guide.
const DEVICES: std::ops::RangeInclusive<char> = 'f'..='p';

/// How long the call that fixes the point may take: clients are held meanwhile.
const CUT: Timeouts = Timeouts { attempt: Duration::from_secs(10), call: Duration::from_secs(25) };

/// EC2, as one node sees it.
#[derive(Debug)]
pub(super) struct Cloud {
    node: String,
    region: String,
    /// MiB a second at which volumes made of snapshots get their blocks, if they are to get them soon.
    rate: Option<u32>,
    ec2: Ec2,
    /// For what is asked while clients wait.
    hasty: Ec2,
    /// In the region that copies go to.
    copies: Option<Ec2>,
    /// The client's own: a store is used from threads that have none.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cloud {
    pub(super) fn open(
        load: impl Future<Output = Result<Aws, AwsError>>,
        config: &Config,
    ) -> Result<Self, StoreError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("aws")
            .enable_all()
            .build()
            .map_err(StoreError::NoClient)?;
        let aws = runtime.block_on(load)?;
        let hasty = aws.clone().with_timeouts(CUT).ec2();
        let region = aws.region().to_owned();
        let copies = config.store.copy_region.as_deref().map(|other| aws.in_region(other).ec2());
        let runtime = Some(runtime);
        let rate = Some(config.volume.initialization_rate).filter(|rate| *rate > 0);
        let node = config.node.name.clone();
        Ok(Self { node, region, rate, ec2: aws.ec2(), hasty, copies, runtime })
    }

    pub(super) fn node(&self) -> &str {
        &self.node
    }

    fn wait<T>(&self, call: impl Future<Output = Result<T, AwsError>>) -> Result<T, StoreError> {
        let closed = || StoreError::NoClient(io::ErrorKind::NotConnected.into());
        Ok(self.runtime.as_ref().ok_or_else(closed)?.block_on(call)?)
    }

    /// Tags that say whose it is, and these.
    fn tags(&self, tags: &[(&str, String)]) -> Tags {
        let own = std::iter::once((names::NODE.to_owned(), self.node.clone()));
        own.chain(tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone()))).collect()
    }

    fn snapshots_like(&self, filter: &SnapshotFilter) -> Result<Vec<Snapshot>, StoreError> {
        self.wait(self.ec2.describe_snapshots(filter))
    }

    /// All snapshots that are backups of this node.
    pub(super) fn snapshots(&self) -> Result<Vec<Snapshot>, StoreError> {
        let tag_keys = vec![names::BACKUP.to_owned()];
        self.snapshots_like(&SnapshotFilter {
            tags: self.tags(&[]),
            tag_keys,
            ..Default::default()
        })
    }

    /// The one that is the backup `id`.
    pub(super) fn named(&self, id: &str) -> Result<Option<Snapshot>, StoreError> {
        let tags = self.tags(&[(names::BACKUP, id.to_owned())]);
        let found = self.snapshots_like(&SnapshotFilter { tags, ..Default::default() })?;
        // Should there be two, the first is the point that was meant.
        Ok(found.into_iter().min_by_key(|snapshot| snapshot.started))
    }

    pub(super) fn snapshot(&self, snapshot: &str) -> Result<Snapshot, StoreError> {
        let ids = vec![snapshot.to_owned()];
        let found = self.snapshots_like(&SnapshotFilter { ids, ..Default::default() })?;
        found.into_iter().next().ok_or_else(|| StoreError::Gone { what: snapshot.to_owned() })
    }

    pub(super) fn create_snapshot(
        &self,
        volume: &str,
        id: &str,
        tags: &[(&str, String)],
    ) -> Result<Snapshot, StoreError> {
        let description = format!("qmoor backup {id} of {}", self.node);
        self.wait(self.hasty.create_snapshot(volume, &description, &self.tags(tags)))
    }

    /// One that is gone already is fine.
    pub(super) fn delete_snapshot(&self, snapshot: &str) -> Result<(), StoreError> {
        unless_gone(self.wait(self.ec2.delete_snapshot(snapshot)))
    }

    pub(super) fn lock(&self, snapshot: &str, mode: LockMode, days: u32) -> Result<(), StoreError> {
        self.wait(self.ec2.lock_snapshot(snapshot, mode, days))
    }

    /// Whether there is another region that copies go to.
    pub(super) fn copies(&self) -> bool {
        self.copies.is_some()
    }

    fn elsewhere(&self) -> Result<&Ec2, StoreError> {
        let none = || StoreError::Gone { what: "the region of the copies".to_owned() };
        self.copies.as_ref().ok_or_else(none)
    }

    /// Those that have not failed.
    pub(super) fn copies_of(&self, id: &str) -> Result<Vec<Snapshot>, StoreError> {
        let tags = self.tags(&[(names::BACKUP, id.to_owned())]);
        let filter = SnapshotFilter { tags, ..Default::default() };
        let found = self.wait(self.elsewhere()?.describe_snapshots(&filter))?;
        Ok(found.into_iter().filter(|copy| copy.state != SnapshotState::Error).collect())
    }

    /// A copy says all that the snapshot says, and which it is of.
    pub(super) fn copy(&self, snapshot: &Snapshot) -> Result<String, StoreError> {
        let mut tags = snapshot.tags.clone();
        tags.remove(names::LOCKED_UNTIL);
        tags.insert(names::COPY_OF.to_owned(), snapshot.id.clone());
        let copy = CopySnapshot {
            source: &snapshot.id,
            source_region: &self.region,
            description: &snapshot.description,
            kms_key_id: None,
            tags,
        };
        self.wait(self.elsewhere()?.copy_snapshot(&copy))
    }

    pub(super) fn delete_copy(&self, copy: &str) -> Result<(), StoreError> {
        unless_gone(self.wait(self.elsewhere()?.delete_snapshot(copy)))
    }

    pub(super) fn tag(&self, resource: &str, tags: &[(&str, String)]) -> Result<(), StoreError> {
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        self.wait(self.ec2.create_tags(&[resource], &tags))
    }

    pub(super) fn untag(&self, resource: &str, keys: &[&str]) -> Result<(), StoreError> {
        unless_gone(self.wait(self.ec2.delete_tags(&[resource], keys)))
    }

    pub(super) fn volume(&self, volume: &str) -> Result<Volume, StoreError> {
        let found = self.wait(self.ec2.volume(volume))?;
        found.ok_or_else(|| StoreError::Gone { what: volume.to_owned() })
    }

    /// The volumes that are `role` to this node.
    pub(super) fn volumes(&self, role: &str) -> Result<Vec<Volume>, StoreError> {
        let tags = self.tags(&[(names::ROLE, role.to_owned())]);
        let filters =
            tags.into_iter().map(|(key, value)| (format!("tag:{key}"), vec![value])).collect();
        self.wait(self.ec2.describe_volumes(&filters))
    }

    /// Makes a volume of a snapshot, as fast and as large as `like`, and in its zone.
    pub(super) fn create_volume(
        &self,
        snapshot: &str,
        like: &Volume,
        tags: &[(&str, String)],
    ) -> Result<String, StoreError> {
        let new = NewVolume {
            zone: like.zone.clone(),
            snapshot: Some(snapshot.to_owned()),
            size_gib: Some(like.size_gib.max(self.snapshot(snapshot)?.size_gib)),
            volume_type: like.volume_type.clone(),
            iops: like.iops.filter(|_| like.volume_type == "gp3"),
            throughput_mib_s: like.throughput_mib_s.filter(|_| like.volume_type == "gp3"),
            encrypted: like.encrypted,
            kms_key_id: like.kms_key_id.clone().filter(|_| like.encrypted),
            initialization_rate_mib_s: self.rate,
            tags: self.tags(tags),
            client_token: uuid::Uuid::new_v4().to_string(),
        };
        Ok(self.wait(self.ec2.create_volume(&new))?.id)
    }

    /// Attaches it to the machine that `own` is attached to, under a name that is free there.
    pub(super) fn attach(&self, volume: &str, own: &Volume) -> Result<(), StoreError> {
        let instance = attached_to(own).ok_or_else(|| StoreError::Gone {
            what: format!("the machine that {} is attached to", own.id),
        })?;
        let here = vec![("attachment.instance-id".to_owned(), vec![instance.clone()])];
        let taken: Vec<String> = self
            .wait(self.ec2.describe_volumes(&here))?
            .into_iter()
            .flat_map(|volume| volume.attachments)
            .map(|attachment| attachment.device)
            .collect();
        let mut names = DEVICES.map(|letter| format!("/dev/sd{letter}"));
        let free = names.find(|name| !taken.contains(name)).ok_or_else(|| StoreError::Gone {
            what: format!("a free device name at {instance}"),
        })?;
        match self.wait(self.ec2.attach_volume(volume, &instance, &free)) {
            // By a call whose answer got lost.
            Err(StoreError::Aws(error)) if error.code() == Some("VolumeInUse") => {
                let now = self.volume(volume)?;
                let here = now.attachments.iter().any(|at| at.instance_id == instance);
                if here { Ok(()) } else { Err(StoreError::Aws(error)) }
            }
            attached => attached.map(drop),
        }
    }

    /// Detaches it from wherever it is attached; from nowhere is fine.
    pub(super) fn detach(&self, volume: &Volume) -> Result<(), StoreError> {
        for at in &volume.attachments {
            if matches!(at.state.as_str(), "attached" | "attaching") {
                match self.wait(self.ec2.detach_volume(&volume.id, &at.instance_id, false)) {
                    // By a call whose answer got lost.
                    Err(StoreError::Aws(error)) if error.code() == Some("IncorrectState") => {
                        let now = self.volume(&volume.id)?;
                        if now.attachments.iter().any(|at| at.state == "attached") {
                            return Err(StoreError::Aws(error));
                        }
                    }
                    detached => drop(detached?),
                }
            }
        }
        Ok(())
    }

    /// One that is gone already is fine.
    pub(super) fn delete_volume(&self, volume: &str) -> Result<(), StoreError> {
        unless_gone(self.wait(self.ec2.delete_volume(volume)))
    }
}

impl Drop for Cloud {
    /// A store may be dropped where nothing may block.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The machine that a volume is attached to.
pub(super) fn attached_to(volume: &Volume) -> Option<String> {
    let attached = volume.attachments.iter().find(|at| at.state == "attached")?;
    Some(attached.instance_id.clone())
}

fn unless_gone(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(StoreError::Aws(error)) if error.is_not_found() => Ok(()),
        done => done,
    }
}
