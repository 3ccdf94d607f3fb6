//! Network, disks, machine, and that all parts fit together.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::names;
use super::super::template::{MAX_BYTES, Resolved, template, text};
use super::{config, made, properties, references, resolved, walk};

#[test]
fn the_stack_is_made_of_these() {
    let template = made(&[]);
    let list = |part: &str, what: &str| {
        let all = template[part].as_object().unwrap().iter();
        let lines = all.map(|(name, it)| format!("{name}: {}\n", it[what].as_str().unwrap()));
        lines.collect::<String>()
    };
    insta::assert_snapshot!(list("Resources", "Type"), @r"
    AdminSecret: AWS::SecretsManager::Secret
    Attachment: AWS::EC2::VolumeAttachment
    BackupMachine: AWS::StepFunctions::StateMachine
    BackupRole: AWS::IAM::Role
    BatchRule: AWS::Events::Rule
    Document: AWS::SSM::Document
    EventRole: AWS::IAM::Role
    Group: AWS::EC2::SecurityGroup
    IndexPolicy: AWS::IAM::ManagedPolicy
    IndexSecret: AWS::SecretsManager::Secret
    Interface: AWS::EC2::NetworkInterface
    Machine: AWS::EC2::Instance
    Profile: AWS::IAM::InstanceProfile
    Role: AWS::IAM::Role
    SearchPolicy: AWS::IAM::ManagedPolicy
    SearchSecret: AWS::SecretsManager::Secret
    Subscription: AWS::SNS::Subscription
    Topic: AWS::SNS::Topic
    Volume: AWS::EC2::Volume
    ");
    insta::assert_snapshot!(list("Outputs", "Description"), @r"
    Address: The fixed address
    AdminSecret: Where the admin key is
    AlarmTopicArn: Told of a backup that failed
    BackupMachineArn: Makes a backup on a message
    ClientRule: What the groups of clients must let out, where they do not let out everything
    Document: The SSM document that runs verbs on the node
    GrpcUrl: For clients that expect gRPC on a port of its own
    IndexPolicyArn: For the role of the machines that index
    IndexSecret: Where the index key is
    InstanceId: The machine
    InterfaceId: The network interface that holds the address
    SearchPolicyArn: For the role of the machines that search
    SearchSecret: Where the search key is
    SecurityGroupId: The security group of the node
    Url: REST and gRPC
    VolumeId: The volume that holds the data
    ");
}

#[test]
fn only_groups_come_in_one_rule_for_each_and_port() {
    let template = made(&[
        ("aws.index_groups", r#"["sg-0000000a", "sg-0000000b"]"#),
        ("aws.search_groups", r#"["sg-0000000b"]"#),
        ("aws.admin_groups", r#"["sg-0000000c"]"#),
        ("gateway.grpc_port", "7000"),
    ]);
    let mut rules: Vec<String> = Vec::new();
    for rule in properties(&template, "Group")["SecurityGroupIngress"].as_array().unwrap() {
        let keys: Vec<&str> = rule.as_object().unwrap().keys().map(String::as_str).collect();
        let wanted = ["Description", "FromPort", "IpProtocol", "SourceSecurityGroupId", "ToPort"];
        assert_eq!(keys, wanted, "no network, no list of prefixes");
        assert_eq!(rule["FromPort"], rule["ToPort"]);
        let (from, port) = (rule["SourceSecurityGroupId"].as_str().unwrap(), &rule["FromPort"]);
        rules.push(format!("{from} {port}: {}", rule["Description"].as_str().unwrap()));
    }
    insta::assert_snapshot!(rules.join("\n"), @r"
    sg-0000000a 6333: qmoor clients: index
    sg-0000000a 7000: qmoor clients: index
    sg-0000000b 6333: qmoor clients: index, search
    sg-0000000b 7000: qmoor clients: index, search
    sg-0000000c 6333: qmoor clients: admin
    sg-0000000c 7000: qmoor clients: admin
    ");
}

#[test]
fn only_https_goes_out() {
    let template = made(&[]);
    let egress = properties(&template, "Group")["SecurityGroupEgress"].as_array().unwrap();
    let [rule] = egress.as_slice() else { panic!("one rule: {egress:?}") };
    assert_eq!(
        (&rule["IpProtocol"], &rule["FromPort"], &rule["ToPort"]),
        (&json!("tcp"), &json!(443), &json!(443))
    );
}

#[test]
fn the_address_is_fixed_private_and_not_the_machines_own() {
    let template = made(&[]);
    let interface = properties(&template, "Interface");
    assert_eq!(interface["PrivateIpAddress"], "10.0.2.15");
    assert_eq!(interface["GroupSet"], json!([{ "Fn::GetAtt": ["Group", "GroupId"] }]));
    let machine = properties(&template, "Machine");
    let only = json!([{ "DeviceIndex": "0", "NetworkInterfaceId": { "Ref": "Interface" } }]);
    assert_eq!(machine["NetworkInterfaces"], only);
    for elsewhere in ["SubnetId", "SecurityGroupIds", "KeyName", "PrivateIpAddress"] {
        assert!(machine.get(elsewhere).is_none(), "{elsewhere}");
    }
    let text = template.to_string();
    assert!(!text.contains("AssociatePublicIpAddress") && !text.contains("AWS::EC2::EIP"));
}

#[test]
fn a_container_does_not_reach_the_identity_of_the_machine() {
    let template = made(&[]);
    let options = &properties(&template, "Machine")["MetadataOptions"];
    assert_eq!(
        (&options["HttpTokens"], &options["HttpPutResponseHopLimit"]),
        (&json!("required"), &json!(1))
    );
}

#[test]
fn disks_are_encrypted_and_the_data_outlives_the_stack() {
    let key = "arn:aws:kms:eu-central-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef";
    for others in [vec![], vec![("aws.kms_key", format!("{key:?}"))]] {
        let others: Vec<(&str, &str)> = others.iter().map(|(k, v)| (*k, v.as_str())).collect();
        let template = made(&others);
        let root = &properties(&template, "Machine")["BlockDeviceMappings"][0]["Ebs"];
        let data = properties(&template, "Volume");
        for disk in [root, data] {
            assert_eq!((&disk["Encrypted"], &disk["VolumeType"]), (&json!(true), &json!("gp3")));
            assert_eq!(disk.get("KmsKeyId"), (!others.is_empty()).then_some(&json!(key)));
        }
        assert_eq!(
            (&data["Size"], &data["Iops"], &data["Throughput"]),
            (&json!(200), &json!(6000), &json!(500))
        );
        let volume = &template["Resources"]["Volume"];
        assert_eq!(
            (&volume["DeletionPolicy"], &volume["UpdateReplacePolicy"]),
            (&json!("RetainExceptOnCreate"), &json!("Retain"))
        );
        assert_eq!(properties(&template, "Machine")["EbsOptimized"], true);
    }
}

#[test]
fn after_a_restore_the_machine_is_given_the_other_volume() {
    let other = "vol-00000000000000abc";
    let resolved = Resolved { volume: Some(other.to_owned()), ..resolved() };
    let template = template(&config(&[]), &resolved).unwrap();
    assert_eq!(properties(&template, "Attachment")["VolumeId"], other);
    assert_eq!(template["Outputs"]["VolumeId"]["Value"], other);
    let user_data = properties(&template, "Machine")["UserData"]["Fn::Base64"].as_str().unwrap();
    assert!(user_data.contains(&format!("QMOOR_VOLUME='{other}'")));
    assert!(user_data.contains(&format!("id = \"{other}\"")));
}

#[test]
fn whatever_is_referred_to_is_there_and_nothing_needs_itself() {
    for others in
        [&[][..], &[("aws.secrets", "\"parameterstore\"")], &[("store.kind", "\"restic\"")]]
    {
        let template = made(others);
        let resources = template["Resources"].as_object().unwrap();
        let mut needs: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, resource) in resources {
            let inside = references(resource);
            for reference in &inside {
                let known = reference.starts_with("AWS::")
                    || resources.contains_key(reference)
                    || template["Parameters"].get(reference).is_some();
                assert!(known, "{name} refers to {reference}");
            }
            needs
                .insert(name, inside.into_iter().filter(|it| resources.contains_key(it)).collect());
        }
        for reference in references(&template["Outputs"]) {
            assert!(resources.contains_key(&reference), "an output refers to {reference}");
        }
        // What needs nothing that is not made yet can be made.
        while !needs.is_empty() {
            let ready =
                needs.iter().find(|(_, on)| on.iter().all(|it| !needs.contains_key(it.as_str())));
            let Some(ready) = ready.map(|(name, _)| *name) else {
                panic!("a circle among {needs:?}")
            };
            needs.remove(ready);
        }
    }
}

#[test]
fn all_that_can_carry_it_carries_the_name_of_the_node() {
    let template = made(&[]);
    let without = [
        "AWS::EC2::VolumeAttachment",
        "AWS::Events::Rule",
        "AWS::IAM::InstanceProfile",
        "AWS::IAM::ManagedPolicy",
        "AWS::SNS::Subscription",
    ];
    for (name, resource) in template["Resources"].as_object().unwrap() {
        let tags = resource["Properties"]["Tags"].as_array();
        let own = json!({ "Key": names::NODE, "Value": "docs" });
        let tagged = tags.is_some_and(|tags| tags.contains(&own));
        assert_ne!(tagged, without.contains(&resource["Type"].as_str().unwrap()), "{name}");
    }
    let data = json!({ "Key": names::ROLE, "Value": names::DATA });
    assert!(properties(&template, "Volume")["Tags"].as_array().unwrap().contains(&data));
}

#[test]
fn there_is_no_secret_in_it() {
    let template = made(&[]);
    let mut made_there = 0;
    walk(&template, &mut |value| {
        for name in ["SecretString", "Password", "AccessKey"] {
            assert!(value.get(name).is_none(), "{name}");
        }
        made_there += usize::from(value.get("GenerateSecretString").is_some());
        let text = value.as_str().unwrap_or("");
        assert!(!text.contains("{{resolve:"), "{text}");
    });
    assert_eq!(made_there, 3);
    for output in template["Outputs"].as_object().unwrap().values() {
        assert!(
            output["Value"].get("Fn::GetAtt").is_none(),
            "what could be read out of a resource"
        );
    }
}

#[test]
fn parameters_are_no_part_of_the_stack_but_known_to_it() {
    let template = made(&[("aws.secrets", "\"parameterstore\"")]);
    assert!(!template.to_string().contains("AWS::SecretsManager"));
    assert_eq!(template["Outputs"]["SearchSecret"]["Value"], "/qmoor/docs/search");
}

#[test]
fn the_same_file_gives_the_same_text_in_the_size_that_cloudformation_takes() {
    assert_eq!(text(&made(&[])), text(&made(&[])));
    let groups: Vec<String> = (0..40).map(|n| format!("\"sg-000000{n:02}\"")).collect();
    let many = made(&[("aws.search_groups", &format!("[{}]", groups.join(",")))]);
    assert!(text(&made(&[])).len() < MAX_BYTES * 9 / 10, "{}", text(&made(&[])).len());
    assert!(many.to_string().len() < MAX_BYTES, "{}", many.to_string().len());
    let read: Value = serde_json::from_str(&text(&many)).unwrap();
    assert_eq!(read, many);
    let mut sorted = many.clone();
    sorted.sort_all_objects();
    assert_eq!(sorted.to_string(), many.to_string(), "in any build");
}
