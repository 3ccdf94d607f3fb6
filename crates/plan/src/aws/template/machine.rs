//! The volume and the machine.

use serde_json::{Map, Value, json};

use super::super::user_data;
use super::{Node, get, names};

const GIB: u64 = 1 << 30;

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    resources.insert("Volume".to_owned(), volume(node));
    resources.insert("Machine".to_owned(), machine(node));
    // The name of the device means nothing on a machine of the Nitro system: the disk is found by its serial.
    resources.insert(
        "Attachment".to_owned(),
        json!({
            "Type": "AWS::EC2::VolumeAttachment",
            "Properties": {
                "Device": "/dev/sdf",
                "InstanceId": get("Machine"),
                "VolumeId": node.volume(),
            },
        }),
    );
}

/// The volume. When the stack goes, or would make another in its place, it stays as it is: a snapshot of it would be
/// made while it is in use, by nobody who knows whether that can be opened, and would have to be turned back into a
/// volume before anyone could look. It goes only when the stack that was to make it is taken back: then it is blank.
fn volume(node: &Node<'_>) -> Value {
    let aws = node.aws;
    let mut tags = node.tags("data");
    if let Some(tags) = tags.as_array_mut() {
        tags.push(json!({ "Key": names::ROLE, "Value": names::DATA }));
    }
    let mut properties = json!({
        "AvailabilityZone": get("Zone"),
        "VolumeType": "gp3",
        "Size": aws.volume_size / GIB,
        "Iops": aws.volume_iops,
        "Throughput": aws.volume_throughput,
        "Encrypted": true,
        "Tags": tags,
    });
    with_key(node, &mut properties);
    json!({
        "Type": "AWS::EC2::Volume",
        "DeletionPolicy": "RetainExceptOnCreate",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    })
}

fn machine(node: &Node<'_>) -> Value {
    let aws = node.aws;
    let mut root = json!({
        "VolumeType": "gp3",
        "VolumeSize": aws.root_size / GIB,
        "Encrypted": true,
        "DeleteOnTermination": true,
    });
    with_key(node, &mut root);
    json!({
        "Type": "AWS::EC2::Instance",
        "Properties": {
            "ImageId": node.resolved.ami,
            "InstanceType": aws.instance_type,
            "IamInstanceProfile": get("Profile"),
            "EbsOptimized": true,
            "NetworkInterfaces": [{ "DeviceIndex": "0", "NetworkInterfaceId": get("Interface") }],
            // A token is needed, and it does not come as far as a container: what runs in one cannot be this machine.
            "MetadataOptions": {
                "HttpEndpoint": "enabled",
                "HttpTokens": "required",
                "HttpPutResponseHopLimit": 1,
            },
            "BlockDeviceMappings": [{ "DeviceName": node.resolved.root_device, "Ebs": root }],
            "UserData": { "Fn::Base64": text(node) },
            "Tags": node.tags("node"),
        },
    })
}

fn with_key(node: &Node<'_>, disk: &mut Value) {
    if let (Some(key), Some(disk)) = (&node.aws.kms_key, disk.as_object_mut()) {
        disk.insert("KmsKeyId".to_owned(), json!(key));
    }
}

/// The user data, with the volume where it is named. Not by `Fn::Sub`, which would read what the shell is to read.
fn text(node: &Node<'_>) -> Value {
    if let Some(volume) = &node.resolved.volume {
        return json!(user_data::cloud_config(node.config, node.aws, volume));
    }
    let text = user_data::cloud_config(node.config, node.aws, user_data::VOLUME);
    let mut parts = Vec::new();
    for part in text.split(user_data::VOLUME) {
        if !parts.is_empty() {
            parts.push(get("Volume"));
        }
        parts.push(json!(part));
    }
    json!({ "Fn::Join": ["", parts] })
}
