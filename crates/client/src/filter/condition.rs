//! Conditions on a whole point, and which kind a condition is.

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    Condition, HasIdCondition, HasVectorCondition, IsEmptyCondition, IsNullCondition,
    NestedCondition, PointId,
};
use serde_json::Value;
use uuid::Uuid;

use super::{field, need, object, only, text, wrong};
use crate::error::Error;

pub(super) fn read(value: &Value, at: &str) -> Result<Condition, Error> {
    let fields = object(value, at)?;
    let one = |key: &str| -> Result<(&Value, String), Error> {
        only(fields, at, &[key])?;
        Ok((need(fields, at, key)?, format!("{at}.{key}")))
    };
    let kind = if fields.contains_key("is_empty") {
        let (inner, at) = one("is_empty")?;
        ConditionOneOf::IsEmpty(IsEmptyCondition { key: key(inner, &at)? })
    } else if fields.contains_key("is_null") {
        let (inner, at) = one("is_null")?;
        ConditionOneOf::IsNull(IsNullCondition { key: key(inner, &at)? })
    } else if fields.contains_key("has_id") {
        let (inner, at) = one("has_id")?;
        let ids = inner.as_array().ok_or_else(|| wrong(&at, "a list of ids is expected"))?;
        let has_id = ids.iter().map(|value| id(value, &at)).collect::<Result<_, _>>()?;
        ConditionOneOf::HasId(HasIdCondition { has_id })
    } else if fields.contains_key("has_vector") {
        let (inner, at) = one("has_vector")?;
        ConditionOneOf::HasVector(HasVectorCondition { has_vector: text(inner, &at)? })
    } else if fields.contains_key("nested") {
        let (inner, at) = one("nested")?;
        let fields = object(inner, &at)?;
        only(fields, &at, &["key", "filter"])?;
        let filter = super::read(need(fields, &at, "filter")?, &format!("{at}.filter"))?;
        let key = text(need(fields, &at, "key")?, &at)?;
        ConditionOneOf::Nested(NestedCondition { key, filter: Some(filter) })
    } else if fields.contains_key("key") {
        ConditionOneOf::Field(field::read(fields, at)?)
    } else {
        ConditionOneOf::Filter(super::read(value, at)?)
    };
    Ok(Condition { condition_one_of: Some(kind) })
}

fn key(value: &Value, at: &str) -> Result<String, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["key"])?;
    text(need(fields, at, "key")?, at)
}

pub(crate) fn id(value: &Value, at: &str) -> Result<PointId, Error> {
    let options = match value {
        Value::Number(number) => number.as_u64().map(PointIdOptions::Num),
        Value::String(text) => {
            Uuid::parse_str(text).ok().map(|id| PointIdOptions::Uuid(id.to_string()))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let options = options.ok_or_else(|| wrong(at, format!("{value} is no integer and no UUID")))?;
    Ok(PointId { point_id_options: Some(options) })
}
