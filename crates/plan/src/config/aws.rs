//! The machine on AWS.

use std::net::Ipv4Addr;

use serde::Serialize;

/// The machine on AWS that the node runs on, and what may reach it. Texts have their form: nothing in here needs
/// quoting in a shell, in JSON or in a template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Aws {
    /// Region.
    pub region: String,
    /// Name of the CloudFormation stack.
    pub stack: String,
    /// The VPC, `vpc-…`.
    pub vpc: String,
    /// The subnet, `subnet-…`, in that VPC and zone.
    pub subnet: String,
    /// Availability zone.
    pub zone: String,
    /// The fixed private address.
    pub address: Ipv4Addr,
    /// Security groups of the machines that index; not empty.
    pub index_groups: Vec<String>,
    /// Security groups of the machines that search; not empty.
    pub search_groups: Vec<String>,
    /// Security groups of machines from which operators reach the gateway.
    pub admin_groups: Vec<String>,
    /// Instance type.
    pub instance_type: String,
    /// Image of the machine, if one is named.
    pub ami: Option<String>,
    /// Size of the volume in bytes, whole GiB.
    pub volume_size: u64,
    /// Operations a second of the volume.
    pub volume_iops: u32,
    /// Throughput of the volume in MiB a second.
    pub volume_throughput: u32,
    /// ARN of the key that the disks are encrypted with; the account's own for EBS if there is none.
    pub kms_key: Option<String>,
    /// Size of the disk of the system in bytes, whole GiB.
    pub root_size: u64,
    /// Where the keys of the gateway are kept.
    pub secrets: Secrets,
    /// Where the machine gets the program: `https://…` or `s3://BUCKET/KEY`.
    pub binary_url: String,
    /// SHA-256 of the program, in lower case.
    pub binary_sha256: String,
    /// Who is told of a backup that failed.
    pub alarm_email: Option<String>,
}

/// Where the keys of the gateway are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Secrets {
    /// AWS Secrets Manager.
    SecretsManager,
    /// SSM Parameter Store, as `SecureString`.
    ParameterStore,
}

impl Secrets {
    /// The word for it in `qmoor.toml`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SecretsManager => "secretsmanager",
            Self::ParameterStore => "parameterstore",
        }
    }
}
