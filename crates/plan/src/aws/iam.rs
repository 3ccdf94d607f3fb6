//! Policies for the roles of Ray clusters, for who manages those elsewhere and cannot name what the stack makes.

use serde_json::{Value, json};

use super::names;
use crate::access::Role;
use crate::config::{Config, Secrets};

/// The policy that lets the machines of a role read their key, and no other; `None` when the file names no machine on
/// AWS.
#[must_use]
pub fn client_policy(config: &Config, role: Role) -> Option<Value> {
    let aws = config.aws.as_ref()?;
    let (node, region) = (&config.node.name, &aws.region);
    let partition = names::partition(region);
    let (action, resource) = match aws.secrets {
        // Behind the name of a secret its ARN has six characters that only AWS knows.
        Secrets::SecretsManager => {
            let name = names::secret(node, role);
            let arn = format!("arn:{partition}:secretsmanager:{region}:*:secret:{name}-??????");
            ("secretsmanager:GetSecretValue", arn)
        }
        Secrets::ParameterStore => {
            let name = names::parameter(node, role);
            ("ssm:GetParameter", format!("arn:{partition}:ssm:{region}:*:parameter{name}"))
        }
    };
    Some(json!({
        "Version": "2012-10-17",
        "Statement": [{ "Effect": "Allow", "Action": action, "Resource": resource }],
    }))
}
