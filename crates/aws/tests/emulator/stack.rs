//! CloudFormation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use qmoor_aws::cloudformation::{ChangeSet, ChangeSetKind, NewChangeSet};
use qmoor_aws::{Aws, Tags};
use serde_json::json;

use crate::start::{Emulator, ZONE};

/// Asks again until `done`.
pub(crate) async fn until<T>(
    what: &str,
    mut ask: impl AsyncFnMut() -> T,
    done: impl Fn(&T) -> bool,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = ask().await;
        if done(&answer) {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}");
    }
}

async fn change(
    aws: &Aws,
    name: &str,
    template: &str,
    kind: ChangeSetKind,
    parameters: &BTreeMap<String, String>,
) -> ChangeSet {
    let cloudformation = aws.cloudformation();
    let token = format!("t{}", uuid::Uuid::new_v4());
    let new = NewChangeSet {
        stack: name,
        name: &token,
        kind,
        template,
        parameters,
        tags: &Tags::from([("qmoor:node".to_owned(), "n1".to_owned())]),
        named_roles: false,
        client_token: &token,
    };
    let id = cloudformation.create_change_set(&new).await.unwrap();
    until(
        "the change set is made",
        async || cloudformation.describe_change_set(&id).await.unwrap(),
        |set| set.status == "CREATE_COMPLETE" || set.status == "FAILED",
    )
    .await
}

async fn execute(aws: &Aws, name: &str, set: &ChangeSet, end: &str) {
    let cloudformation = aws.cloudformation();
    cloudformation.execute_change_set(&set.id, "execute").await.unwrap();
    until(
        "the stack is there",
        async || cloudformation.stack(name).await.unwrap().unwrap().status,
        |status| status == end,
    )
    .await;
}

/// A stack with one instance, whose id is given.
pub(crate) async fn instance(aws: &Aws) -> String {
    let name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64";
    let image = aws.parameters().get(name).await.unwrap().value;
    let subnets = aws.ec2().describe_subnets(&Vec::new()).await.unwrap();
    let subnet = subnets.into_iter().find(|subnet| subnet.zone == ZONE).unwrap();
    let template = json!({
        "Parameters": { "Image": { "Type": "AWS::EC2::Image::Id" } },
        "Resources": {
            "Role": { "Type": "AWS::IAM::Role", "Properties": { "AssumeRolePolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{ "Effect": "Allow", "Action": "sts:AssumeRole", "Principal": { "Service": "ec2.amazonaws.com" } }],
            }}},
            "Profile": { "Type": "AWS::IAM::InstanceProfile", "Properties": { "Roles": [{ "Ref": "Role" }] } },
            "Instance": { "Type": "AWS::EC2::Instance", "Properties": {
                "ImageId": { "Ref": "Image" }, "InstanceType": "c8g.large", "SubnetId": subnet.id,
                "IamInstanceProfile": { "Ref": "Profile" },
            }},
        },
        "Outputs": { "Instance": { "Value": { "Ref": "Instance" } } },
    });
    let image = BTreeMap::from([("Image".to_owned(), image.reveal().to_owned())]);
    let set = change(aws, "machine", &template.to_string(), ChangeSetKind::Create, &image).await;
    execute(aws, "machine", &set, "CREATE_COMPLETE").await;
    let stack = aws.cloudformation().stack("machine").await.unwrap().unwrap();
    stack.outputs[0].value.clone()
}

/// A stack with one secret, whose ARN is given.
pub(crate) async fn secret(aws: &Aws) -> String {
    let template = json!({ "Resources": { "Secret": { "Type": "AWS::SecretsManager::Secret",
        "Properties": { "GenerateSecretString": { "PasswordLength": 40 } } }}});
    let set =
        change(aws, "secret", &template.to_string(), ChangeSetKind::Create, &BTreeMap::new()).await;
    execute(aws, "secret", &set, "CREATE_COMPLETE").await;
    let resources = aws.cloudformation().describe_stack_resources("secret").await.unwrap();
    resources[0].physical_id.clone().unwrap()
}

fn volume(size: u32, kind: &str) -> String {
    json!({
        "Resources": { "Volume": {
            "Type": "AWS::EC2::Volume",
            "DeletionPolicy": "Retain",
            "Properties": { "AvailabilityZone": ZONE, "Size": size, "VolumeType": kind },
        }},
        "Outputs": { "Volume": { "Value": { "Ref": "Volume" }, "Description": "the volume" } },
    })
    .to_string()
}

#[tokio::test]
async fn a_stack_from_its_first_change_set_to_its_end() {
    let Some(emulator) = Emulator::start() else { return };
    let aws = emulator.aws().await;
    let cloudformation = aws.cloudformation();
    assert!(cloudformation.stack("data").await.unwrap().is_none());
    assert!(cloudformation.get_template("data").await.unwrap().is_none());

    let set =
        change(&aws, "data", &volume(10, "gp3"), ChangeSetKind::Create, &BTreeMap::new()).await;
    assert_eq!((set.status.as_str(), &*set.execution_status), ("CREATE_COMPLETE", "AVAILABLE"));
    assert_eq!((set.changes[0].action.as_str(), &*set.changes[0].logical_id), ("Add", "Volume"));
    let stack = cloudformation.stack("data").await.unwrap().unwrap();
    assert_eq!(stack.status, "REVIEW_IN_PROGRESS");
    assert_eq!(cloudformation.list_change_sets("data").await.unwrap().len(), 1);
    execute(&aws, "data", &set, "CREATE_COMPLETE").await;

    let stack = cloudformation.stack("data").await.unwrap().unwrap();
    assert_eq!(stack.outputs[0].key, "Volume");
    assert_eq!(stack.outputs[0].description.as_deref(), Some("the volume"));
    assert_eq!(stack.tags["qmoor:node"], "n1");
    let id = stack.outputs[0].value.clone();
    assert_eq!(aws.ec2().volume(&id).await.unwrap().unwrap().size_gib, 10);
    assert_eq!(cloudformation.describe_stacks().await.unwrap().len(), 1);
    let template = cloudformation.get_template("data").await.unwrap().unwrap();
    assert_eq!(template, volume(10, "gp3"), "as it was sent");
    change_it(&aws, &id).await;
    end_it(&aws, &id).await;
}

async fn change_it(aws: &Aws, id: &str) {
    let cloudformation = aws.cloudformation();
    let before = cloudformation.describe_stack_events("data", None).await.unwrap();
    assert_eq!(before.last().unwrap().status, "CREATE_COMPLETE");
    assert_eq!(before.last().unwrap().logical_id, "data");

    let empty =
        change(aws, "data", &volume(10, "gp3"), ChangeSetKind::Update, &BTreeMap::new()).await;
    assert!(empty.is_empty(), "{empty:?}");
    cloudformation.delete_change_set(&empty.id).await.unwrap();

    let set =
        change(aws, "data", &volume(100, "gp3"), ChangeSetKind::Update, &BTreeMap::new()).await;
    let first = &set.changes[0];
    assert_eq!((first.action.as_str(), first.replacement.as_deref()), ("Modify", Some("False")));
    assert_eq!(first.physical_id.as_deref(), Some(id));
    assert_eq!(first.details[0].name(), "Size");
    assert_eq!(first.details[0].requires_recreation(), "Never");
    execute(aws, "data", &set, "UPDATE_COMPLETE").await;
    assert_eq!(aws.ec2().volume(id).await.unwrap().unwrap().size_gib, 100);
    let last = before.last().unwrap().id.as_str();
    let after = cloudformation.describe_stack_events("data", Some(last)).await.unwrap();
    assert_eq!((after[0].status.as_str(), &*after[0].logical_id), ("UPDATE_IN_PROGRESS", "data"));
    assert!(after.iter().all(|event| event.timestamp.is_some()));
    assert!(after.iter().any(|event| event.logical_id == "Volume"));

    let drift = cloudformation.detect_stack_drift("data").await.unwrap();
    let seen = until(
        "the look for drift ends",
        async || cloudformation.describe_stack_drift_detection_status(&drift).await.unwrap(),
        |seen| seen.status != "DETECTION_IN_PROGRESS",
    )
    .await;
    assert_eq!(seen.drift.as_deref(), Some("IN_SYNC"), "{seen:?}");
    let drifts = cloudformation.describe_stack_resource_drifts("data").await.unwrap();
    assert_eq!((drifts[0].logical_id.as_str(), &*drifts[0].status), ("Volume", "IN_SYNC"));
}

async fn end_it(aws: &Aws, id: &str) {
    let cloudformation = aws.cloudformation();
    cloudformation.update_termination_protection("data", true).await.unwrap();
    let arn = cloudformation.stack("data").await.unwrap().unwrap();
    assert!(arn.termination_protection);
    let error = cloudformation.delete_stack("data", &[], "delete").await.unwrap_err();
    assert_eq!(error.code(), Some("ValidationError"), "{error}");
    cloudformation.update_termination_protection("data", false).await.unwrap();
    cloudformation.delete_stack("data", &[], "delete").await.unwrap();
    until(
        "the stack is deleted",
        async || cloudformation.stack(&arn.id).await.unwrap().unwrap().status,
        |status| status == "DELETE_COMPLETE",
    )
    .await;
    assert!(cloudformation.stack("data").await.unwrap().is_none(), "by name it is gone");
    assert!(aws.ec2().volume(id).await.unwrap().is_some(), "its policy keeps it");
}
