//! Systems Manager's parameter store.
//!
//! Source: <https://docs.aws.amazon.com/systems-manager/latest/APIReference/>.

use serde::Deserialize;
use serde_json::json;

use crate::call::Repeat;
use crate::json::call;
use crate::secrets::SecretText;
use crate::{Aws, AwsError, service};

/// How many parameters one call takes.
const AT_ONCE: usize = 10;

/// The client of the parameter store.
#[derive(Debug, Clone)]
pub struct Parameters(pub(crate) Aws);

/// A parameter.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "PascalCase")]
#[non_exhaustive]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// `String`, `StringList` or `SecureString`.
    #[serde(rename = "Type", default)]
    pub kind: String,
    /// What it says.
    pub value: SecretText,
    /// Counts up with each change.
    #[serde(default)]
    pub version: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    parameter: Parameter,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Many {
    #[serde(default)]
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    version: u64,
}

impl Parameters {
    async fn call<T: serde::de::DeserializeOwned>(
        &self,
        action: &'static str,
        input: serde_json::Value,
    ) -> Result<T, AwsError> {
        call(&self.0, &service::SSM, action, input, Repeat::Safe).await
    }

    /// A parameter, decrypted. AWS's own, such as those that name the current images, are found under
    /// `/aws/service/`.
    pub async fn get(&self, name: &str) -> Result<Parameter, AwsError> {
        let input = json!({ "Name": name, "WithDecryption": true });
        let one: One = self.call("GetParameter", input).await?;
        Ok(one.parameter)
    }

    /// Those of these parameters that exist, decrypted.
    pub async fn get_many(&self, names: &[&str]) -> Result<Vec<Parameter>, AwsError> {
        let mut found = Vec::new();
        for names in names.chunks(AT_ONCE) {
            let input = json!({ "Names": names, "WithDecryption": true });
            let many: Many = self.call("GetParameters", input).await?;
            found.extend(many.parameters);
        }
        Ok(found)
    }

    /// Sets a parameter that is kept encrypted, with this key or the account's default one, and gives
    /// its new version.
    pub async fn put_secure(
        &self,
        name: &str,
        value: &SecretText,
        kms_key_id: Option<&str>,
    ) -> Result<u64, AwsError> {
        let input = json!({
            "Name": name,
            "Value": value.reveal(),
            "Type": "SecureString",
            "Overwrite": true,
            "KeyId": kms_key_id,
        });
        let put: Put = self.call("PutParameter", input).await?;
        Ok(put.version)
    }
}
