//! Talks to AWS: a thin typed client for the calls qmoor needs.
//!
//! Credentials, signatures, retries, timeouts and connections are the AWS SDK's own
//! (`aws-config`, `aws-runtime`, `aws-smithy-runtime`). Only the calls are ours, because the SDK's
//! client for EC2 alone is more than a million lines.
//!
//! A call is repeated as the SDK's standard mode does. One that makes something new and takes no
//! client token (`CreateSnapshot`) is repeated only when it was surely not done; otherwise the error
//! says [`AwsError::may_have_happened`], and the caller looks for what it asked for, by its tags.

mod call;
mod error;
mod json;
mod load;
mod once;
mod query;
mod service;

pub mod cloudformation;
pub mod ec2;
pub mod events;
pub mod parameters;
pub mod quotas;
pub mod secrets;
pub mod ssm;
pub mod states;
pub mod sts;

use std::collections::BTreeMap;

pub use error::AwsError;
pub use load::{Aws, Retries, Timeouts};

/// Tags of a resource.
pub type Tags = BTreeMap<String, String>;

impl Aws {
    /// Elastic Compute Cloud: instances, volumes, snapshots, networks.
    pub fn ec2(&self) -> ec2::Ec2 {
        ec2::Ec2(self.clone())
    }

    /// CloudFormation: stacks and change sets.
    pub fn cloudformation(&self) -> cloudformation::CloudFormation {
        cloudformation::CloudFormation(self.clone())
    }

    /// Secrets Manager.
    pub fn secrets(&self) -> secrets::Secrets {
        secrets::Secrets(self.clone())
    }

    /// Systems Manager's parameter store.
    pub fn parameters(&self) -> parameters::Parameters {
        parameters::Parameters(self.clone())
    }

    /// Systems Manager's run command.
    pub fn ssm(&self) -> ssm::Ssm {
        ssm::Ssm(self.clone())
    }

    /// Security Token Service: who is calling.
    pub fn sts(&self) -> sts::Sts {
        sts::Sts(self.clone())
    }

    /// Step Functions.
    pub fn states(&self) -> states::States {
        states::States(self.clone())
    }

    /// EventBridge.
    pub fn events(&self) -> events::Events {
        events::Events(self.clone())
    }

    /// Service Quotas.
    pub fn quotas(&self) -> quotas::Quotas {
        quotas::Quotas(self.clone())
    }
}
