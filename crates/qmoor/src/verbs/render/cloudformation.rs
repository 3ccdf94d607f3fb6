//! The stack of a node on AWS, as CloudFormation takes it, and its parts.

use qmoor_plan::access::Role;
use qmoor_plan::aws::template::{MAX_BYTES, Resolved, template, text};
use qmoor_plan::aws::{iam, user_data};
use qmoor_plan::config::{Aws, Config};
use serde_json::{Value, json};

use crate::cli::Stack;
use crate::error::CliError;

/// The template, and its text.
pub(super) fn stack(config: &Config, args: &Stack) -> Result<(Value, String), CliError> {
    let aws = aws(config)?;
    let Some(ami) = args.ami.clone().or_else(|| aws.ami.clone()) else {
        return Err(CliError::usage("which image the machine starts from is not known")
            .hint("--ami AMI, or aws.ami in the file; `qmoor up` finds the newest by itself"));
    };
    let resolved =
        Resolved { ami, root_device: args.root_device.clone(), volume: config.volume.id.clone() };
    let template = template(config, &resolved).ok_or_else(none)?;
    let text = text(&template);
    if text.len() > MAX_BYTES {
        return Err(CliError::failed(format!(
            "the template has {} bytes, and CloudFormation takes {MAX_BYTES}",
            text.len()
        ))
        .hint("name fewer security groups: one that all clients have in common will do"));
    }
    Ok((template, text))
}

/// What the machine does when it boots. The volume is that of the file, or the one that the stack makes.
pub(super) fn machine(config: &Config) -> Result<String, CliError> {
    let volume = config.volume.id.as_deref().unwrap_or(user_data::VOLUME);
    Ok(user_data::cloud_config(config, aws(config)?, volume))
}

/// For the roles of the machines that index and search.
pub(super) fn policies(config: &Config) -> Result<Value, CliError> {
    let of = |role| iam::client_policy(config, role).ok_or_else(none);
    Ok(json!({ "index": of(Role::Index)?, "search": of(Role::Search)? }))
}

fn aws(config: &Config) -> Result<&Aws, CliError> {
    config.aws.as_ref().ok_or_else(none)
}

fn none() -> CliError {
    CliError::usage("the configuration names no machine on AWS")
        .hint("set aws.region and what belongs to it; examples/aws.toml is a complete file")
}
