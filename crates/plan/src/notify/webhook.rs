//! The address that messages are sent to. It may carry a secret, so it is never shown whole.

use std::fmt;

use serde::{Serialize, Serializer};

/// The longest address that is taken.
const BYTES_MAX: usize = 2048;

/// An `http://` or `https://` address. All that is shown of it is its host.
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook(String);

/// A text is no address of a webhook. The text is not in the message: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebhookError;

impl std::error::Error for WebhookError {}

impl fmt::Display for WebhookError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an address like https://HOST/PATH, without a user or a password in it")
    }
}

impl Webhook {
    /// Reads an address.
    ///
    /// # Errors
    /// When it is none of `http` or `https`, or has a user in it.
    pub fn parse(text: &str) -> Result<Self, WebhookError> {
        let of_url =
            |byte: u8| byte.is_ascii_alphanumeric() || b"._~/-+=%:@,?&;!*'()[]".contains(&byte);
        let webhook = Self(text.to_owned());
        let host = webhook.host();
        let fits = text.len() <= BYTES_MAX
            && (text.starts_with("https://") || text.starts_with("http://"))
            && text.bytes().all(of_url)
            && host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
            && !host.contains('@');
        if fits { Ok(webhook) } else { Err(WebhookError) }
    }

    /// The whole address, for the one who sends.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What may be shown: the host, with its port.
    #[must_use]
    pub fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?']).next().unwrap_or("")
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with("https://")
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({}/…)", self.host())
    }
}

impl Serialize for Webhook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.host())
    }
}

/// Whether a request that was answered with this status may do better later.
#[must_use]
pub fn is_to_be_repeated(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500..=599)
}
