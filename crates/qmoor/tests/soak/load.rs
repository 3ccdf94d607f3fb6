//! The load of a round: writers, a reader, and backups back to back.

use std::time::Duration;

use qdrant_client::Qdrant;
use qdrant_client::qdrant::{CountPointsBuilder, QueryPointsBuilder};
use qmoor_agent::backup::BackupRequest;
use qmoor_plan::backup::Mode;
use qmoor_plan::manifest::Grade;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::{JoinHandle, JoinSet};

use crate::node::Agent;
use crate::round::Round;
use crate::writers::{COLLECTION, Writer};

/// How many write at once.
pub(crate) const WRITERS: u64 = 3;
/// Between two reads, which must not take all there is of two cores.
const BREATH: Duration = Duration::from_millis(5);

/// A load that goes on until the kill is noticed or the round is over.
pub(crate) struct Load {
    writers: JoinSet<Writer>,
    reader: JoinHandle<u64>,
    backups: JoinHandle<Vec<String>>,
}

/// What it did.
pub(crate) struct Loaded {
    pub(crate) writers: Vec<Writer>,
    pub(crate) reads: u64,
    /// Ids of the backups that were reported as made.
    pub(crate) made: Vec<String>,
}

impl Load {
    pub(crate) fn begin(
        agent: &Agent,
        round: &Round,
        writers: Vec<Writer>,
        mode: Mode,
        random: &mut StdRng,
    ) -> Self {
        let mut tasks = JoinSet::new();
        for mut writer in writers {
            let (client, round, seed) = (agent.client(), round.clone(), random.random());
            tasks.spawn(async move {
                writer.write(&client, &round, StdRng::seed_from_u64(seed)).await;
                writer
            });
        }
        let reader = tokio::spawn(read(agent.client(), round.clone()));
        let (control, round) = (agent.control.clone(), round.clone());
        let backups = tokio::spawn(async move {
            let request = BackupRequest { mode, ..BackupRequest::default() };
            let mut made = Vec::new();
            while !round.is_over() {
                match control.backup(&request, |_| {}).await {
                    Ok(report) => {
                        assert_ne!(report.grade, Grade::Crash, "{report:?}");
                        let exit_code = report.manifest.engine.exit_code;
                        assert!(report.grade != Grade::Clean || exit_code == Some(0), "{report:?}");
                        assert_eq!(report.warnings, Vec::<String>::new());
                        made.push(report.id);
                    }
                    // Another backup would clean up after the one that was cut, which is the node's own to do.
                    Err(error) => {
                        assert!(round.is_killed(), "a backup failed on a living node: {error}");
                        break;
                    }
                }
            }
            made
        });
        Self { writers: tasks, reader, backups }
    }

    /// Waits for all of it to end. Writers first: they end with the kill, or with the round.
    pub(crate) async fn ended(self) -> Loaded {
        Loaded {
            writers: self.writers.join_all().await,
            reads: self.reader.await.unwrap(),
            made: self.backups.await.unwrap(),
        }
    }
}

async fn read(client: Qdrant, round: Round) -> u64 {
    let mut reads = 0;
    while !round.is_over() {
        let query = QueryPointsBuilder::new(COLLECTION).query(vec![0.5; 32]).limit(5);
        let count = CountPointsBuilder::new(COLLECTION).exact(true);
        let answered = match client.query(query).await {
            Ok(_) => client.count(count).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            round.may_fail(&error);
            break;
        }
        reads += 1;
        tokio::time::sleep(BREATH).await;
    }
    reads
}
