//! Service Quotas.
//!
//! Source: <https://docs.aws.amazon.com/servicequotas/2019-06-24/apireference/>.

use serde::Deserialize;
use serde_json::json;

use crate::call::Repeat;
use crate::json::call;
use crate::{Aws, AwsError, service};

/// The client of Service Quotas.
#[derive(Debug, Clone)]
pub struct Quotas(pub(crate) Aws);

/// A limit of the account in the region.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Quota {
    /// Its code, for example `L-1216C47A`.
    pub quota_code: String,
    /// Its name.
    #[serde(default)]
    pub quota_name: String,
    /// The limit.
    pub value: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    quota: Quota,
}

impl Quotas {
    /// The quota `code` of `of`, for example `L-1216C47A` of `ec2`: as granted to the account, or the
    /// default if nothing else was ever granted.
    pub async fn get(&self, of: &str, code: &str) -> Result<Quota, AwsError> {
        let ask = async |action| -> Result<Quota, AwsError> {
            let input = json!({ "ServiceCode": of, "QuotaCode": code });
            let found: Found = call(&self.0, &service::QUOTAS, action, input, Repeat::Safe).await?;
            Ok(found.quota)
        };
        match ask("GetServiceQuota").await {
            Err(error) if error.code() == Some("NoSuchResourceException") => {
                ask("GetAWSDefaultServiceQuota").await
            }
            other => other,
        }
    }
}
