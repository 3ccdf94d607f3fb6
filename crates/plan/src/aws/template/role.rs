//! What the machine may do on AWS: to its own volumes, snapshots and keys, and to nobody else's.
//!
//! The agent makes volumes and snapshots that the template cannot name. What is the node's own carries its tag
//! `qmoor:node`, and the agent can set that tag only on what it makes. Describe calls take no resource.
//!
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>

use serde_json::{Map, Value, json};

use super::{Node, allow, allow_if, arn, get, names, policy, role, secrets};
use crate::access::Role;
use crate::config::{Lock, Secrets};

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    let mut policies = vec![
        policy("managed", &managed()),
        policy("look", &look()),
        policy("snapshots", &snapshots(node)),
        policy("volumes", &volumes(node)),
        policy("keys", &keys(node)),
    ];
    if let Some(region) = &node.config.store.copy_region {
        policies.push(policy("copies", &copies(node, region)));
    }
    if let Some(key) = &node.aws.kms_key {
        policies.push(policy("encryption", &encryption(node, key)));
    }
    if let Some(object) = node.aws.binary_url.strip_prefix("s3://") {
        policies
            .push(policy("program", &[allow(&["s3:GetObject"], &arn(&format!("s3:::{object}")))]));
    }
    // The service that takes this role on is the machine: it cannot be asked for which account it does so.
    let mut machine = role(node, "ec2.amazonaws.com", "node", &policies);
    if let Some(statement) = machine
        .pointer_mut("/Properties/AssumeRolePolicyDocument/Statement/0")
        .and_then(Value::as_object_mut)
    {
        statement.remove("Condition");
    }
    resources.insert("Role".to_owned(), machine);
    resources.insert(
        "Profile".to_owned(),
        json!({ "Type": "AWS::IAM::InstanceProfile", "Properties": { "Roles": [get("Role")] } }),
    );
}

/// What SSM needs to run commands here. The managed policy for it would also let the machine read every parameter of
/// the account.
///
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/getting-started-create-iam-instance-profile.html>
fn managed() -> Vec<Value> {
    vec![
        allow(
            &[
                "ec2messages:AcknowledgeMessage",
                "ec2messages:DeleteMessage",
                "ec2messages:FailMessage",
                "ec2messages:GetEndpoint",
                "ec2messages:GetMessages",
                "ec2messages:SendReply",
                "ssm:ListAssociations",
                "ssmmessages:CreateControlChannel",
                "ssmmessages:CreateDataChannel",
                "ssmmessages:OpenControlChannel",
                "ssmmessages:OpenDataChannel",
            ],
            &json!("*"),
        ),
        allow(
            &["ssm:ListInstanceAssociations", "ssm:UpdateInstanceInformation"],
            &arn("ec2:${AWS::Region}:${AWS::AccountId}:instance/*"),
        ),
    ]
}

fn look() -> Vec<Value> {
    vec![allow_if(
        &[
            "ec2:DescribeInstances",
            "ec2:DescribeLockedSnapshots",
            "ec2:DescribeSecurityGroupRules",
            "ec2:DescribeSnapshotTierStatus",
            "ec2:DescribeSnapshots",
            "ec2:DescribeVolumeStatus",
            "ec2:DescribeVolumes",
        ],
        &json!("*"),
        &json!({ "StringEquals": { "ec2:Region": get("AWS::Region") } }),
    )]
}

fn snapshots(node: &Node<'_>) -> Vec<Value> {
    let mut removal =
        vec!["ec2:DeleteSnapshot", "ec2:ModifySnapshotTier", "ec2:RestoreSnapshotTier"];
    // Never `UnlockSnapshot`: a lock is against whoever holds this role, too.
    if node.config.store.lock != Lock::None {
        removal.push("ec2:LockSnapshot");
    }
    vec![
        allow_if(
            &["ec2:CreateSnapshot"],
            &any_volume(),
            &json!({ "StringEquals": tagged(node, &[(names::ROLE, json!(names::DATA))]) }),
        ),
        allow_if(&["ec2:CreateSnapshot"], &any_snapshot(), &json!({ "StringEquals": asked(node) })),
        allow_if(
            &["ec2:CreateTags"],
            &any_snapshot(),
            &json!({ "StringEquals": created_by(node, "CreateSnapshot") }),
        ),
        // What becomes known of a snapshot later. The tag that says whose it is can be neither set nor taken away.
        allow_if(
            &["ec2:CreateTags", "ec2:DeleteTags"],
            &any_snapshot(),
            &json!({
                "StringEquals": tagged(node, &[]),
                "ForAllValues:StringEquals": {
                    "aws:TagKeys": [names::LOCKED_UNTIL, names::MANIFEST, names::PINNED],
                },
            }),
        ),
        allow_if(&removal, &any_snapshot(), &json!({ "StringEquals": tagged(node, &[]) })),
    ]
}

/// Copies of snapshots in another region.
fn copies(node: &Node<'_>, region: &str) -> Vec<Value> {
    let there = arn(&format!("ec2:{region}::snapshot/*"));
    vec![
        allow_if(
            &["ec2:CopySnapshot"],
            &any_snapshot(),
            &json!({ "StringEquals": tagged(node, &[]) }),
        ),
        allow_if(&["ec2:CopySnapshot"], &there, &json!({ "StringEquals": asked(node) })),
        allow_if(
            &["ec2:CreateTags"],
            &there,
            &json!({ "StringEquals": created_by(node, "CopySnapshot") }),
        ),
        allow_if(&["ec2:DeleteSnapshot"], &there, &json!({ "StringEquals": tagged(node, &[]) })),
        allow_if(
            &["ec2:DescribeSnapshots"],
            &json!("*"),
            &json!({ "StringEquals": { "ec2:Region": region } }),
        ),
    ]
}

/// For drills and restores.
fn volumes(node: &Node<'_>) -> Vec<Value> {
    let mut encrypted = json!({ "StringEquals": asked(node) });
    if let Some(conditions) = encrypted.as_object_mut() {
        conditions.insert("Bool".to_owned(), json!({ "ec2:Encrypted": "true" }));
    }
    let mut unused = tagged(node, &[]);
    if let Some(conditions) = unused.as_object_mut() {
        conditions.insert(resource_tag(names::ROLE), json!([names::SCRATCH, names::REPLACED]));
    }
    vec![
        allow_if(
            &["ec2:CreateVolume"],
            &any_snapshot(),
            &json!({ "StringEquals": tagged(node, &[]) }),
        ),
        allow_if(&["ec2:CreateVolume"], &any_volume(), &encrypted),
        allow_if(
            &["ec2:CreateTags"],
            &any_volume(),
            &json!({ "StringEquals": created_by(node, "CreateVolume") }),
        ),
        allow_if(
            &["ec2:CreateTags", "ec2:DeleteTags"],
            &any_volume(),
            &json!({
                "StringEquals": tagged(node, &[]),
                "ForAllValues:StringEquals": { "aws:TagKeys": [names::MOUNT, names::ROLE] },
            }),
        ),
        allow_if(
            &["ec2:AttachVolume", "ec2:DetachVolume"],
            &json!([any_volume(), arn("ec2:${AWS::Region}:${AWS::AccountId}:instance/*")]),
            &json!({ "StringEquals": tagged(node, &[]) }),
        ),
        // The volume that holds the data must be given another role first.
        allow_if(&["ec2:DeleteVolume"], &any_volume(), &json!({ "StringEquals": unused })),
    ]
}

/// Reads the keys, and turns them when asked to.
fn keys(node: &Node<'_>) -> Vec<Value> {
    let actions: &[&str] = match node.aws.secrets {
        Secrets::SecretsManager => {
            &["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
        }
        Secrets::ParameterStore => &["ssm:GetParameter", "ssm:PutParameter"],
    };
    let all: Vec<Value> = Role::ALL.iter().map(|role| secrets::resource(node, *role)).collect();
    vec![allow(actions, &json!(all))]
}

/// What EBS does with the key for whoever makes or attaches a volume that is encrypted with it.
///
/// <https://docs.aws.amazon.com/ebs/latest/userguide/ebs-encryption-requirements.html>
fn encryption(node: &Node<'_>, key: &str) -> Vec<Value> {
    // A copy in another region is made by the EC2 there.
    let mut ec2 = vec![json!({ "Fn::Sub": "ec2.${AWS::Region}.amazonaws.com" })];
    ec2.extend(
        node.config.store.copy_region.iter().map(|it| json!(format!("ec2.{it}.amazonaws.com"))),
    );
    let by_ec2 = json!({ "kms:ViaService": ec2 });
    vec![
        allow_if(
            &[
                "kms:Decrypt",
                "kms:DescribeKey",
                "kms:GenerateDataKeyWithoutPlaintext",
                "kms:ReEncryptFrom",
                "kms:ReEncryptTo",
            ],
            &json!(key),
            &json!({ "StringEquals": by_ec2 }),
        ),
        allow_if(
            &["kms:CreateGrant"],
            &json!(key),
            &json!({ "StringEquals": by_ec2, "Bool": { "kms:GrantIsForAWSResource": "true" } }),
        ),
    ]
}

fn any_volume() -> Value {
    arn("ec2:${AWS::Region}:${AWS::AccountId}:volume/*")
}

/// The ARN of a snapshot names no account.
fn any_snapshot() -> Value {
    arn("ec2:${AWS::Region}::snapshot/*")
}

fn resource_tag(tag: &str) -> String {
    format!("aws:ResourceTag/{tag}")
}

/// That what is there carries the node's tag, and these.
fn tagged(node: &Node<'_>, also: &[(&str, Value)]) -> Value {
    let own = (names::NODE, json!(node.name()));
    let all = also.iter().chain(std::iter::once(&own));
    Value::Object(all.map(|(tag, value)| (resource_tag(tag), value.clone())).collect())
}

/// That the request gives the node's tag to what is made.
fn asked(node: &Node<'_>) -> Value {
    json!({ format!("aws:RequestTag/{}", names::NODE): node.name() })
}

/// That, in a request that makes something.
fn created_by(node: &Node<'_>, action: &str) -> Value {
    json!({ format!("aws:RequestTag/{}", names::NODE): node.name(), "ec2:CreateAction": action })
}
