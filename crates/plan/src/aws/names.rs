//! Names of what a node has on AWS. Policies compare these, so nobody else may spell them.

use crate::access::Role;

/// Tag on all that belongs to a node: its name. What the node may delete, detach or lock must carry it.
pub const NODE: &str = "qmoor:node";

/// Tag on a snapshot: the id of the backup.
pub const BACKUP: &str = "qmoor:backup";

/// Tag on a snapshot: the batch that the backup was asked for.
pub const BATCH: &str = "qmoor:batch";

/// Tag on a snapshot: the grade of the backup.
pub const GRADE: &str = "qmoor:grade";

/// Tag on a snapshot: the SHA-256 of its manifest. A snapshot without one is incomplete.
pub const MANIFEST: &str = "qmoor:manifest";

/// Tag on a snapshot: the SHA-256 of the manifest as far as it was known before the cut, which is inside it.
pub const DRAFT: &str = "qmoor:draft";

/// Tag on a snapshot: when its point was fixed, as RFC 3339. EC2 tells it less exactly.
pub const AT: &str = "qmoor:at";

/// Tag on a snapshot: how many bytes the files of the data have.
pub const BYTES: &str = "qmoor:bytes";

/// Tag on a volume that was made of a snapshot: where it is to be mounted.
pub const MOUNT: &str = "qmoor:mount";

/// Tag on a snapshot that EBS does not delete before this time, as RFC 3339.
pub const LOCKED_UNTIL: &str = "qmoor:locked-until";

/// Tag on a snapshot in another region: which snapshot it is a copy of.
pub const COPY_OF: &str = "qmoor:copy-of";

/// Tag on a snapshot that is kept whatever the retention policy says.
pub const PINNED: &str = "qmoor:pinned";

/// Tag on a volume: what it is to its node, one of [`DATA`], [`SCRATCH`] and [`REPLACED`].
pub const ROLE: &str = "qmoor:role";

/// Role of the volume that the node's data is on.
pub const DATA: &str = "data";

/// Role of a volume made for a drill or a restore, before it takes the place of the data.
pub const SCRATCH: &str = "scratch";

/// Role of a volume whose place another one has taken.
pub const REPLACED: &str = "replaced";

/// The secret, in Secrets Manager, that holds the key of a role.
#[must_use]
pub fn secret(node: &str, role: Role) -> String {
    format!("qmoor/{node}/{}", role.as_str())
}

/// The parameter, in Parameter Store, that holds the key of a role.
#[must_use]
pub fn parameter(node: &str, role: Role) -> String {
    format!("/qmoor/{node}/{}", role.as_str())
}

/// The SSM document that says which verbs may be run on a node.
#[must_use]
pub fn document(node: &str) -> String {
    format!("qmoor-{node}")
}

/// `detail-type` of the event that asks for a backup.
pub const BATCH_INDEXED: &str = "BatchIndexed";

/// The partition of a region: what stands at the beginning of its ARNs.
#[must_use]
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The outputs of the stack.
pub mod output {
    /// The fixed private address.
    pub const ADDRESS: &str = "Address";
    /// `http(s)://ADDRESS:PORT` of the gateway, for REST and gRPC.
    pub const URL: &str = "Url";
    /// The same of the port for gRPC alone.
    pub const GRPC_URL: &str = "GrpcUrl";
    /// The machine.
    pub const INSTANCE: &str = "InstanceId";
    /// The volume that holds the data.
    pub const VOLUME: &str = "VolumeId";
    /// The network interface that holds the address.
    pub const INTERFACE: &str = "InterfaceId";
    /// The security group of the node.
    pub const GROUP: &str = "SecurityGroupId";
    /// What the security groups of clients must let out, where they do not let out everything.
    pub const CLIENT_RULE: &str = "ClientRule";
    /// ARN of the secret, or name of the parameter, with the admin key.
    pub const ADMIN_SECRET: &str = "AdminSecret";
    /// ARN of the secret, or name of the parameter, with the index key.
    pub const INDEX_SECRET: &str = "IndexSecret";
    /// ARN of the secret, or name of the parameter, with the search key.
    pub const SEARCH_SECRET: &str = "SearchSecret";
    /// Managed policy for the role of the machines that index.
    pub const INDEX_POLICY: &str = "IndexPolicyArn";
    /// Managed policy for the role of the machines that search.
    pub const SEARCH_POLICY: &str = "SearchPolicyArn";
    /// The SSM document.
    pub const DOCUMENT: &str = "Document";
    /// The state machine that makes a backup on a message.
    pub const MACHINE: &str = "BackupMachineArn";
    /// The topic that is told of a backup that failed.
    pub const TOPIC: &str = "AlarmTopicArn";
}

/// What the template calls some of its resources: those that a change is careful with.
pub mod resource {
    /// The machine.
    pub const MACHINE: &str = "Machine";
    /// The volume that the stack made.
    pub const VOLUME: &str = "Volume";
    /// That the volume is at the machine.
    pub const ATTACHMENT: &str = "Attachment";
    /// The network interface that holds the address.
    pub const INTERFACE: &str = "Interface";
}
