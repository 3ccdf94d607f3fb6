//! Systems Manager's run command.
//!
//! Source: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/>.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::call::Repeat;
use crate::json::{Nothing, call};
use crate::query::{MAX_PAGES, endless};
use crate::{Aws, AwsError, service};

/// The client of Systems Manager.
#[derive(Debug, Clone)]
pub struct Ssm(pub(crate) Aws);

/// A command that is to be run on one instance.
#[derive(Debug, Clone, Default)]
pub struct NewCommand<'a> {
    /// The document that says what is run.
    pub document: &'a str,
    /// The instance.
    pub instance: &'a str,
    /// The document's parameters.
    pub parameters: BTreeMap<String, Vec<String>>,
    /// What it is for; shown in the console.
    pub comment: &'a str,
    /// Seconds until the instance must have taken it, 30 to 2592000.
    pub delivery_timeout_s: u32,
}

/// What became of a command on an instance.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Invocation {
    /// `Pending`, `InProgress`, `Delayed`, `Success`, `Cancelled`, `TimedOut`, `Failed` or `Cancelling`.
    #[serde(default)]
    pub status: String,
    /// More of the same, for example `DeliveryTimedOut`.
    #[serde(default)]
    pub status_details: String,
    /// The exit code; -1 before there is one.
    #[serde(default)]
    pub response_code: i64,
    /// What it wrote, at most 24,000 characters of it.
    #[serde(rename = "StandardOutputContent", default)]
    pub stdout: String,
    /// What it said, at most 8,000 characters of it.
    #[serde(rename = "StandardErrorContent", default)]
    pub stderr: String,
}

impl Invocation {
    /// Whether nothing more will come.
    pub fn is_over(&self) -> bool {
        !matches!(self.status.as_str(), "Pending" | "InProgress" | "Delayed" | "Cancelling")
    }
}

/// An instance as Systems Manager knows it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct InstanceInformation {
    /// The instance.
    pub instance_id: String,
    /// `Online`, `ConnectionLost` or `Inactive`.
    #[serde(default)]
    pub ping_status: String,
    /// The version of AWS's agent on it.
    #[serde(default)]
    pub agent_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sent {
    command: Command,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Command {
    command_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    instance_information_list: Vec<InstanceInformation>,
    #[serde(default)]
    next_token: Option<String>,
}

impl Ssm {
    async fn call<T: DeserializeOwned>(
        &self,
        action: &'static str,
        input: serde_json::Value,
        repeat: Repeat,
    ) -> Result<T, AwsError> {
        call(&self.0, &service::SSM, action, input, repeat).await
    }

    /// Runs a command, and gives the id to ask after it by. Takes no client token: see
    /// [`AwsError::may_have_happened`].
    pub async fn send_command(&self, new: &NewCommand<'_>) -> Result<String, AwsError> {
        let input = json!({
            "DocumentName": new.document,
            "InstanceIds": [new.instance],
            "Parameters": new.parameters,
            "Comment": new.comment,
            "TimeoutSeconds": new.delivery_timeout_s,
        });
        let sent: Sent = self.call("SendCommand", input, Repeat::Never).await?;
        Ok(sent.command.command_id)
    }

    /// What became of a command. Right after it was sent the answer may be that there is none: see
    /// [`AwsError::is_not_found`].
    pub async fn get_command_invocation(
        &self,
        command: &str,
        instance: &str,
    ) -> Result<Invocation, AwsError> {
        let input = json!({ "CommandId": command, "InstanceId": instance });
        self.call("GetCommandInvocation", input, Repeat::Safe).await
    }

    /// Asks for a command to be stopped; it may end by itself first.
    pub async fn cancel_command(&self, command: &str) -> Result<(), AwsError> {
        let input = json!({ "CommandId": command });
        let _done: Nothing = self.call("CancelCommand", input, Repeat::Safe).await?;
        Ok(())
    }

    /// Those of these instances that Systems Manager knows. One that is not listed has no agent, no
    /// role, or no way to the service.
    pub async fn describe_instance_information(
        &self,
        ids: &[&str],
    ) -> Result<Vec<InstanceInformation>, AwsError> {
        let mut found = Vec::new();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let filters = json!([{ "Key": "InstanceIds", "Values": ids }]);
            let input = json!({ "Filters": filters, "NextToken": token });
            let page: Page = self.call("DescribeInstanceInformation", input, Repeat::Safe).await?;
            found.extend(page.instance_information_list);
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(endless(&self.0, &service::SSM, "DescribeInstanceInformation"))
    }
}
