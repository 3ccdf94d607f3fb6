//! A backup on a message: a rule of EventBridge, the state machine that it starts, and the topic that is told when there
//! is no backup.

use serde_json::{Map, Value, json};

use super::course::definition;
use super::{Node, allow, get, names, policy, role};

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    let topic = json!({
        "Type": "AWS::SNS::Topic",
        "Properties": { "KmsMasterKeyId": "alias/aws/sns", "Tags": node.tags("alarms") },
    });
    resources.insert("Topic".to_owned(), topic);
    if let Some(email) = &node.aws.alarm_email {
        let subscription = json!({
            "Type": "AWS::SNS::Subscription",
            "Properties": { "Protocol": "email", "Endpoint": email, "TopicArn": get("Topic") },
        });
        resources.insert("Subscription".to_owned(), subscription);
    }
    resources.insert("BackupRole".to_owned(), machine_role(node));
    resources.insert("BackupMachine".to_owned(), machine(node));
    let start = policy("start", &[allow(&["states:StartExecution"], &get("BackupMachine"))]);
    resources
        .insert("EventRole".to_owned(), role(node, "events.amazonaws.com", "events", &[start]));
    resources.insert("BatchRule".to_owned(), rule(node));
}

/// Anybody's event, if it is for this node or names none.
fn rule(node: &Node<'_>) -> Value {
    json!({
        "Type": "AWS::Events::Rule",
        "Properties": {
            "Description": format!("A batch was indexed: the qmoor node {} is backed up", node.name()),
            "State": "ENABLED",
            "EventPattern": {
                "detail-type": [names::BATCH_INDEXED],
                "detail": {
                    "batch_id": [{ "exists": true }],
                    "node": [node.name(), { "exists": false }],
                },
            },
            "Targets": [{
                "Id": "backup",
                "Arn": get("BackupMachine"),
                "RoleArn": { "Fn::GetAtt": ["EventRole", "Arn"] },
                "RetryPolicy": { "MaximumRetryAttempts": 8, "MaximumEventAgeInSeconds": 3600 },
            }],
        },
    })
}

fn machine_role(node: &Node<'_>) -> Value {
    let run = [
        allow(
            &["ssm:SendCommand"],
            &json!([
                { "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:document/${Document}" },
                { "Fn::Sub": "arn:${AWS::Partition}:ec2:${AWS::Region}:${AWS::AccountId}:instance/${Machine}" },
            ]),
        ),
        // Neither takes a resource.
        allow(&["ec2:DescribeSnapshots", "ssm:GetCommandInvocation"], &json!("*")),
        allow(&["sns:Publish"], &get("Topic")),
    ];
    role(node, "states.amazonaws.com", "backup", &[policy("run", &run)])
}

fn machine(node: &Node<'_>) -> Value {
    json!({
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "StateMachineType": "STANDARD",
            "RoleArn": { "Fn::GetAtt": ["BackupRole", "Arn"] },
            "DefinitionString": definition(node.config, node.aws).to_string(),
            "DefinitionSubstitutions": {
                "Document": get("Document"),
                "Machine": get("Machine"),
                "Topic": get("Topic"),
            },
            "Tags": node.tags("backup"),
        },
    })
}
