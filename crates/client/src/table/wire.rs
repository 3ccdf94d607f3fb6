//! The few pieces of protobuf that points are made of, written straight into a buffer.
//!
//! A length that is not known before what it measures is written gets four bytes at once, filled in
//! afterwards: a varint may be longer than it needs to be.

use crate::ensure::TEXT_MODEL;

/// A message or text inside another.
const fn nested(tag: u32) -> u32 {
    tag << 3 | 2
}

/// Field `points` of `UpsertPoints`.
pub(super) const POINT: u32 = nested(3);
/// Field `id` of `PointStruct`.
pub(super) const ID: u32 = nested(1);
/// Field `uuid` of `PointId`.
pub(super) const UUID: u32 = nested(2);
/// Field `num` of `PointId`.
pub(super) const NUMBER: u32 = 1 << 3;
/// Field `payload` of `PointStruct`: one entry of the map.
pub(super) const PAYLOAD: u32 = nested(3);
/// Field `vectors` of `PointStruct`.
pub(super) const VECTORS: u32 = nested(4);
/// Field `vector` of `Vectors`: the only one, unnamed.
pub(super) const ONLY_VECTOR: u32 = nested(1);
/// Field `vectors` of `Vectors`.
pub(super) const NAMED_VECTORS: u32 = nested(2);
/// One entry of the map in `NamedVectors`, `Struct` or of the items in `ListValue`.
pub(super) const ENTRY: u32 = nested(1);
/// The key of a map's entry.
pub(super) const MAP_KEY: u32 = nested(1);
/// The value of a map's entry.
pub(super) const MAP_VALUE: u32 = nested(2);
/// Field `dense` of `Vector`.
pub(super) const DENSE: u32 = nested(101);
/// Field `sparse` of `Vector`.
pub(super) const SPARSE: u32 = nested(102);
/// Field `multi_dense` of `Vector`.
pub(super) const MULTI: u32 = nested(103);
/// Field `document` of `Vector`.
const DOCUMENT: u32 = nested(104);
/// The packed numbers of `DenseVector`, and the values of `SparseVector`.
pub(super) const NUMBERS: u32 = nested(1);
/// The packed indices of `SparseVector`.
pub(super) const INDICES: u32 = nested(2);
/// Fields `struct_value` and `list_value` of `Value`.
pub(super) const STRUCT: u32 = nested(6);
pub(super) const LIST: u32 = nested(7);

/// A longer message than this cannot be measured by [`close`].
pub(super) const LENGTH_MAX: usize = (1 << 28) - 1;
const MARK_BYTES: usize = 4;

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(low_bits(value) | 0x80);
        value >>= 7;
    }
    out.push(low_bits(value));
}

fn low_bits(value: u64) -> u8 {
    u8::try_from(value & 0x7f).unwrap_or_default()
}

pub(super) fn varint_len(value: u64) -> usize {
    usize::try_from((70 - (value | 1).leading_zeros()) / 7).unwrap_or_default()
}

pub(super) fn length(out: &mut Vec<u8>, length: usize) {
    varint(out, u64::try_from(length).unwrap_or(u64::MAX));
}

pub(super) fn length_len(length: usize) -> usize {
    varint_len(u64::try_from(length).unwrap_or(u64::MAX))
}

pub(super) fn key(out: &mut Vec<u8>, key: u32) {
    varint(out, u64::from(key));
}

/// A text or other bytes.
pub(super) fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    key(out, field);
    length(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// Begins a message inside another; [`close`] takes what this returns.
pub(super) fn open(out: &mut Vec<u8>, field: u32) -> usize {
    key(out, field);
    out.extend_from_slice(&[0; MARK_BYTES]);
    out.len()
}

/// Ends the message that [`open`] began. Of one longer than [`LENGTH_MAX`] the length is wrong; what
/// contains it must be measured before it is used.
pub(super) fn close(out: &mut [u8], begin: usize) {
    let length = out.len().saturating_sub(begin).min(LENGTH_MAX);
    let mut left = u64::try_from(length).unwrap_or_default();
    let Some(mark) = out.get_mut(begin.saturating_sub(MARK_BYTES)..begin) else { return };
    let last = mark.len().saturating_sub(1);
    for (at, byte) in mark.iter_mut().enumerate() {
        *byte = low_bits(left) | if at < last { 0x80 } else { 0 };
        left >>= 7;
    }
}

/// The `Document` that the node makes a sparse vector of.
pub(super) fn document(out: &mut Vec<u8>, text: &str) {
    let at = open(out, DOCUMENT);
    bytes(out, nested(1), text.as_bytes());
    bytes(out, nested(3), TEXT_MODEL.as_bytes());
    close(out, at);
}

/// A payload value without parts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Double(f64),
    Text(&'a str),
}

impl Scalar<'_> {
    /// Of the message `Value`.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 2,
            Self::Integer(integer) => 1 + varint_len(integer.cast_unsigned()),
            Self::Double(_) => 9,
            Self::Text(text) => 1 + length_len(text.len()) + text.len(),
        }
    }

    /// The fields of the message `Value`.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(&[0x08, 0]),
            Self::Double(double) => {
                out.push(0x11);
                out.extend_from_slice(&double.to_le_bytes());
            }
            Self::Integer(integer) => {
                out.push(0x18);
                varint(out, integer.cast_unsigned());
            }
            Self::Text(text) => bytes(out, nested(4), text.as_bytes()),
            Self::Bool(bool) => out.extend_from_slice(&[0x28, u8::from(bool)]),
        }
    }
}

/// An entry of a map whose value has no parts.
pub(super) fn scalar_entry(out: &mut Vec<u8>, field: u32, name: &str, value: Scalar<'_>) {
    let value_len = value.len();
    key(out, field);
    length(out, 1 + length_len(name.len()) + name.len() + 1 + length_len(value_len) + value_len);
    bytes(out, MAP_KEY, name.as_bytes());
    key(out, MAP_VALUE);
    length(out, value_len);
    value.put(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varint_has_the_length_it_is_said_to_have() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value), "{value}");
            assert_eq!(prost::encoding::decode_varint(&mut out.as_slice()).unwrap(), value);
        }
    }

    #[test]
    fn a_message_is_measured_when_it_ends() {
        for bytes in [0, 1, 127, 128, 100_000, 3_000_000] {
            let mut out = Vec::new();
            let at = open(&mut out, POINT);
            out.resize(out.len() + bytes, 7);
            close(&mut out, at);
            let mut rest = out.as_slice();
            assert_eq!(prost::encoding::decode_varint(&mut rest).unwrap(), u64::from(POINT));
            let length = prost::encoding::decode_varint(&mut rest).unwrap();
            assert_eq!((usize::try_from(length).unwrap(), rest.len()), (bytes, bytes));
        }
    }
}
