//! One secret for each role of the gateway, and a policy for the machines that need one.

use serde_json::{Map, Value, json};

use super::{Node, allow, arn, get, names};
use crate::access::Role;
use crate::config::Secrets;

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    for role in Role::ALL {
        if node.aws.secrets == Secrets::SecretsManager {
            resources.insert(logical(role).to_owned(), secret(node, role));
        }
    }
    for (role, name) in [(Role::Index, "IndexPolicy"), (Role::Search, "SearchPolicy")] {
        resources.insert(name.to_owned(), client_policy(node, role));
    }
}

/// What the secret of a role is called in the template.
pub(super) fn logical(role: Role) -> &'static str {
    match role {
        Role::Admin => "AdminSecret",
        Role::Index => "IndexSecret",
        Role::Search => "SearchSecret",
    }
}

/// A secret that nobody has seen: made by AWS, and read by the agent when it starts.
fn secret(node: &Node<'_>, role: Role) -> Value {
    json!({
        "Type": "AWS::SecretsManager::Secret",
        // A key is good for this node alone: with the stack it goes.
        "DeletionPolicy": "Delete",
        "UpdateReplacePolicy": "Delete",
        "Properties": {
            "Name": names::secret(node.name(), role),
            "Description": format!("Key of the role {} of the qmoor node {}", role.as_str(), node.name()),
            "GenerateSecretString": { "PasswordLength": 48, "ExcludePunctuation": true },
            "Tags": node.tags(role.as_str()),
        },
    })
}

/// Where the key of a role is: an ARN in a policy.
pub(super) fn resource(node: &Node<'_>, role: Role) -> Value {
    match node.aws.secrets {
        Secrets::SecretsManager => get(logical(role)),
        Secrets::ParameterStore => {
            let name = names::parameter(node.name(), role);
            arn(&format!("ssm:${{AWS::Region}}:${{AWS::AccountId}}:parameter{name}"))
        }
    }
}

/// The action that reads a key.
pub(super) fn read_action(secrets: Secrets) -> &'static str {
    match secrets {
        Secrets::SecretsManager => "secretsmanager:GetSecretValue",
        Secrets::ParameterStore => "ssm:GetParameter",
    }
}

/// For the role of the machines that index or search: they read the key that is theirs, and no other.
fn client_policy(node: &Node<'_>, role: Role) -> Value {
    json!({
        "Type": "AWS::IAM::ManagedPolicy",
        "Properties": {
            "Description": format!("Reads the {} key of the qmoor node {}", role.as_str(), node.name()),
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [allow(&[read_action(node.aws.secrets)], &resource(node, role))],
            },
        },
    })
}
