//! Point ids by the column.

use std::str::FromStr;

use arrow_array::builder::FixedSizeBinaryBuilder;
use arrow_array::{Array, ArrayRef, FixedSizeBinaryArray};
use uuid::Uuid;

use super::columns::{Fault, Integers, Texts, unusable};
use crate::error::Error;
use crate::ids::{haystack, langchain, point_id};

/// How ids are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdScheme {
    /// From document and chunk number, see [`crate::ids::point_id`].
    Qmoor,
    /// From content and metadata, see [`crate::ids::langchain`].
    LangChain,
    /// From a document's id, see [`crate::ids::haystack`].
    Haystack,
}

impl FromStr for IdScheme {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "qmoor" => Ok(Self::Qmoor),
            "langchain" => Ok(Self::LangChain),
            "haystack" => Ok(Self::Haystack),
            other => Err(Error::Schema {
                column: None,
                why: format!("ids are made as `qmoor`, `langchain` or `haystack`, not `{other}`"),
            }),
        }
    }
}

/// The ids of 16 bytes that rows get. `first` is the document (`qmoor`), the content (`langchain`)
/// or the document's id (`haystack`); `second` the chunk number (`qmoor`, 0 without it), the
/// metadata as JSON text with its keys in order (`langchain`, `{}` without it), and nothing for
/// `haystack`. `namespace` is for `qmoor` only.
///
/// # Errors
/// A column is of the wrong type or length, or a row is null or a chunk number negative.
pub fn ids(
    scheme: IdScheme,
    first: &ArrayRef,
    second: Option<&ArrayRef>,
    namespace: &Uuid,
) -> Result<FixedSizeBinaryArray, Error> {
    let (one, two) = match scheme {
        IdScheme::Qmoor => ("doc", "chunk"),
        IdScheme::LangChain => ("page_content", "metadata"),
        IdScheme::Haystack => ("id", ""),
    };
    if let Some(second) = second
        && second.len() != first.len()
    {
        let why = format!("it has {} rows, `{one}` has {}", second.len(), first.len());
        return Err(unusable(two, why));
    }
    if scheme == IdScheme::Haystack && second.is_some() {
        return Err(unusable(one, "`haystack` makes ids of one column"));
    }
    let texts = Texts::new(first).map_err(|why| unusable(one, why))?;
    let (mut chunks, mut metadata) = (None, None);
    match (scheme, second) {
        (IdScheme::Qmoor, Some(second)) => {
            chunks = Some(Integers::new(second).map_err(|why| unusable(two, why))?);
        }
        (IdScheme::LangChain, Some(second)) => {
            metadata = Some(Texts::new(second).map_err(|why| unusable(two, why))?);
        }
        _ => {}
    }
    let id = |row: usize| -> Result<Uuid, Fault> {
        let text = texts.get(row).ok_or_else(|| Fault::null(one))?;
        Ok(match scheme {
            IdScheme::Qmoor => {
                let chunk = chunks.as_ref().map_or(Ok(0), |chunks| chunks.get(two, row))?;
                point_id(namespace, text, chunk)
            }
            IdScheme::LangChain => {
                let null = || Fault::null(two);
                let metadata = metadata.as_ref().map_or(Ok("{}"), |m| m.get(row).ok_or_else(null));
                langchain(text, metadata?)
            }
            IdScheme::Haystack => haystack(text),
        })
    };
    let mut ids = FixedSizeBinaryBuilder::with_capacity(first.len(), 16);
    for row in 0..first.len() {
        let id = id(row).map_err(|Fault { column, why }| Error::BadRow {
            row: u64::try_from(row).unwrap_or(u64::MAX),
            column,
            why,
        })?;
        ids.append_value(id.as_bytes()).map_err(|error| Error::Internal(error.to_string()))?;
    }
    Ok(ids.finish())
}
