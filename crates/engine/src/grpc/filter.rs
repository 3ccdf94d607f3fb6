//! Filters and their conditions, from messages to the engine's own types.

use std::num::NonZeroU32;

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue as MatchKind;
use qdrant_client::qdrant::{self as proto, RepeatedIntegers, RepeatedStrings};
use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    AnyVariants, Condition, DateTimeWrapper, FieldCondition, Filter, GeoBoundingBox, GeoLineString,
    GeoPoint, GeoPolygon, GeoRadius, HasVectorCondition, IsEmptyCondition, IsNullCondition,
    JsonPath, Match, MatchAny, MatchExcept, MatchPhrase, MatchPrefix, MatchSubstring, MatchText,
    MatchTextAny, MinShould, Range, RangeInterface, Slice, SliceCondition, ValueVariants,
    ValuesCount,
};

use super::ids;
use super::status::{Parsed, fit, fit_opt, invalid, missing, required};

/// A message's filter. One without any condition matches every point.
pub(super) fn filter(message: proto::Filter) -> Parsed<Filter> {
    let proto::Filter { should, must, must_not, min_should } = message;
    Ok(Filter {
        should: conditions(should)?,
        min_should: min_should.map(min_should_from).transpose()?,
        must: conditions(must)?,
        must_not: conditions(must_not)?,
    })
}

/// [`filter`] for an optional field.
pub(super) fn filter_opt(message: Option<proto::Filter>) -> Parsed<Option<Filter>> {
    message.map(filter).transpose()
}

/// A path into the payload, such as `meta.tags[].name`.
pub(super) fn path(text: &str) -> Parsed<JsonPath> {
    text.parse().map_err(|()| invalid("payload key", format_args!("`{text}` is not a JSON path")))
}

fn conditions(messages: Vec<proto::Condition>) -> Parsed<Option<Vec<Condition>>> {
    if messages.is_empty() {
        return Ok(None);
    }
    messages.into_iter().map(condition).collect::<Parsed<_>>().map(Some)
}

fn min_should_from(message: proto::MinShould) -> Parsed<MinShould> {
    let proto::MinShould { conditions, min_count } = message;
    if min_count == 0 {
        return Err(invalid("min_should", "min_count must be greater than 0"));
    }
    Ok(MinShould {
        conditions: conditions.into_iter().map(condition).collect::<Parsed<_>>()?,
        min_count: fit(min_count, "min_count")?,
    })
}

fn condition(message: proto::Condition) -> Parsed<Condition> {
    Ok(match required(message.condition_one_of, "condition")? {
        ConditionOneOf::Field(field) => Condition::Field(field_condition(field)?),
        ConditionOneOf::IsEmpty(empty) => {
            Condition::IsEmpty(IsEmptyCondition::from(path(&empty.key)?))
        }
        ConditionOneOf::IsNull(null) => Condition::IsNull(IsNullCondition::from(path(&null.key)?)),
        ConditionOneOf::HasId(has_id) => {
            Condition::HasId(ids::ids(has_id.has_id)?.into_iter().collect())
        }
        ConditionOneOf::Filter(nested) => Condition::Filter(filter(nested)?),
        ConditionOneOf::Nested(nested) => {
            let inside = filter(required(nested.filter, "nested.filter")?)?;
            Condition::new_nested(path(&nested.key)?, inside)
        }
        ConditionOneOf::HasVector(has) => {
            Condition::HasVector(HasVectorCondition { has_vector: has.has_vector })
        }
        ConditionOneOf::Slice(slice) => Condition::Slice(slice_condition(&slice)?),
    })
}

fn slice_condition(message: &proto::SliceCondition) -> Parsed<SliceCondition> {
    let &proto::SliceCondition { total, index } = message;
    let total = NonZeroU32::new(total).ok_or_else(|| invalid("slice", "total must not be 0"))?;
    if index >= total.get() {
        return Err(invalid("slice", "index must be less than the total number of slices"));
    }
    Ok(SliceCondition { slice: Slice { total, index } })
}

fn field_condition(message: proto::FieldCondition) -> Parsed<FieldCondition> {
    let proto::FieldCondition {
        key,
        r#match,
        range,
        geo_bounding_box,
        geo_radius,
        values_count,
        geo_polygon,
        datetime_range,
        is_empty,
        is_null,
    } = message;
    let range = match (range, datetime_range) {
        (Some(_), Some(_)) => {
            return Err(invalid("condition", "both `range` and `datetime_range` are set"));
        }
        (Some(range), None) => Some(RangeInterface::Float(number_range(&range))),
        (None, Some(range)) => Some(RangeInterface::DateTime(datetime_range_from(range)?)),
        (None, None) => None,
    };
    let condition = FieldCondition {
        key: path(&key)?,
        r#match: r#match.map(match_from).transpose()?,
        range,
        geo_bounding_box: geo_bounding_box.map(bounding_box).transpose()?,
        geo_radius: geo_radius.map(radius).transpose()?,
        geo_polygon: geo_polygon.map(polygon).transpose()?,
        values_count: values_count.map(|count| values_count_from(&count)).transpose()?,
        is_empty,
        is_null,
    };
    if condition.all_fields_none() {
        return Err(invalid("condition", "At least one field condition must be specified"));
    }
    Ok(condition)
}

fn match_from(message: proto::Match) -> Parsed<Match> {
    Ok(match required(message.match_value, "match")? {
        MatchKind::Keyword(keyword) => Match::from(ValueVariants::String(keyword)),
        MatchKind::Integer(integer) => Match::from(ValueVariants::Integer(integer)),
        MatchKind::Boolean(flag) => Match::from(ValueVariants::Bool(flag)),
        MatchKind::Text(text) => Match::Text(MatchText { text }),
        MatchKind::TextAny(text_any) => Match::TextAny(MatchTextAny { text_any }),
        MatchKind::Phrase(phrase) => Match::Phrase(MatchPhrase { phrase }),
        MatchKind::Prefix(prefix) => Match::Prefix(MatchPrefix { prefix }),
        MatchKind::Substring(substring) => Match::Substring(MatchSubstring { substring }),
        MatchKind::Keywords(RepeatedStrings { strings }) => {
            Match::Any(MatchAny { any: AnyVariants::Strings(strings.into_iter().collect()) })
        }
        MatchKind::Integers(RepeatedIntegers { integers }) => {
            Match::Any(MatchAny { any: AnyVariants::Integers(integers.into_iter().collect()) })
        }
        MatchKind::ExceptKeywords(RepeatedStrings { strings }) => Match::Except(MatchExcept {
            except: AnyVariants::Strings(strings.into_iter().collect()),
        }),
        MatchKind::ExceptIntegers(RepeatedIntegers { integers }) => Match::Except(MatchExcept {
            except: AnyVariants::Integers(integers.into_iter().collect()),
        }),
    })
}

fn number_range(message: &proto::Range) -> Range<OrderedFloat<f64>> {
    let &proto::Range { lt, gt, gte, lte } = message;
    Range {
        lt: lt.map(OrderedFloat),
        gt: gt.map(OrderedFloat),
        gte: gte.map(OrderedFloat),
        lte: lte.map(OrderedFloat),
    }
}

fn datetime_range_from(message: proto::DatetimeRange) -> Parsed<Range<DateTimeWrapper>> {
    let proto::DatetimeRange { lt, gt, gte, lte } = message;
    let bound = |bound: Option<prost_types::Timestamp>| bound.map(datetime).transpose();
    Ok(Range { lt: bound(lt)?, gt: bound(gt)?, gte: bound(gte)?, lte: bound(lte)? })
}

/// A timestamp message, cut to the microseconds the engine keeps.
pub(super) fn datetime(message: prost_types::Timestamp) -> Parsed<DateTimeWrapper> {
    let prost_types::Timestamp { seconds, nanos } = message;
    seconds
        .checked_mul(1_000_000)
        .and_then(|micros| micros.checked_add(i64::from(nanos).div_euclid(1_000)))
        .and_then(DateTimeWrapper::from_timestamp)
        .ok_or_else(|| invalid("timestamp", format_args!("{seconds} seconds is out of range")))
}

fn values_count_from(message: &proto::ValuesCount) -> Parsed<ValuesCount> {
    let &proto::ValuesCount { lt, gt, gte, lte } = message;
    Ok(ValuesCount {
        lt: fit_opt(lt, "values_count.lt")?,
        gt: fit_opt(gt, "values_count.gt")?,
        gte: fit_opt(gte, "values_count.gte")?,
        lte: fit_opt(lte, "values_count.lte")?,
    })
}

/// A point on the globe, within its bounds.
pub(super) fn geo_point(message: Option<proto::GeoPoint>) -> Parsed<GeoPoint> {
    let proto::GeoPoint { lon, lat } = message.ok_or_else(|| missing("geo point"))?;
    GeoPoint::new(lon, lat).map_err(|error| invalid("geo point", error))
}

fn bounding_box(message: proto::GeoBoundingBox) -> Parsed<GeoBoundingBox> {
    Ok(GeoBoundingBox {
        top_left: geo_point(message.top_left)?,
        bottom_right: geo_point(message.bottom_right)?,
    })
}

fn radius(message: proto::GeoRadius) -> Parsed<GeoRadius> {
    Ok(GeoRadius {
        center: geo_point(message.center)?,
        radius: OrderedFloat(f64::from(message.radius)),
    })
}

fn polygon(message: proto::GeoPolygon) -> Parsed<GeoPolygon> {
    let exterior = line(required(message.exterior, "geo_polygon.exterior")?)?;
    let interiors = message.interiors.into_iter().map(line).collect::<Parsed<Vec<_>>>()?;
    Ok(GeoPolygon { exterior, interiors: (!interiors.is_empty()).then_some(interiors) })
}

/// A closed line of at least four points, as the engine wants it.
fn line(message: proto::GeoLineString) -> Parsed<GeoLineString> {
    let points = message.points.into_iter().map(|point| geo_point(Some(point)));
    let line = GeoLineString { points: points.collect::<Parsed<_>>()? };
    GeoPolygon::validate_line_string(&line).map_err(|error| invalid("geo_polygon", error))?;
    Ok(line)
}
