//! Keys that AWS keeps: one secret a role, in Secrets Manager or Parameter Store. The agent reads them at its start and
//! every few minutes, so that a key that was changed there is valid here soon, and the one before it for a while yet.

use std::time::Duration;

use jiff::Timestamp;
use qmoor_aws::secrets::SecretText;
use qmoor_aws::{Aws, AwsError};
use qmoor_plan::access::Role;
use qmoor_plan::audit::{Actor, Outcome};
use qmoor_plan::aws::names;
use qmoor_plan::config::{Config, Secrets};
use serde_json::json;

use super::{Keyring, KeysError, NewKeys, Secret};
use crate::audit::Audit;

/// How long the key before stays valid when another one turns up.
pub const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is asked whether there are others.
pub const ASK_EVERY: Duration = Duration::from_secs(5 * 60);
/// The version of a secret that counts.
const CURRENT: &str = "AWSCURRENT";
const ROLES: [Role; 3] = [Role::Search, Role::Index, Role::Admin];
/// A key that is shorter than this is none, in bytes: it could be guessed.
const KEY_BYTES_MIN: usize = 16;

/// Where the keys are kept.
#[derive(Debug, Clone)]
pub struct Vault {
    aws: Aws,
    node: String,
    kind: Secrets,
}

/// Why the keys that AWS keeps cannot be had.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say what the fields are")]
pub enum VaultError {
    #[error(transparent)]
    Aws(#[from] AwsError),
    #[error(transparent)]
    Keys(#[from] KeysError),
    #[error(
        "`{name}` holds no {role} key (hint: `qmoor keys rotate {role}` on the node makes one)"
    )]
    Empty { name: String, role: Role },
}

impl Vault {
    /// The keeper of the keys of this node, if its configuration is that of a machine on AWS.
    ///
    /// # Errors
    /// When there are no credentials.
    pub async fn of(config: &Config) -> Result<Option<Self>, VaultError> {
        let Some(aws) = &config.aws else { return Ok(None) };
        let client = Aws::load(Some(&aws.region)).await?;
        Ok(Some(Self { aws: client, node: config.node.name.clone(), kind: aws.secrets }))
    }

    /// What the key of a role is called there.
    #[must_use]
    pub fn name(&self, role: Role) -> String {
        match self.kind {
            Secrets::SecretsManager => names::secret(&self.node, role),
            Secrets::ParameterStore => names::parameter(&self.node, role),
        }
    }

    /// Takes over the keys at a start. At the first one those that were made here, `new`, end at once; where a
    /// parameter is not there yet, they are what it becomes. At any other start a key that cannot be read stays what it
    /// was.
    ///
    /// # Errors
    /// At the first start, when a key cannot be had: nobody knows those that were made here.
    pub async fn at_start(&self, ring: &Keyring, new: Option<&NewKeys>) -> Result<(), VaultError> {
        for role in ROLES {
            let taken = match (self.read(role).await, new) {
                (Err(VaultError::Aws(error)), Some(new))
                    if error.is_not_found() && self.kind == Secrets::ParameterStore =>
                {
                    self.write(role, new.of(role)).await
                }
                (Ok(key), Some(_)) => self.take(ring, role, &key, Duration::ZERO).map(drop),
                (Ok(key), None) => self.take(ring, role, &key, OVERLAP).map(drop),
                (Err(error), None) => {
                    tracing::warn!(%role, %error, "keys: the one of the last start is used");
                    Ok(())
                }
                (Err(error), Some(_)) => Err(error),
            };
            taken?;
        }
        Ok(ring.keep()?)
    }

    /// Looks for other keys for ever.
    pub async fn watch(&self, ring: &Keyring, audit: &Audit) {
        loop {
            tokio::time::sleep(ASK_EVERY).await;
            for role in ROLES {
                let read = self.read(role).await;
                let taken = read.and_then(|key| {
                    Ok((self.take(ring, role, &key, OVERLAP)?, Keyring::id_of(&key)))
                });
                match taken {
                    Ok((true, id)) => {
                        let what = json!({ "role": role, "id": id, "kept_in": self.name(role) });
                        let actor = Actor::agent("keys of AWS");
                        audit.note(actor, "keys adopt", what, Outcome::Done, "");
                    }
                    Ok((false, _)) => {}
                    Err(error) => {
                        tracing::warn!(%role, %error, "keys: could not look whether there is another");
                    }
                }
            }
        }
    }

    /// Whether it is another one.
    fn take(
        &self,
        ring: &Keyring,
        role: Role,
        key: &Secret,
        overlap: Duration,
    ) -> Result<bool, VaultError> {
        let is_other = ring.adopt(role, key, overlap, Timestamp::now())?;
        if is_other {
            let (id, kept_in) = (Keyring::id_of(key), self.name(role));
            tracing::info!(%role, id, kept_in, "keys: taken over");
        }
        Ok(is_other)
    }

    async fn read(&self, role: Role) -> Result<Secret, VaultError> {
        let name = self.name(role);
        let found = match self.kind {
            Secrets::SecretsManager => self.aws.secrets().get(&name, CURRENT).await?.text,
            Secrets::ParameterStore => Some(self.aws.parameters().get(&name).await?.value),
        };
        let long = found.filter(|text| text.reveal().len() >= KEY_BYTES_MIN);
        long.map(|text| Secret::new(text.reveal().to_owned()))
            .ok_or(VaultError::Empty { name, role })
    }

    /// Puts another key there, which is the role's from then on.
    ///
    /// # Errors
    /// When it cannot be written. It may have been, and is found by the next look then.
    pub async fn write(&self, role: Role, key: &Secret) -> Result<(), VaultError> {
        let name = self.name(role);
        let text = SecretText::new(key.expose().to_owned());
        match self.kind {
            Secrets::SecretsManager => {
                let token = uuid::Uuid::new_v4().to_string();
                self.aws.secrets().put(&name, &text, &token, &[CURRENT]).await?;
            }
            Secrets::ParameterStore => {
                self.aws.parameters().put_secure(&name, &text, None).await?;
            }
        }
        Ok(())
    }
}
