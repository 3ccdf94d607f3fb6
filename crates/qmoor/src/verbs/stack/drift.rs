//! What other hands than CloudFormation's have changed.

use std::time::Duration;

use qmoor_aws::cloudformation::{Difference, ResourceDrift};
use serde::Serialize;

use super::{Pace, Session, failed};
use crate::error::CliError;
use crate::output::Output;

/// Longest wait for CloudFormation to have looked at everything.
const LOOKS_WITHIN: Duration = Duration::from_secs(180);

/// One thing that is not as the stack says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::verbs) struct Drift {
    /// Its name in the template.
    resource: String,
    /// Its id.
    id: Option<String>,
    /// Which property; nothing where the whole is gone.
    property: Option<String>,
    /// As the stack says.
    expected: String,
    /// As it is.
    found: String,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let id = self.id.as_deref().unwrap_or_default();
        match &self.property {
            None => write!(f, "{} {id} is gone", self.resource),
            Some(property) => write!(
                f,
                "{} {id} {property}: {} instead of {}",
                self.resource,
                said(&self.found),
                said(&self.expected)
            ),
        }
    }
}

fn said(value: &str) -> &str {
    if value.is_empty() || value == "null" { "nothing" } else { value }
}

/// Looks for it. What cannot be looked at is no drift, and a look that fails is said.
pub(in crate::verbs) async fn drift(
    session: &Session,
    out: Output,
) -> Result<Vec<Drift>, CliError> {
    let cloudformation = session.aws.cloudformation();
    let stack = &session.machine.stack;
    let bar = out.spinner("looking for what other hands have changed");
    let look = cloudformation.detect_stack_drift(stack).await.map_err(failed)?;
    let mut pace = Pace::new(LOOKS_WITHIN);
    loop {
        let seen =
            cloudformation.describe_stack_drift_detection_status(&look).await.map_err(failed)?;
        match seen.status.as_str() {
            "DETECTION_IN_PROGRESS" if pace.wait().await => {}
            "DETECTION_IN_PROGRESS" => {
                return Err(CliError::failed(format!("no end of the look for drift in {stack}"))
                    .hint("try again later"));
            }
            "DETECTION_COMPLETE" => break,
            // Of some resources it can say nothing; what it saw of the others is there.
            _ => {
                let why = seen.reason.unwrap_or_default();
                out.warn(format!("drift: CloudFormation could not look at everything: {why}"));
                break;
            }
        }
    }
    bar.finish_and_clear();
    let found = cloudformation.describe_stack_resource_drifts(stack).await.map_err(failed)?;
    Ok(found.iter().flat_map(of_resource).collect())
}

fn of_resource(found: &ResourceDrift) -> Vec<Drift> {
    let (resource, id) = (found.logical_id.clone(), found.physical_id.clone());
    match found.status.as_str() {
        "DELETED" => vec![Drift {
            resource,
            id,
            property: None,
            expected: "there".to_owned(),
            found: "gone".to_owned(),
        }],
        "MODIFIED" => found
            .differences
            .iter()
            .map(|Difference { path, expected, actual, .. }| Drift {
                resource: resource.clone(),
                id: id.clone(),
                property: Some(path.clone()),
                expected: expected.clone(),
                found: actual.clone(),
            })
            .collect(),
        _ => Vec::new(),
    }
}
