//! CloudFormation, version 2010-05-15.
//!
//! Source: <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/>.

mod change_set;
mod drift;
mod stack;

pub use change_set::{Change, ChangeDetail, ChangeSet, ChangeSetKind, NewChangeSet};
pub use drift::{Difference, DriftDetection, ResourceDrift};
pub use stack::{Output, Stack, StackEvent, StackResource};

use crate::query::Query;
use crate::{Aws, AwsError, service};

/// The client of CloudFormation.
#[derive(Debug, Clone)]
pub struct CloudFormation(pub(crate) Aws);

impl CloudFormation {
    pub(crate) fn query(&self, action: &'static str) -> Query<'_> {
        Query::new(&self.0, &service::CLOUDFORMATION, action)
    }
}

/// What is asked about a stack that is not there is a `ValidationError` that says so.
pub(crate) fn no_such_stack(error: &AwsError) -> bool {
    matches!(error, AwsError::Service { code, message, .. }
        if code == "ValidationError" && message.contains("does not exist"))
}
