//! The CloudFormation template of a node.
//!
//! It is made of literals: what the stack is follows from `qmoor.toml` alone, and a change set shows what a change of the
//! file means. The keys of all objects are sorted, so that the same file gives the same text.
//!
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-template-resource-type-ref.html>

mod backup;
mod course;
mod document;
mod machine;
mod network;
mod outputs;
mod role;
mod secrets;

pub use course::definition;
pub use document::{VERBS, admits, arguments, content as document};
use serde::Serialize as _;
use serde_json::{Map, Value, json};

use super::names;
use crate::config::{Aws, Config};

/// What the template needs and the file does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Image of the machine. A literal: a parameter that names "the newest" is looked up again at each update of the
    /// stack, and replaces the machine.
    pub ami: String,
    /// Name of the disk of the system in that image: `/dev/xvda` on Amazon Linux and Debian, `/dev/sda1` on Ubuntu.
    pub root_device: String,
    /// The volume that holds the data, if a restore has put another in the place of the one that the stack made.
    pub volume: Option<String>,
}

/// The largest template that CloudFormation takes in a request, in bytes.
pub const MAX_BYTES: usize = 51_200;

/// The template of the node's stack; `None` when the file names no machine on AWS.
#[must_use]
pub fn template(config: &Config, resolved: &Resolved) -> Option<Value> {
    let aws = config.aws.as_ref()?;
    let node = Node { config, aws, resolved };
    let mut resources = Map::new();
    network::add(&node, &mut resources);
    secrets::add(&node, &mut resources);
    role::add(&node, &mut resources);
    machine::add(&node, &mut resources);
    document::add(&node, &mut resources);
    backup::add(&node, &mut resources);
    let mut template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!("qmoor node {}: Qdrant at one fixed address, on one volume", node.name()),
        // A zone as a literal is taken for a mistake by linters; as a parameter it is also checked before anything is made.
        "Parameters": {
            "Zone": {
                "Type": "AWS::EC2::AvailabilityZone::Name",
                "Default": aws.zone,
                "Description": "Availability zone of the subnet and of the volume",
            },
        },
        "Resources": resources,
        "Outputs": outputs::outputs(&node),
    });
    template.sort_all_objects();
    Some(template)
}

/// The template as text, one thing a line, for people and for CloudFormation.
#[must_use]
pub fn text(template: &Value) -> String {
    let mut text = Vec::new();
    // Two blanks for each level would take up a fifth of what CloudFormation admits.
    let lines = serde_json::ser::PrettyFormatter::with_indent(b" ");
    let mut writer = serde_json::Serializer::with_formatter(&mut text, lines);
    match template.serialize(&mut writer) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned() + "\n",
        // Neither can be: a value is serializable, and memory takes it.
        Err(_) => template.to_string(),
    }
}

/// What all parts of the template are made from.
struct Node<'c> {
    config: &'c Config,
    aws: &'c Aws,
    resolved: &'c Resolved,
}

impl Node<'_> {
    fn name(&self) -> &str {
        &self.config.node.name
    }

    /// The tags of what is called `part`, and is no volume.
    fn tags(&self, part: &str) -> Value {
        json!([
            { "Key": "Name", "Value": format!("{} {part}", self.name()) },
            { "Key": names::NODE, "Value": self.name() },
        ])
    }

    /// The volume that holds the data.
    fn volume(&self) -> Value {
        self.resolved.volume.as_ref().map_or_else(|| get("Volume"), |id| json!(id))
    }
}

/// What a resource is called outside, such as its id.
fn get(resource: &str) -> Value {
    json!({ "Ref": resource })
}

/// An ARN, from what stands behind its partition.
fn arn(tail: &str) -> Value {
    json!({ "Fn::Sub": format!("arn:${{AWS::Partition}}:{tail}") })
}

/// A role that a service takes on, for what this account asks of it.
fn role(node: &Node<'_>, service: &str, part: &str, policies: &[Value]) -> Value {
    json!({
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{
                    "Effect": "Allow",
                    "Action": "sts:AssumeRole",
                    "Principal": { "Service": service },
                    "Condition": { "StringEquals": { "aws:SourceAccount": { "Ref": "AWS::AccountId" } } },
                }],
            },
            "Policies": policies,
            "Tags": node.tags(part),
        },
    })
}

/// A policy inside a role.
fn policy(name: &str, statements: &[Value]) -> Value {
    json!({
        "PolicyName": name,
        "PolicyDocument": { "Version": "2012-10-17", "Statement": statements },
    })
}

/// A statement that allows `actions` on `resource`.
fn allow(actions: &[&str], resource: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource })
}

/// That, under a condition.
fn allow_if(actions: &[&str], resource: &Value, condition: &Value) -> Value {
    json!({ "Effect": "Allow", "Action": actions, "Resource": resource, "Condition": condition })
}
