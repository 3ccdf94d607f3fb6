//! The SSM document by which operators run verbs on the node, without a shell on it.
//!
//! A verb is one of a list. Its arguments match a pattern that admits known flags and plain words: nothing that a shell
//! would read as more than itself.
//!
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/documents-syntax-data-elements-parameters.html>

use serde_json::{Map, Value, json};

use super::{Node, names};
use crate::aws::user_data::{CONFIG, PROGRAM};

/// What may be run.
pub const VERBS: [&str; 13] = [
    "audit",
    "backup",
    "backups",
    "doctor",
    "drill",
    "hold",
    "keys rotate",
    "pin",
    "prune",
    "release",
    "restore",
    "status",
    "upgrade",
];

/// Flags that may stand behind a verb.
const FLAGS: [&str; 22] = [
    "action",
    "allow-crash-consistent",
    "batch-id",
    "collections",
    "denied",
    "dry-run",
    "explain",
    "fix",
    "label",
    "last",
    "lease",
    "lock-wait",
    "max-pause",
    "mode",
    "only",
    "overlap",
    "reads",
    "remove",
    "since",
    "wait",
    "why",
    "yes",
];

/// The pattern of what may stand behind a verb: flags, with `=` before their value, and words such as the id of a
/// backup; thirty at most, one blank between them. Nothing that any engine for patterns would read in its own way.
#[must_use]
pub fn arguments() -> String {
    let flags = FLAGS.join("|");
    let value = "[A-Za-z0-9][A-Za-z0-9._:,=+*-]{0,127}";
    let word = format!("(--({flags})(={value})?|[A-Za-z0-9][A-Za-z0-9._:-]{{0,127}})");
    format!("^({word}( {word}){{0,29}})?$")
}

/// Whether one word may stand behind a verb: what [`arguments`] says of each.
#[must_use]
pub fn admits(word: &str) -> bool {
    let plain = |text: &str, more: &str| {
        text.len() <= 128
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    match (word.strip_prefix("--"), word.strip_prefix("--").and_then(|flag| flag.split_once('='))) {
        (None, _) => plain(word, "._:-"),
        (Some(flag), None) => FLAGS.contains(&flag),
        (Some(_), Some((flag, value))) => FLAGS.contains(&flag) && plain(value, "._:,=+*-"),
    }
}

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    let document = json!({
        "Type": "AWS::SSM::Document",
        "Properties": {
            "Name": names::document(node.name()),
            "DocumentType": "Command",
            "DocumentFormat": "JSON",
            "TargetType": "/AWS::EC2::Instance",
            // Its name is fixed, so a change must not make another one.
            "UpdateMethod": "NewVersion",
            "Content": content(),
            "Tags": node.tags("verbs"),
        },
    });
    resources.insert("Document".to_owned(), document);
}

/// The document. Its output is one JSON document, of which SSM gives back the first 24,000 characters.
#[must_use]
pub fn content() -> Value {
    json!({
        "schemaVersion": "2.2",
        "description": "Runs a verb of qmoor on its node, and answers in JSON",
        "parameters": {
            "Verb": {
                "type": "String",
                "description": "What to do",
                "allowedValues": VERBS,
            },
            "Arguments": {
                "type": "String",
                "description": "Flags, with = before their value, and words; one blank between them",
                "default": "",
                "allowedPattern": arguments(),
            },
            "Timeout": {
                "type": "String",
                "description": "Longest time for it, in seconds",
                "default": "3600",
                "allowedPattern": "^[1-9][0-9]{0,4}$",
            },
        },
        "mainSteps": [{
            "name": "run",
            "action": "aws:runShellScript",
            "precondition": { "StringEquals": ["platformType", "Linux"] },
            "inputs": {
                "timeoutSeconds": "{{ Timeout }}",
                "runCommand": [
                    "set -euf",
                    format!("exec {PROGRAM} --config {CONFIG} --json --quiet {{{{ Verb }}}} {{{{ Arguments }}}}"),
                ],
            },
        }],
    })
}
