//! Which point a row is: its id, its document, its place there, its hash.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use qdrant_client::qdrant::PointId;
use qdrant_client::qdrant::point_id::PointIdOptions;
use uuid::Uuid;

use super::TableSchema;
use super::columns::{Fault, Integers, Texts, column, plain, unusable};
use super::wire;
use crate::error::Error;
use crate::ids::{DEFAULT_NAMESPACE, point_id};

/// The id of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Id {
    Number(u64),
    Uuid(Uuid),
}

impl Id {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => {
                wire::key(out, wire::ID);
                wire::length(out, 1 + wire::varint_len(number));
                wire::key(out, wire::NUMBER);
                wire::varint(out, number);
            }
            Self::Uuid(uuid) => {
                let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
                let text = uuid.hyphenated().encode_lower(&mut text);
                wire::key(out, wire::ID);
                wire::length(out, 2 + text.len());
                wire::bytes(out, wire::UUID, text.as_bytes());
            }
        }
    }

    /// As a number, by which ids of one kind are told apart.
    pub(super) fn number(self) -> u128 {
        match self {
            Self::Number(number) => number.into(),
            Self::Uuid(uuid) => uuid.as_u128(),
        }
    }

    pub(super) fn wire(self) -> PointId {
        let options = match self {
            Self::Number(number) => PointIdOptions::Num(number),
            Self::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
        };
        PointId { point_id_options: Some(options) }
    }

    pub(super) fn from_wire(id: Option<&PointId>) -> Option<Self> {
        match id?.point_id_options.as_ref()? {
            PointIdOptions::Num(number) => Some(Self::Number(*number)),
            PointIdOptions::Uuid(text) => Uuid::parse_str(text).ok().map(Self::Uuid),
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => uuid.fmt(f),
        }
    }
}

/// What a row says of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) id: Id,
    pub(super) doc: Option<&'a str>,
    pub(super) chunk: Option<u64>,
    /// How many chunks the document has.
    pub(super) count: Option<u64>,
    pub(super) hash: Option<&'a str>,
}

/// The columns that say it.
#[derive(Debug)]
pub(super) struct Keys {
    id: Option<(String, Ids)>,
    doc: Option<(String, Texts)>,
    chunk: Option<(String, Integers)>,
    count: Option<(String, Integers)>,
    hash: Option<(String, Texts)>,
    namespace: Uuid,
}

#[derive(Debug)]
enum Ids {
    Numbers(Integers),
    Texts(Texts),
    /// Of 16 bytes each.
    Bytes(ArrayRef),
}

impl Keys {
    pub(super) fn new(schema: &TableSchema, batch: &RecordBatch) -> Result<Self, Error> {
        Ok(Self {
            id: bind(schema.id.as_ref(), batch, Ids::new)?,
            doc: bind(schema.doc.as_ref(), batch, Texts::new)?,
            chunk: bind(schema.chunk.as_ref(), batch, Integers::new)?,
            count: bind(schema.chunk_count.as_ref(), batch, Integers::new)?,
            hash: bind(schema.hash.as_ref(), batch, Texts::new)?,
            namespace: schema.namespace.unwrap_or(DEFAULT_NAMESPACE),
        })
    }

    /// The document a row belongs to, if that can be told.
    pub(super) fn doc(&self, row: usize) -> Option<&str> {
        self.doc.as_ref().and_then(|(_, docs)| docs.get(row))
    }

    pub(super) fn row(&self, row: usize) -> Result<Key<'_>, Fault> {
        let doc = text(self.doc.as_ref(), row)?;
        let is_whole = self.id.is_none() && self.chunk.is_none();
        let chunk = if is_whole { Some(0) } else { number(self.chunk.as_ref(), row)? };
        let count = number(self.count.as_ref(), row)?;
        if let (Some((name, _)), Some(chunk), Some(count)) = (&self.chunk, chunk, count)
            && chunk >= count
        {
            return Err(Fault::new(name, format!("chunk {chunk} of a document of {count}")));
        }
        if let (Some((name, _)), Some(chunk)) = (&self.chunk, chunk)
            && i64::try_from(chunk).is_err()
        {
            return Err(Fault::new(name, format!("{chunk} is too large for a chunk number")));
        }
        let hash = text(self.hash.as_ref(), row)?;
        let id = match (&self.id, doc, chunk) {
            (Some((name, ids)), ..) => ids.get(name, row)?,
            (None, Some(doc), Some(chunk)) => Id::Uuid(point_id(&self.namespace, doc, chunk)),
            (None, ..) => return Err(Fault { column: None, why: "it has no id".to_owned() }),
        };
        Ok(Key { id, doc, chunk, count, hash })
    }
}

fn bind<T>(
    name: Option<&String>,
    batch: &RecordBatch,
    new: impl Fn(&ArrayRef) -> Result<T, String>,
) -> Result<Option<(String, T)>, Error> {
    let Some(name) = name else { return Ok(None) };
    let (_, array) = column(batch, name)?;
    let bound = new(array).map_err(|why| unusable(name, why))?;
    Ok(Some((name.clone(), bound)))
}

fn text(of: Option<&(String, Texts)>, row: usize) -> Result<Option<&str>, Fault> {
    let Some((name, texts)) = of else { return Ok(None) };
    texts.get(row).map(Some).ok_or_else(|| Fault::null(name))
}

fn number(of: Option<&(String, Integers)>, row: usize) -> Result<Option<u64>, Fault> {
    of.map(|(name, numbers)| numbers.get(name, row)).transpose()
}

impl Ids {
    fn new(array: &ArrayRef) -> Result<Self, String> {
        let array = plain(array)?;
        match array.data_type() {
            kind if kind.is_integer() => Integers::new(&array).map(Self::Numbers),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Texts::new(&array).map(Self::Texts)
            }
            DataType::FixedSizeBinary(16)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView => Ok(Self::Bytes(array)),
            other => Err(format!(
                "it is {other}; an id is a whole number, or a UUID as text or as 16 bytes"
            )),
        }
    }

    fn get(&self, column: &str, row: usize) -> Result<Id, Fault> {
        match self {
            Self::Numbers(numbers) => numbers.get(column, row).map(Id::Number),
            Self::Texts(texts) => {
                let text = texts.get(row).ok_or_else(|| Fault::null(column))?;
                let uuid = Uuid::parse_str(text);
                uuid.map(Id::Uuid).map_err(|_| Fault::new(column, format!("{text:?} is no UUID")))
            }
            Self::Bytes(array) => {
                let bytes = binary(array, row).ok_or_else(|| Fault::null(column))?;
                let uuid = Uuid::from_slice(bytes);
                uuid.map(Id::Uuid).map_err(|_| {
                    Fault::new(column, format!("it has {} bytes, a UUID has 16", bytes.len()))
                })
            }
        }
    }
}

fn binary(array: &ArrayRef, row: usize) -> Option<&[u8]> {
    if array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::FixedSizeBinary(_) => Some(array.as_fixed_size_binary().value(row)),
        DataType::Binary => Some(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => Some(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => Some(array.as_binary_view().value(row)),
        _ => None,
    }
}
