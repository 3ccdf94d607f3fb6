//! The fixed address, and who may reach it.

use serde_json::{Map, Value, json};

use super::Node;

pub(super) fn add(node: &Node<'_>, resources: &mut Map<String, Value>) {
    let aws = node.aws;
    let group = json!({
        "Type": "AWS::EC2::SecurityGroup",
        "Properties": {
            "GroupDescription": format!("qmoor node {}: clients by their groups, and nobody else", node.name()),
            "VpcId": aws.vpc,
            "SecurityGroupIngress": ingress(node),
            // AWS, the image registry and package mirrors. The resolver, the clock and the metadata of a VPC are not
            // filtered by security groups: they need no rule.
            "SecurityGroupEgress": [{
                "IpProtocol": "tcp",
                "FromPort": 443,
                "ToPort": 443,
                "CidrIp": "0.0.0.0/0",
                "Description": "AWS, the image registry, package mirrors",
            }],
            "Tags": node.tags("node"),
        },
    });
    // It outlives the machine: another one that takes its place has the same address.
    let interface = json!({
        "Type": "AWS::EC2::NetworkInterface",
        "Properties": {
            "Description": format!("qmoor node {}: the fixed address", node.name()),
            "SubnetId": aws.subnet,
            "PrivateIpAddress": aws.address.to_string(),
            "GroupSet": [{ "Fn::GetAtt": ["Group", "GroupId"] }],
            "Tags": node.tags("address"),
        },
    });
    resources.insert("Group".to_owned(), group);
    resources.insert("Interface".to_owned(), interface);
}

/// One rule for each group and port. A group that does several things has one rule for all of them.
fn ingress(node: &Node<'_>) -> Vec<Value> {
    let aws = node.aws;
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for (does, list) in
        [("index", &aws.index_groups), ("search", &aws.search_groups), ("admin", &aws.admin_groups)]
    {
        for group in list {
            match groups.iter_mut().find(|(known, _)| known == group) {
                Some((_, all)) => all.push(does),
                None => groups.push((group, vec![does])),
            }
        }
    }
    let gateway = &node.config.gateway;
    let mut rules = Vec::new();
    for (group, does) in groups {
        for port in [gateway.http_port, gateway.grpc_port] {
            rules.push(json!({
                "IpProtocol": "tcp",
                "FromPort": port,
                "ToPort": port,
                "SourceSecurityGroupId": group,
                "Description": format!("qmoor clients: {}", does.join(", ")),
            }));
        }
    }
    rules
}

/// What to add to the groups of the clients, where those do not let everything out.
pub(super) fn client_rule(node: &Node<'_>) -> Value {
    let gateway = &node.config.gateway;
    let (http, grpc) = (gateway.http_port, gateway.grpc_port);
    json!({ "Fn::Sub": format!("tcp {http} and {grpc} to ${{Group}}") })
}
