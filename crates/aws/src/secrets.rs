//! Secrets Manager.
//!
//! Source: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/>.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::json;

use crate::call::Repeat;
use crate::json::{Nothing, call};
use crate::{Aws, AwsError, service};

/// The client of Secrets Manager.
#[derive(Debug, Clone)]
pub struct Secrets(pub(crate) Aws);

/// Text that must not be shown.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Wraps `text`.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// One version of a secret.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SecretValue {
    /// The secret.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// The version.
    pub version_id: String,
    /// What it says; absent if it is kept as bytes.
    #[serde(rename = "SecretString", default)]
    pub text: Option<SecretText>,
    /// What the version is, for example `AWSCURRENT`.
    #[serde(default)]
    pub version_stages: Vec<String>,
}

/// A secret without what it says.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct SecretInfo {
    /// The secret.
    #[serde(rename = "ARN")]
    pub arn: String,
    /// Its name.
    pub name: String,
    /// The stages of each version, by its id.
    #[serde(rename = "VersionIdsToStages", default)]
    pub versions: BTreeMap<String, Vec<String>>,
}

impl SecretInfo {
    /// The version that has `stage`.
    pub fn version_at(&self, stage: &str) -> Option<&str> {
        let has = |stages: &Vec<String>| stages.iter().any(|one| one == stage);
        self.versions.iter().find(|(_, stages)| has(stages)).map(|(version, _)| version.as_str())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    version_id: String,
}

impl Secrets {
    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        action: &'static str,
        input: serde_json::Value,
    ) -> Result<T, AwsError> {
        call(&self.0, &service::SECRETS, action, input, Repeat::Safe).await
    }

    /// The version of a secret that has `stage`, for example `AWSCURRENT`. `id` is a name or ARN.
    pub async fn get(&self, id: &str, stage: &str) -> Result<SecretValue, AwsError> {
        self.call("GetSecretValue", json!({ "SecretId": id, "VersionStage": stage })).await
    }

    /// The versions of a secret.
    pub async fn describe(&self, id: &str) -> Result<SecretInfo, AwsError> {
        self.call("DescribeSecret", json!({ "SecretId": id })).await
    }

    /// Adds a version, and gives its id. The same `client_token` (a UUID) and text make one version,
    /// however often it is asked. With the stage `AWSCURRENT` the one before gets `AWSPREVIOUS`.
    pub async fn put(
        &self,
        id: &str,
        text: &SecretText,
        client_token: &str,
        stages: &[&str],
    ) -> Result<String, AwsError> {
        let input = json!({
            "SecretId": id,
            "SecretString": text.reveal(),
            "ClientRequestToken": client_token,
            "VersionStages": stages,
        });
        let put: Put = self.call("PutSecretValue", input).await?;
        Ok(put.version_id)
    }

    /// Moves a stage to the version `to`, away from `from`.
    pub async fn move_stage(
        &self,
        id: &str,
        stage: &str,
        to: Option<&str>,
        from: Option<&str>,
    ) -> Result<(), AwsError> {
        let input = json!({
            "SecretId": id,
            "VersionStage": stage,
            "MoveToVersionId": to,
            "RemoveFromVersionId": from,
        });
        let _done: Nothing = self.call("UpdateSecretVersionStage", input).await?;
        Ok(())
    }
}
