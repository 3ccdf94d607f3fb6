//! What the operator needs to know of the stack. No secret: where they are, and who may read them.

use serde_json::{Map, Value, json};

use super::names::{self, output};
use super::{Node, get, network, secrets};
use crate::access::Role;
use crate::config::Secrets;

pub(super) fn outputs(node: &Node<'_>) -> Value {
    let gateway = &node.config.gateway;
    let scheme = if gateway.tls().is_some() { "https" } else { "http" };
    let url = |port: u16| json!(format!("{scheme}://{}:{port}", node.aws.address));
    let key = |role: Role| match node.aws.secrets {
        Secrets::SecretsManager => get(secrets::logical(role)),
        Secrets::ParameterStore => json!(names::parameter(node.name(), role)),
    };
    let all = [
        (output::ADDRESS, "The fixed address", json!(node.aws.address.to_string())),
        (output::URL, "REST and gRPC", url(gateway.http_port)),
        (
            output::GRPC_URL,
            "For clients that expect gRPC on a port of its own",
            url(gateway.grpc_port),
        ),
        (output::INSTANCE, "The machine", get("Machine")),
        (output::VOLUME, "The volume that holds the data", node.volume()),
        (output::INTERFACE, "The network interface that holds the address", get("Interface")),
        (output::GROUP, "The security group of the node", get("Group")),
        (
            output::CLIENT_RULE,
            "What the groups of clients must let out, where they do not let out everything",
            network::client_rule(node),
        ),
        (output::ADMIN_SECRET, "Where the admin key is", key(Role::Admin)),
        (output::INDEX_SECRET, "Where the index key is", key(Role::Index)),
        (output::SEARCH_SECRET, "Where the search key is", key(Role::Search)),
        (output::INDEX_POLICY, "For the role of the machines that index", get("IndexPolicy")),
        (output::SEARCH_POLICY, "For the role of the machines that search", get("SearchPolicy")),
        (output::DOCUMENT, "The SSM document that runs verbs on the node", get("Document")),
        (output::MACHINE, "Makes a backup on a message", get("BackupMachine")),
        (output::TOPIC, "Told of a backup that failed", get("Topic")),
    ];
    let entry = |(name, about, value): (&str, &str, Value)| {
        (name.to_owned(), json!({ "Description": about, "Value": value }))
    };
    Value::Object(all.into_iter().map(entry).collect::<Map<_, _>>())
}
