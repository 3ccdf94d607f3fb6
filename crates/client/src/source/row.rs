//! A row of a table, whatever the format, as the chunks it holds.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::chunk::Chunker;
use super::{Columns, Item, Place, Record, RowFault};
use crate::ensure::{CHUNK_KEY, DOC_KEY, HASH_KEY, TEXT_KEY};

/// A row whose columns are told apart.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) id: Option<Value>,
    pub(super) doc: Option<Value>,
    pub(super) chunk: Option<Value>,
    pub(super) text: Option<String>,
    pub(super) vector: Option<Vec<f32>>,
    pub(super) payload: Map<String, Value>,
}

/// What the rows of one table have in common.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Columns,
    pub(super) chunker: Chunker,
    /// The file's name without its folder: rows without a name are named after it.
    pub(super) name: String,
}

impl Table {
    /// The chunks of a row: one, if it says which; otherwise as many as its text is long.
    pub(super) fn items(&self, row: Row, place: &Place) -> Result<VecDeque<Item>, RowFault> {
        let Row { id, doc, chunk, text, vector, mut payload } = row;
        for reserved in [DOC_KEY, CHUNK_KEY, HASH_KEY, TEXT_KEY] {
            if payload.contains_key(reserved) {
                return Err(fault(reserved, "the name is taken by qmoor's own payload"));
            }
        }
        let doc = match (doc, id) {
            (Some(doc), id) => {
                if let Some(id) = id {
                    payload.insert(self.columns.id.clone(), id);
                }
                name(&self.columns.doc, &doc)?
            }
            (None, Some(id)) => name(&self.columns.id, &id)?,
            (None, None) => format!("{}#{}", self.name, place.row.unwrap_or(0)),
        };
        let chunk = chunk.map(|chunk| number(&self.columns.chunk, &chunk)).transpose()?;
        if text.is_none() && vector.is_none() {
            let Columns { text, vector, .. } = self.columns.clone();
            return Err(RowFault::Nothing { text, vector });
        }
        let record = |chunk: u64, text: Option<String>| Record {
            doc: doc.clone(),
            chunk,
            text,
            vector: vector.clone(),
            payload: payload.clone(),
            place: place.clone(),
        };
        let items: VecDeque<_> = match (chunk, text) {
            (None, Some(text)) if vector.is_none() => {
                let chunks = self.chunker.split(&doc, &text).into_iter().zip(0..);
                chunks.map(|(text, chunk)| Item::Record(record(chunk, Some(text)))).collect()
            }
            (chunk, Some(text)) if vector.is_some() || !text.trim().is_empty() => {
                VecDeque::from([Item::Record(record(chunk.unwrap_or(0), Some(text)))])
            }
            (_, Some(_)) => VecDeque::new(),
            (chunk, None) => VecDeque::from([Item::Record(record(chunk.unwrap_or(0), None))]),
        };
        if items.is_empty() {
            return Ok(VecDeque::from([Item::EmptyDocument { doc }]));
        }
        Ok(items)
    }
}

pub(super) fn fault(column: &str, reason: impl Into<String>) -> RowFault {
    RowFault::Column { column: column.to_owned(), reason: reason.into() }
}

/// A document's name: text or an integer.
fn name(column: &str, value: &Value) -> Result<String, RowFault> {
    match value {
        Value::String(text) if text.is_empty() => Err(fault(column, "an empty name")),
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Err(fault(column, "neither text nor an integer"))
        }
    }
}

fn number(column: &str, value: &Value) -> Result<u64, RowFault> {
    value.as_u64().ok_or_else(|| fault(column, "not an integer from 0"))
}
