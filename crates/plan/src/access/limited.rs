//! What a key that is limited to some collections may do: what surely touches these and no others.

use std::fmt;

use super::json_scan::JsonScan;
use super::message_walk::MessageWalk;
use super::rest::rest_collection;
use super::scope::Scope;
use super::shapes::shape_of;
use super::{Access, Need};

/// Why a limited key may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutOfScope {
    /// It is about this collection.
    Collection(String),
    /// It is about no one collection.
    Unnamed,
    /// It looks something up in another collection.
    Lookup,
    /// It is compressed, so that nobody can say what it is about.
    Compressed,
    /// It cannot be told what it is about.
    Unreadable,
}

impl std::error::Error for OutOfScope {}

impl fmt::Display for OutOfScope {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Collection(name) => {
                let shown: String = name.chars().take(64).flat_map(char::escape_default).collect();
                write!(formatter, "this key may not touch the collection `{shown}`")
            }
            Self::Unnamed => formatter.write_str(
                "this key is limited to some collections, and the request names no one collection",
            ),
            Self::Lookup => formatter.write_str(
                "this key is limited to some collections, and may not look anything up in others",
            ),
            Self::Compressed => formatter
                .write_str("this key is limited to some collections, and may not send compressed requests"),
            Self::Unreadable => formatter.write_str(
                "this key is limited to some collections, and it cannot be told which ones the request touches",
            ),
        }
    }
}

/// A body that must be looked at before it is believed.
#[derive(Debug, Clone)]
pub enum BodyCheck {
    /// JSON.
    Json(JsonScan),
    /// A gRPC message.
    Message(Box<MessageWalk>),
}

impl BodyCheck {
    /// Looks at the next bytes. Nothing of them may be passed on before.
    ///
    /// # Errors
    /// When the request is out of scope.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), OutOfScope> {
        match self {
            Self::Json(scan) => scan.push(bytes),
            Self::Message(walk) => walk.push(bytes),
        }
    }

    /// Looks at the end of the body.
    ///
    /// # Errors
    /// When the request is out of scope.
    pub fn end(&self) -> Result<(), OutOfScope> {
        match self {
            Self::Json(_) => Ok(()),
            Self::Message(walk) => walk.end(),
        }
    }
}

/// Writes of points: their bodies hold any text, and name no collection.
const NAME_NO_OTHER: [&str; 10] = [
    "points.upsert",
    "points.batch",
    "points.delete",
    "points.update_vectors",
    "points.delete_vectors",
    "points.set_payload",
    "points.overwrite_payload",
    "points.delete_payload",
    "points.clear_payload",
    "collections.create_index",
];

/// Whether a limited key may do this by REST, and what must be looked for in the body if so.
///
/// # Errors
/// When it is out of scope by its path alone.
pub fn limit_rest(
    scope: &Scope,
    access: &Access,
    method: &str,
    raw_path: &str,
) -> Result<Option<BodyCheck>, OutOfScope> {
    if access.need == Need::Open {
        return Ok(None);
    }
    let name = rest_collection(method, raw_path).ok_or(OutOfScope::Unnamed)?;
    if !scope.covers(&name) {
        return Err(OutOfScope::Collection(name));
    }
    let blind = NAME_NO_OTHER.contains(&access.operation);
    Ok((!blind).then(|| BodyCheck::Json(JsonScan::default())))
}

/// Whether a limited key may do this by gRPC, and what must be looked for in the message if so.
///
/// # Errors
/// When the method is about no one collection.
pub fn limit_grpc(
    scope: &Scope,
    access: &Access,
    path: &str,
) -> Result<Option<BodyCheck>, OutOfScope> {
    if access.need == Need::Open {
        return Ok(None);
    }
    let shape = shape_of(path).ok_or(OutOfScope::Unnamed)?;
    Ok(Some(BodyCheck::Message(Box::new(MessageWalk::new(scope.clone(), shape)))))
}
