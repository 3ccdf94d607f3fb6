//! Security Token Service, version 2011-06-15: who is calling.

use serde::Deserialize;

use crate::query::Query;
use crate::{Aws, AwsError, service};

/// The client of STS.
#[derive(Debug, Clone)]
pub struct Sts(pub(crate) Aws);

/// Who is calling.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Identity {
    /// The account, 12 digits.
    pub account: String,
    /// The user or role.
    pub arn: String,
}

impl Identity {
    /// `aws`, `aws-cn` or `aws-us-gov`: the second part of every name in this account.
    pub fn partition(&self) -> &str {
        self.arn.split(':').nth(1).unwrap_or("aws")
    }
}

impl Sts {
    /// Who is calling. Needs credentials and nothing else.
    ///
    /// Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html>.
    pub async fn get_caller_identity(&self) -> Result<Identity, AwsError> {
        Query::new(&self.0, &service::STS, "GetCallerIdentity").result().await
    }
}
