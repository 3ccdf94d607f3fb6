//! Conditions on one payload key.

use prost_types::Timestamp;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::{
    DatetimeRange, FieldCondition, GeoBoundingBox, GeoLineString, GeoPoint, GeoPolygon, GeoRadius,
    Match, Range, RepeatedIntegers, RepeatedStrings, ValuesCount,
};
use serde_json::{Map, Value};

use super::{double, integer, need, object, only, text, wrong};
use crate::error::Error;

const KNOWN: [&str; 9] = [
    "key",
    "match",
    "range",
    "values_count",
    "geo_radius",
    "geo_bounding_box",
    "geo_polygon",
    "is_empty",
    "is_null",
];

pub(super) fn read(fields: &Map<String, Value>, at: &str) -> Result<FieldCondition, Error> {
    only(fields, at, &KNOWN)?;
    let mut condition =
        FieldCondition { key: text(need(fields, at, "key")?, at)?, ..FieldCondition::default() };
    let mut has_any = false;
    for (key, value) in fields.iter().filter(|(key, value)| *key != "key" && !value.is_null()) {
        has_any = true;
        let at = format!("{at}.{key}");
        match key.as_str() {
            "match" => condition.r#match = Some(matching(value, &at)?),
            "range" => range(value, &at, &mut condition)?,
            "values_count" => condition.values_count = Some(values_count(value, &at)?),
            "geo_radius" => condition.geo_radius = Some(radius(value, &at)?),
            "geo_bounding_box" => condition.geo_bounding_box = Some(bounding_box(value, &at)?),
            "geo_polygon" => condition.geo_polygon = Some(polygon(value, &at)?),
            "is_empty" => condition.is_empty = Some(boolean(value, &at)?),
            _ => condition.is_null = Some(boolean(value, &at)?),
        }
    }
    if has_any { Ok(condition) } else { Err(wrong(at, "nothing is asked of the key")) }
}

fn matching(value: &Value, at: &str) -> Result<Match, Error> {
    let fields = object(value, at)?;
    let mut entries = fields.iter();
    let (Some((kind, value)), None) = (entries.next(), entries.next()) else {
        return Err(wrong(at, "one of value, any, except, text, text_any, phrase is expected"));
    };
    let match_value = match kind.as_str() {
        "value" => exact(value, at)?,
        "any" => match list(value, at)? {
            List::Words(strings) => MatchValue::Keywords(RepeatedStrings { strings }),
            List::Integers(integers) => MatchValue::Integers(RepeatedIntegers { integers }),
        },
        "except" => match list(value, at)? {
            List::Words(strings) => MatchValue::ExceptKeywords(RepeatedStrings { strings }),
            List::Integers(integers) => MatchValue::ExceptIntegers(RepeatedIntegers { integers }),
        },
        "text" => MatchValue::Text(text(value, at)?),
        "text_any" => MatchValue::TextAny(text(value, at)?),
        "phrase" => MatchValue::Phrase(text(value, at)?),
        other => return Err(wrong(at, format!("`{other}` is no kind of match"))),
    };
    Ok(Match { match_value: Some(match_value) })
}

fn exact(value: &Value, at: &str) -> Result<MatchValue, Error> {
    let found = match value {
        Value::String(text) => Some(MatchValue::Keyword(text.clone())),
        Value::Bool(bool) => Some(MatchValue::Boolean(*bool)),
        Value::Number(number) => number.as_i64().map(MatchValue::Integer),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    found.ok_or_else(|| wrong(at, "text, an integer, true or false is expected"))
}

enum List {
    Words(Vec<String>),
    Integers(Vec<i64>),
}

fn list(value: &Value, at: &str) -> Result<List, Error> {
    let items = value.as_array().ok_or_else(|| wrong(at, "a list is expected"))?;
    let words: Option<Vec<_>> = items.iter().map(|item| item.as_str().map(str::to_owned)).collect();
    if let Some(words) = words {
        return Ok(List::Words(words));
    }
    let integers: Option<Vec<_>> = items.iter().map(Value::as_i64).collect();
    integers.map(List::Integers).ok_or_else(|| wrong(at, "texts or integers are expected"))
}

const BOUNDS: [&str; 4] = ["lt", "gt", "gte", "lte"];

/// The four bounds that are given.
fn bounds<T>(
    value: &Value,
    at: &str,
    read: impl Fn(&Value, &str) -> Result<T, Error>,
) -> Result<[Option<T>; 4], Error> {
    let fields = object(value, at)?;
    only(fields, at, &BOUNDS)?;
    let one = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value, &format!("{at}.{key}")).map(Some),
    };
    let [lt, gt, gte, lte] = BOUNDS;
    Ok([one(lt)?, one(gt)?, one(gte)?, one(lte)?])
}

/// A range of numbers, or of times if its bounds are text.
fn range(value: &Value, at: &str, condition: &mut FieldCondition) -> Result<(), Error> {
    if object(value, at)?.values().any(Value::is_string) {
        let [lt, gt, gte, lte] = bounds(value, at, time)?;
        condition.datetime_range = Some(DatetimeRange { lt, gt, gte, lte });
    } else {
        let [lt, gt, gte, lte] = bounds(value, at, double)?;
        condition.range = Some(Range { lt, gt, gte, lte });
    }
    Ok(())
}

/// RFC 3339, or the beginning of it.
fn time(value: &Value, at: &str) -> Result<Timestamp, Error> {
    let text = text(value, at)?;
    text.parse().map_err(|_| wrong(at, format!("`{text}` is no time; 2024-01-31T12:00:00Z is")))
}

fn values_count(value: &Value, at: &str) -> Result<ValuesCount, Error> {
    let [lt, gt, gte, lte] = bounds(value, at, integer)?;
    Ok(ValuesCount { lt, gt, gte, lte })
}

fn boolean(value: &Value, at: &str) -> Result<bool, Error> {
    value.as_bool().ok_or_else(|| wrong(at, "true or false is expected"))
}

fn point(value: &Value, at: &str) -> Result<GeoPoint, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["lon", "lat"])?;
    let lon = double(need(fields, at, "lon")?, at)?;
    let lat = double(need(fields, at, "lat")?, at)?;
    Ok(GeoPoint { lon, lat })
}

#[allow(clippy::cast_possible_truncation, reason = "the wire has single precision")]
fn radius(value: &Value, at: &str) -> Result<GeoRadius, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["center", "radius"])?;
    let center = Some(point(need(fields, at, "center")?, at)?);
    Ok(GeoRadius { center, radius: double(need(fields, at, "radius")?, at)? as f32 })
}

fn bounding_box(value: &Value, at: &str) -> Result<GeoBoundingBox, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["top_left", "bottom_right"])?;
    let top_left = Some(point(need(fields, at, "top_left")?, at)?);
    let bottom_right = Some(point(need(fields, at, "bottom_right")?, at)?);
    Ok(GeoBoundingBox { top_left, bottom_right })
}

fn line(value: &Value, at: &str) -> Result<GeoLineString, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["points"])?;
    let points = need(fields, at, "points")?.as_array();
    let points = points.ok_or_else(|| wrong(at, "a list of points is expected"))?;
    Ok(GeoLineString { points: points.iter().map(|p| point(p, at)).collect::<Result<_, _>>()? })
}

fn polygon(value: &Value, at: &str) -> Result<GeoPolygon, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["exterior", "interiors"])?;
    let exterior = Some(line(need(fields, at, "exterior")?, at)?);
    let interiors = match fields.get("interiors") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(lines)) => {
            lines.iter().map(|value| line(value, at)).collect::<Result<_, _>>()?
        }
        Some(_) => return Err(wrong(at, "a list of lines is expected")),
    };
    Ok(GeoPolygon { exterior, interiors })
}
