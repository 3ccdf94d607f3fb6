//! What a change set means, and which ones are refused.

use serde_json::json;

use super::super::change::{
    Detail, Effect, Step, Told, changes, deployed, drop_volume, makes_the_machine_anew, refusals,
    steps, without_machine,
};
use super::super::template::{Resolved, template};
use super::{config, made, references, resolved};

fn modified(
    name: &str,
    kind: &str,
    replacement: &str,
    details: &[(&str, &str, Option<&str>)],
) -> Told {
    Told {
        name: name.to_owned(),
        kind: kind.to_owned(),
        id: Some(format!("{}-1", name.to_lowercase())),
        action: "Modify".to_owned(),
        replacement: Some(replacement.to_owned()),
        policy: None,
        details: details
            .iter()
            .map(|(property, recreation, cause)| Detail {
                property: (*property).to_owned(),
                recreation: (*recreation).to_owned(),
                cause: cause.map(str::to_owned),
            })
            .collect(),
    }
}

fn machine(replacement: &str, details: &[(&str, &str, Option<&str>)]) -> Told {
    modified("Machine", "AWS::EC2::Instance", replacement, details)
}

fn volume(replacement: &str, details: &[(&str, &str, Option<&str>)]) -> Told {
    modified("Volume", "AWS::EC2::Volume", replacement, details)
}

fn attachment(details: &[(&str, &str, Option<&str>)]) -> Told {
    modified("Attachment", "AWS::EC2::VolumeAttachment", "Conditional", details)
}

#[test]
fn a_new_image_makes_the_machine_anew_and_with_it_what_names_it() {
    let told = [
        attachment(&[("InstanceId", "Always", Some("Machine"))]),
        machine("True", &[("ImageId", "Always", None)]),
        modified(
            "BackupMachine",
            "AWS::StepFunctions::StateMachine",
            "False",
            &[("DefinitionSubstitutions", "Never", Some("Machine"))],
        ),
    ];
    let changes = changes(&told);
    let effects: Vec<_> = changes.iter().map(|change| change.effect).collect();
    assert_eq!(effects, [Effect::Replaces, Effect::Replaces, Effect::Changes]);
    assert!(makes_the_machine_anew(&changes));
    assert_eq!(refusals(&changes), []);
}

#[test]
fn another_address_makes_interface_and_machine_anew() {
    let told = [
        modified(
            "Interface",
            "AWS::EC2::NetworkInterface",
            "True",
            &[("PrivateIpAddress", "Always", None)],
        ),
        machine("Conditional", &[("NetworkInterfaces", "Always", Some("Interface"))]),
        attachment(&[("InstanceId", "Always", Some("Machine"))]),
    ];
    let changes = changes(&told);
    assert!(changes.iter().all(|change| change.effect == Effect::Replaces), "{changes:?}");
    assert!(makes_the_machine_anew(&changes));
}

#[test]
fn what_names_itself_or_nothing_that_goes_is_not_certain() {
    let told = [machine(
        "Conditional",
        &[("Tenancy", "Always", Some("Machine")), ("SubnetId", "Always", Some("Gone"))],
    )];
    let changes = changes(&told);
    assert_eq!(changes[0].effect, Effect::MayReplace);
    assert!(makes_the_machine_anew(&changes), "to be on the safe side");
}

#[test]
fn another_size_restarts_the_machine_and_tags_do_not() {
    // As CloudFormation tells it, together with all that names the machine.
    let told = [
        machine(
            "Conditional",
            &[
                ("InstanceType", "Conditionally", None),
                ("UserData", "Conditionally", None),
                ("Tags", "Never", None),
            ],
        ),
        attachment(&[("InstanceId", "Always", Some("Machine"))]),
        modified(
            "BackupRole",
            "AWS::IAM::Role",
            "False",
            &[("Policies", "Never", Some("Machine"))],
        ),
        modified(
            "Other",
            "AWS::IAM::Role",
            "False",
            &[("Policies", "Never", Some("Machine.PrivateIp"))],
        ),
    ];
    let found = changes(&told);
    let names: Vec<_> = found.iter().map(|change| change.name.as_str()).collect();
    assert_eq!(names, ["Machine", "Other"], "an id stays, an attribute may not");
    assert!(!makes_the_machine_anew(&found));
    assert_eq!(found[0].effect, Effect::Restarts);
    assert_eq!(found[0].properties, ["InstanceType", "Tags", "UserData"]);
    let found = changes(&[machine("False", &[("Tags", "Never", None), ("Tags", "Never", None)])]);
    assert_eq!((found[0].effect, found[0].properties.len()), (Effect::Changes, 1));
    assert!(!makes_the_machine_anew(&found));
}

#[test]
fn a_volume_may_grow_and_not_be_replaced_or_lost() {
    let grown = changes(&[volume("False", &[("Size", "Never", None)])]);
    assert_eq!(refusals(&grown), []);
    for replacement in ["True", "Conditional"] {
        let told = [volume(replacement, &[("KmsKeyId", "Always", None)])];
        let refused = refusals(&changes(&told));
        assert!(refused[0].what.contains("volume-1 would be replaced"), "{refused:?}");
        assert!(refused[0].what.contains("KmsKeyId"), "{refused:?}");
    }
    let told =
        [volume("False", &[("AvailabilityZone", "Never", Some("Zone")), ("Size", "Never", None)])];
    let refused = refusals(&changes(&told));
    assert!(
        refused[0].what.contains("could have that instead of volume-1 (AvailabilityZone, Size)"),
        "{refused:?}"
    );
    for policy in ["Delete", "Retain"] {
        let told = Told {
            action: "Remove".to_owned(),
            policy: Some(policy.to_owned()),
            ..volume("", &[])
        };
        assert_eq!(refusals(&changes(&[told])).len(), 1, "{policy}");
    }
}

#[test]
fn another_volume_comes_only_with_another_machine() {
    let other = attachment(&[("VolumeId", "Always", None)]);
    assert_eq!(refusals(&changes(std::slice::from_ref(&other))).len(), 1);
    let anew = [other, machine("True", &[("ImageId", "Always", None)])];
    assert_eq!(refusals(&changes(&anew)), []);
}

#[test]
fn what_is_removed_goes_or_is_left_as_its_policy_says() {
    let removed = |policy: &str| Told {
        name: "Topic".to_owned(),
        action: "Remove".to_owned(),
        policy: Some(policy.to_owned()),
        ..Told::default()
    };
    let found = changes(&[removed("Delete"), removed("Retain")]);
    assert_eq!((found[0].effect, found[1].effect), (Effect::Removes, Effect::Leaves));
    let added = Told { action: "Add".to_owned(), ..Told::default() };
    assert_eq!(changes(&[added])[0].effect, Effect::Adds);
}

#[test]
fn what_was_deployed_is_read_from_the_template() {
    let ours = deployed(&made(&[]));
    assert_eq!(ours.ami.as_deref(), Some("ami-0123456789abcdef0"));
    assert_eq!(ours.root_device.as_deref(), Some("/dev/xvda"));
    assert_eq!((ours.volume, ours.has_volume), (None, true));

    let given = Resolved { volume: Some("vol-0123456789abcdef0".to_owned()), ..resolved() };
    let mut given = template(&config(&[]), &given).unwrap();
    drop_volume(&mut given);
    let given = deployed(&given);
    assert_eq!(given.volume.as_deref(), Some("vol-0123456789abcdef0"));
    assert!(!given.has_volume);
    assert_eq!(deployed(&json!({ "Resources": [] })), deployed(&json!(null)));
}

#[test]
fn a_volume_that_was_there_leaves_nothing_that_names_one_of_the_stack() {
    let given = Resolved { volume: Some("vol-0123456789abcdef0".to_owned()), ..resolved() };
    let mut given = template(&config(&[]), &given).unwrap();
    drop_volume(&mut given);
    assert!(!references(&given).contains(&"Volume".to_owned()));
}

#[test]
fn without_its_machine_a_template_still_names_the_one_that_was_there() {
    let before = made(&[]);
    let rest = without_machine(&before, "i-0123456789abcdef0");
    let names = references(&rest);
    assert!(!names.iter().any(|name| name == "Machine" || name == "Attachment"), "{names:?}");
    let resources = rest["Resources"].as_object().unwrap();
    assert_eq!(resources.len(), before["Resources"].as_object().unwrap().len() - 2);
    assert_eq!(rest["Outputs"]["InstanceId"]["Value"], "i-0123456789abcdef0");
    let policy = rest["Resources"]["BackupRole"].to_string();
    assert!(policy.contains("instance/i-0123456789abcdef0\""), "{policy}");
    assert!(policy.contains("${Document}"), "what else is named stays: {policy}");
    for kept in ["Volume", "Interface", "AdminSecret"] {
        assert_eq!(rest["Resources"][kept], before["Resources"][kept]);
    }
}

#[test]
fn a_volume_is_changed_last_and_alone_because_it_cannot_be_taken_back() {
    let (before, after) = (made(&[]), made(&[("aws.volume_size", "\"300GiB\"")]));
    let grown = volume("False", &[("Size", "Never", None)]);
    let smaller = machine("Conditional", &[("InstanceType", "Conditionally", None)]);
    let alone = changes(std::slice::from_ref(&grown));
    assert_eq!(steps(&alone, Some(&before), &after, Some("i-1")), [Step::Rest]);
    let both = changes(&[grown.clone(), smaller]);
    let found = steps(&both, Some(&before), &after, Some("i-1"));
    let [Step::AllButVolume(first), Step::Rest] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(first["Resources"]["Volume"]["Properties"]["Size"], 200);
    assert_eq!(first["Resources"]["Machine"], after["Resources"]["Machine"]);

    let anew = changes(&[grown, machine("True", &[("ImageId", "Always", None)])]);
    let found = steps(&anew, Some(&before), &after, Some("i-1"));
    assert!(matches!(found.as_slice(), [Step::TakeMachine(_), Step::AllButVolume(_), Step::Rest]));
    let none = steps(&anew, Some(&before), &after, None);
    assert!(matches!(none.as_slice(), [Step::AllButVolume(_), Step::Rest]), "it is gone already");
    assert_eq!(steps(&changes(&[]), None, &after, None), [Step::Rest]);
}
