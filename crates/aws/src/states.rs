//! Step Functions.
//!
//! Source: <https://docs.aws.amazon.com/step-functions/latest/apireference/>.

use serde::Deserialize;
use serde_json::json;

use crate::call::Repeat;
use crate::json::call;
use crate::{Aws, AwsError, service};

/// The client of Step Functions.
#[derive(Debug, Clone)]
pub struct States(pub(crate) Aws);

/// A run of a state machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Execution {
    /// Its ARN.
    #[serde(rename = "executionArn")]
    pub arn: String,
    /// `RUNNING`, `SUCCEEDED`, `FAILED`, `TIMED_OUT`, `ABORTED` or `PENDING_REDRIVE`.
    pub status: String,
    /// What it gave, as JSON.
    #[serde(default)]
    pub output: Option<String>,
    /// The name of what went wrong.
    #[serde(default)]
    pub error: Option<String>,
    /// What went wrong.
    #[serde(default)]
    pub cause: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    execution_arn: String,
}

impl States {
    /// Starts a state machine, and gives the ARN of the run. The same name and input while it runs
    /// give the same run.
    pub async fn start_execution(
        &self,
        machine: &str,
        name: &str,
        input: &serde_json::Value,
    ) -> Result<String, AwsError> {
        let input = json!({ "stateMachineArn": machine, "name": name, "input": input.to_string() });
        let started: Started =
            call(&self.0, &service::STATES, "StartExecution", input, Repeat::Safe).await?;
        Ok(started.execution_arn)
    }

    /// How far a run is.
    pub async fn describe_execution(&self, arn: &str) -> Result<Execution, AwsError> {
        let input = json!({ "executionArn": arn });
        call(&self.0, &service::STATES, "DescribeExecution", input, Repeat::Safe).await
    }
}
