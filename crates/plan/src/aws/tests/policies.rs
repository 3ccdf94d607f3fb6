//! What may be done with the roles of the stack.

use serde_json::Value;

use super::super::iam;
use super::{config, made, properties};
use crate::access::Role;

/// Actions for which AWS knows no resource.
const NO_RESOURCE: [&str; 19] = [
    "ec2:DescribeInstances",
    "ec2:DescribeLockedSnapshots",
    "ec2:DescribeSecurityGroupRules",
    "ec2:DescribeSnapshotTierStatus",
    "ec2:DescribeSnapshots",
    "ec2:DescribeVolumeStatus",
    "ec2:DescribeVolumes",
    "ec2messages:AcknowledgeMessage",
    "ec2messages:DeleteMessage",
    "ec2messages:FailMessage",
    "ec2messages:GetEndpoint",
    "ec2messages:GetMessages",
    "ec2messages:SendReply",
    "ssm:GetCommandInvocation",
    "ssm:ListAssociations",
    "ssmmessages:CreateControlChannel",
    "ssmmessages:CreateDataChannel",
    "ssmmessages:OpenControlChannel",
    "ssmmessages:OpenDataChannel",
];

/// An action on a resource, and under which condition.
#[derive(Debug)]
struct Allowed {
    action: String,
    resource: String,
    condition: String,
}

/// Everything that a role or a managed policy allows, one action and resource each.
fn allowed(template: &Value, resource: &str) -> Vec<Allowed> {
    let properties = properties(template, resource);
    let inline = properties["Policies"].as_array().into_iter().flatten();
    let documents =
        inline.map(|policy| &policy["PolicyDocument"]).chain(properties.get("PolicyDocument"));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    let mut all = Vec::new();
    for statement in documents.flat_map(|document| list(&document["Statement"])) {
        assert_eq!(statement["Effect"], "Allow");
        assert!(statement.get("NotAction").is_none() && statement.get("NotResource").is_none());
        for action in list(&statement["Action"]) {
            for resource in list(&statement["Resource"]) {
                all.push(Allowed {
                    action: action.as_str().unwrap().to_owned(),
                    resource: resource.as_str().map_or_else(|| resource.to_string(), str::to_owned),
                    condition: statement["Condition"].to_string(),
                });
            }
        }
    }
    assert!(!all.is_empty());
    all
}

#[test]
fn no_role_may_do_all_of_something_or_to_all_where_aws_knows_a_resource() {
    for others in
        [&[][..], &[("aws.secrets", "\"parameterstore\""), ("aws.binary_url", "\"s3://b/q\"")]]
    {
        let template = made(others);
        for role in ["Role", "BackupRole", "EventRole", "IndexPolicy", "SearchPolicy"] {
            for it in allowed(&template, role) {
                assert!(!it.action.contains('*'), "{role}: {it:?}");
                let everything = it.resource == "*";
                assert_eq!(everything, NO_RESOURCE.contains(&it.action.as_str()), "{role}: {it:?}");
            }
        }
    }
}

#[test]
fn the_machine_touches_what_carries_the_tag_of_its_node_and_nothing_else() {
    let template =
        made(&[("store.copy_region", "\"eu-west-1\""), ("store.lock", "\"governance\"")]);
    let node = "docs";
    let mut seen = 0;
    for it in allowed(&template, "Role")
        .iter()
        .filter(|it| it.action.starts_with("ec2:") && it.resource != "*")
    {
        let asked = it.condition.contains(&format!("\"aws:RequestTag/qmoor:node\":\"{node}\""));
        let tagged = it.condition.contains(&format!("\"aws:ResourceTag/qmoor:node\":\"{node}\""));
        let makes = it.condition.contains("ec2:CreateAction")
            || it.action == "ec2:CopySnapshot" && it.resource.contains("eu-west-1")
            || it.action == "ec2:CreateVolume" && it.resource.contains("volume/")
            || it.action == "ec2:CreateSnapshot" && it.resource.contains("snapshot/");
        assert_eq!((asked, tagged), (makes, !makes), "{it:?}");
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

#[test]
fn only_its_data_is_snapshotted_and_never_deleted() {
    let template = made(&[]);
    let machine = allowed(&template, "Role");
    let of = |action: &str| machine.iter().filter(|it| it.action == action).collect::<Vec<_>>();
    let source =
        of("ec2:CreateSnapshot").into_iter().find(|it| it.resource.contains("volume/")).unwrap();
    assert!(source.condition.contains(r#""aws:ResourceTag/qmoor:role":"data""#), "{source:?}");
    let [deleted] = of("ec2:DeleteVolume")[..] else { panic!("one statement") };
    assert!(deleted.condition.contains(r#""aws:ResourceTag/qmoor:role":["scratch","replaced"]"#));
    for never in
        ["ec2:UnlockSnapshot", "ec2:ModifySnapshotAttribute", "ec2:ModifyVolume", "iam:PassRole"]
    {
        assert!(of(never).is_empty(), "{never}");
    }
    // A tag that is set later says what is known, never whose it is.
    for it in of("ec2:CreateTags").iter().chain(&of("ec2:DeleteTags")) {
        let limited =
            it.condition.contains("ec2:CreateAction") || it.condition.contains("aws:TagKeys");
        assert!(limited, "{it:?}");
        let keys =
            it.condition.split("aws:TagKeys").nth(1).unwrap_or("").split(']').next().unwrap();
        assert!(!keys.contains("qmoor:node"), "{it:?}");
    }
}

#[test]
fn what_is_not_configured_is_not_allowed() {
    let (plain, all) = (
        made(&[]),
        made(&[("store.copy_region", "\"eu-west-1\""), ("store.lock", "\"compliance\"")]),
    );
    let may = |template: &Value, what: &str| {
        allowed(template, "Role").iter().any(|it| it.action == what || it.resource.contains(what))
    };
    for what in ["ec2:LockSnapshot", "ec2:CopySnapshot", ":ec2:eu-west-1:"] {
        assert!(!may(&plain, what) && may(&all, what), "{what}");
    }
    let looks = |template: &Value| {
        let all = allowed(template, "Role");
        let there = |it: &Allowed| {
            it.action == "ec2:DescribeSnapshots" && it.condition.contains("eu-west-1")
        };
        all.iter().any(there)
    };
    assert!(!looks(&plain) && looks(&all), "copies are looked for where they are");
}

#[test]
fn each_reads_the_keys_it_needs() {
    let template = made(&[]);
    for (policy, secret) in [("SearchPolicy", "SearchSecret"), ("IndexPolicy", "IndexSecret")] {
        let all = allowed(&template, policy);
        let [it] = all.as_slice() else { panic!("one thing: {all:?}") };
        assert_eq!(it.action, "secretsmanager:GetSecretValue");
        assert_eq!(it.resource, format!("{{\"Ref\":\"{secret}\"}}"));
    }
    for it in
        allowed(&template, "Role").iter().filter(|it| it.action.starts_with("secretsmanager:"))
    {
        assert!(
            it.resource.starts_with("{\"Ref\":") && it.resource.ends_with("Secret\"}"),
            "{it:?}"
        );
    }
    let template = made(&[("aws.secrets", "\"parameterstore\"")]);
    let all = allowed(&template, "SearchPolicy");
    assert_eq!((all.len(), all[0].action.as_str()), (1, "ssm:GetParameter"));
    assert!(all[0].resource.contains(":parameter/qmoor/docs/search\""), "{all:?}");
}

#[test]
fn the_machine_reads_one_object_and_uses_one_key_if_it_must() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";
    let template = made(&[
        ("aws.binary_url", "\"s3://builds/q/1/qmoor\""),
        ("aws.kms_key", &format!("{key:?}")),
    ]);
    let machine = allowed(&template, "Role");
    let of = |service: &str| {
        machine.iter().filter(|it| it.action.starts_with(service)).collect::<Vec<_>>()
    };
    let [object] = of("s3:")[..] else { panic!("one action") };
    assert!(
        object.action == "s3:GetObject" && object.resource.contains(":s3:::builds/q/1/qmoor\""),
        "{object:?}"
    );
    assert!(
        of("kms:").iter().all(|it| it.resource == key && it.condition.contains("kms:ViaService"))
    );
    assert!(
        allowed(&made(&[]), "Role")
            .iter()
            .all(|it| !it.action.starts_with("kms:") && !it.action.starts_with("s3:"))
    );
}

#[test]
fn the_state_machine_runs_one_document_on_one_machine() {
    let template = made(&[]);
    let all = allowed(&template, "BackupRole");
    let sent: Vec<&str> = all
        .iter()
        .filter(|it| it.action == "ssm:SendCommand")
        .map(|it| it.resource.as_str())
        .collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().any(|it| it.contains("document/${Document}")));
    assert!(sent.iter().any(|it| it.contains("instance/${Machine}")));
}

#[test]
fn a_policy_for_a_role_that_is_managed_elsewhere_names_one_secret() {
    let policy = iam::client_policy(&config(&[]), Role::Search).unwrap();
    insta::assert_json_snapshot!(super::sorted(policy), @r#"
    {
      "Statement": [
        {
          "Action": "secretsmanager:GetSecretValue",
          "Effect": "Allow",
          "Resource": "arn:aws:secretsmanager:eu-central-1:*:secret:qmoor/docs/search-??????"
        }
      ],
      "Version": "2012-10-17"
    }
    "#);
    let elsewhere = [
        ("aws.region", "\"us-gov-west-1\""),
        ("aws.zone", "\"us-gov-west-1a\""),
        ("aws.secrets", "\"parameterstore\""),
    ];
    let policy = iam::client_policy(&config(&elsewhere), Role::Index).unwrap();
    assert_eq!(
        policy["Statement"][0]["Resource"],
        "arn:aws-us-gov:ssm:us-gov-west-1:*:parameter/qmoor/docs/index"
    );
}
