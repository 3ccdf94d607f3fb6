//! The container as a Compose file: for whoever wants to see it, or to run it without the agent.

use std::fmt::Write as _;

use bollard::models::{ContainerCreateBody, HostConfig};

use super::{ContainerSpec, body};
use crate::engine::EngineSpec;

/// The file, in YAML. Made from the very description that the daemon is given.
#[must_use]
pub fn compose(spec: &EngineSpec, container: &ContainerSpec) -> String {
    let image = super::effective(container).to_string();
    let body = body::create(spec, container, image, container.user, "");
    let ContainerCreateBody { image, user, working_dir, entrypoint, cmd, env, host_config, .. } =
        body;
    let host = host_config.unwrap_or_default();
    let mut text = String::from("services:\n  qdrant:\n");
    let mut field = |name: &str, value: String| {
        // Writing to a string cannot fail.
        let _written = writeln!(text, "    {name}: {value}");
    };
    field("container_name", quoted(&container.name));
    field("image", quoted(&image.unwrap_or_default()));
    if let Some(user) = user {
        field("user", quoted(&user));
    }
    field("working_dir", quoted(&working_dir.unwrap_or_default()));
    field("entrypoint", list(&entrypoint.unwrap_or_default()));
    field("command", list(&cmd.unwrap_or_default()));
    field("environment", list(&env.unwrap_or_default()));
    field("cap_drop", list(host.cap_drop.as_deref().unwrap_or_default()));
    field("security_opt", list(host.security_opt.as_deref().unwrap_or_default()));
    field("stop_signal", "SIGTERM".to_owned());
    field("stop_grace_period", format!("{}s", spec.stop_timeout.as_secs()));
    field("restart", "unless-stopped".to_owned());
    field("ports", list(&ports(&host)));
    field("volumes", list(&volumes(&host)));
    for limit in host.ulimits.iter().flatten() {
        let most = limit.hard.unwrap_or_default();
        field("ulimits", format!("{{ nofile: {{ soft: {most}, hard: {most} }} }}"));
    }
    let log = host.log_config.and_then(|log| log.config).unwrap_or_default();
    let option = |name: &str| quoted(log.get(name).map_or("", String::as_str));
    let (size, files) = (option("max-size"), option("max-file"));
    field(
        "logging",
        format!("{{ driver: json-file, options: {{ max-size: {size}, max-file: {files} }} }}"),
    );
    text
}

fn ports(host: &HostConfig) -> Vec<String> {
    let mut ports: Vec<String> = host
        .port_bindings
        .iter()
        .flatten()
        .filter_map(|(inside, bindings)| {
            let binding = bindings.as_ref()?.first()?;
            let inside = inside.trim_end_matches("/tcp");
            let address = binding.host_ip.as_ref()?;
            let address =
                if address.contains(':') { format!("[{address}]") } else { address.clone() };
            Some(format!("{address}:{}:{inside}", binding.host_port.as_ref()?))
        })
        .collect();
    ports.sort();
    ports
}

fn volumes(host: &HostConfig) -> Vec<String> {
    let mounts = host.mounts.iter().flatten();
    mounts
        .filter_map(|mount| {
            let mode = if mount.read_only == Some(true) { ":ro" } else { "" };
            Some(format!("{}:{}{mode}", mount.source.as_ref()?, mount.target.as_ref()?))
        })
        .collect()
}

/// JSON's way of quoting is YAML's too; and Compose takes `$` for a variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}
