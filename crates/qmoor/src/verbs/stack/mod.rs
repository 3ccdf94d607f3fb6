//! The stack of a node on AWS: what `plan`, `up` and `down` have in common.

mod ask;
mod carry;
mod drift;
mod look;
mod prepare;
mod show;
mod watch;

use std::time::Duration;

pub(super) use ask::take_back;
pub(super) use carry::{carry_out, explained};
pub(super) use drift::{Drift, drift};
pub(super) use prepare::{Prepared, prepare};
use qmoor_aws::{Aws, AwsError};
use qmoor_plan::config::{self, Config};
pub(super) use show::{outputs, plan};
use tokio::time::Instant;
pub(super) use watch::{stopped, watch};

use crate::cli::Global;
use crate::error::CliError;
use crate::node;

/// A node that is to be on AWS, and the way to its account.
pub(super) struct Session {
    pub(super) aws: Aws,
    pub(super) config: Config,
    pub(super) machine: config::Aws,
    /// The account, 12 digits.
    pub(super) account: String,
}

impl Session {
    /// Reads the file, finds the credentials, and asks whose they are.
    pub(super) async fn open(global: &Global) -> Result<Self, CliError> {
        let config = node::config(global)?;
        let Some(machine) = config.aws.clone() else {
            return Err(CliError::usage("the configuration names no machine on AWS").hint(
                "set aws.region and what belongs to it; examples/aws.toml is a complete file",
            ));
        };
        let aws = Aws::load(Some(&machine.region)).await.map_err(failed)?;
        let identity = aws.sts().get_caller_identity().await.map_err(failed)?;
        Ok(Self { aws, config, machine, account: identity.account })
    }

    /// The name of the node.
    pub(super) fn node(&self) -> &str {
        &self.config.node.name
    }
}

/// What AWS refused, with its hint.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn failed(error: AwsError) -> CliError {
    CliError::of(&error)
}

/// Waits between questions: short at first, a few seconds later, and an end.
pub(super) struct Pace {
    next: Duration,
    end: Instant,
}

impl Pace {
    const FIRST: Duration = Duration::from_millis(300);
    const LONGEST: Duration = Duration::from_secs(3);

    pub(super) fn new(longest: Duration) -> Self {
        Self { next: Self::FIRST, end: Instant::now() + longest }
    }

    /// Waits; `false` when the time is over.
    pub(super) async fn wait(&mut self) -> bool {
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 3 / 2).min(Self::LONGEST);
        Instant::now() < self.end
    }
}
