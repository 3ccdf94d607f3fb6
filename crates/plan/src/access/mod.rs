//! Who may do what at the gateway, from the method and the path of a request alone.
//!
//! There is one list of what is known. Whatever is not on it, to the letter, is a write that only
//! the admin may make: a new endpoint, a path trick, a typo. So a trick never raises a role.

mod failures;
mod grpc;
mod json_scan;
mod limited;
mod message_walk;
mod name;
mod origin;
mod rest;
mod scope;
mod sessions;
mod shapes;

use std::fmt;

pub use failures::{Failures, Trickle, Verdict};
pub use grpc::classify_grpc;
pub use json_scan::JsonScan;
pub use limited::{BodyCheck, OutOfScope, limit_grpc, limit_rest};
pub use message_walk::MessageWalk;
pub use origin::{Sender, is_own_form};
pub use rest::classify_rest;
pub use scope::{NoScope, Scope};
use serde::{Deserialize, Serialize};
pub use sessions::{Session, Sessions, TokenHash};

/// Whose key it is, the least first. A role may do all that the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads points and collections.
    Search,
    /// Also writes points and payload, creates collections, starts backups and asks after them.
    Index,
    /// Everything.
    Admin,
}

impl Role {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Search, Self::Index, Self::Admin];

    /// Its name in keys, logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Index => "index",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a request needs, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// No key.
    Open,
    /// A session of the status page, which only a login with the admin key begins. No key does instead, so it stands
    /// before them.
    Session,
    /// A key of this role or a higher one.
    Role(Role),
}

/// Whether a request changes anything: decides when the gate holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// It does not.
    Read,
    /// It does, or may.
    Write,
}

/// What is known about a request from its method and path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// What it needs.
    pub need: Need,
    /// Whether it changes anything. Says nothing about the requests that the gateway answers
    /// itself (operations `qmoor.*` and `health.*`), which must never wait at the gate.
    pub effect: Effect,
    /// Its name in logs and metrics, of a bounded set, like `points.query`.
    pub operation: &'static str,
}

impl Access {
    /// What anything is that is not on the list.
    pub const UNLISTED: Self =
        Self { need: Need::Role(Role::Admin), effect: Effect::Write, operation: "unlisted" };
}

/// Whether the holder of a key of `role` may do what has this `need`, or begin the session that it needs.
#[must_use]
pub fn allows(role: Role, need: Need) -> bool {
    match need {
        Need::Open => true,
        Need::Role(least) => role >= least,
        Need::Session => role == Role::Admin,
    }
}

const fn open(operation: &'static str) -> Access {
    Access { need: Need::Open, effect: Effect::Read, operation }
}

const fn read(role: Role, operation: &'static str) -> Access {
    Access { need: Need::Role(role), effect: Effect::Read, operation }
}

const fn write(role: Role, operation: &'static str) -> Access {
    Access { need: Need::Role(role), effect: Effect::Write, operation }
}

const fn session(operation: &'static str) -> Access {
    Access { need: Need::Session, effect: Effect::Read, operation }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_scope;
