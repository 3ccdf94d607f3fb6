//! What a filter and the parameters of a search must satisfy beyond their form. The storage engine
//! does not check it, and would answer something.

use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    AcornSearchParams, Condition, Filter, IdfParams, QuantizationSearchParams, SearchParams,
};

use crate::error::ApiError;

/// Refuses conditions that say nothing.
///
/// # Errors
/// [`ApiError::Validation`], in upstream's words.
pub(super) fn check_filter(filter: Option<&Filter>) -> Result<(), ApiError> {
    let Some(Filter { should, min_should, must, must_not }) = filter else { return Ok(()) };
    for (list, name) in [(should, "should"), (must, "must"), (must_not, "must_not")] {
        check_conditions(list.as_deref().unwrap_or_default(), name)?;
    }
    let Some(min_should) = min_should else { return Ok(()) };
    if min_should.min_count == 0 {
        return Err(invalid("filter.min_should", "min_count must be greater than 0"));
    }
    check_conditions(&min_should.conditions, "min_should.conditions")
}

fn check_conditions(conditions: &[Condition], list: &str) -> Result<(), ApiError> {
    for (at, condition) in conditions.iter().enumerate() {
        let refuse = |why: &str| Err(invalid(&format!("filter.{list}[{at}]"), why));
        match condition {
            Condition::Field(field) if field.all_fields_none() => {
                return refuse("At least one field condition must be specified");
            }
            Condition::Slice(condition) if condition.slice.index >= condition.slice.total.get() => {
                return refuse("Slice index must be less than the total number of slices");
            }
            Condition::Nested(nested) => check_filter(Some(nested.filter()))?,
            Condition::Filter(filter) => check_filter(Some(filter))?,
            Condition::Field(_)
            | Condition::Slice(_)
            | Condition::IsEmpty(_)
            | Condition::IsNull(_)
            | Condition::HasId(_)
            | Condition::HasVector(_)
            | Condition::CustomIdChecker(_) => {}
        }
    }
    Ok(())
}

/// Refuses parameters out of their range.
///
/// # Errors
/// [`ApiError::Validation`], in upstream's words.
pub(super) fn check_params(params: Option<&SearchParams>) -> Result<(), ApiError> {
    let Some(params) = params else { return Ok(()) };
    let SearchParams { hnsw_ef, exact: _, quantization, indexed_only: _, acorn, idf } = params;
    if *hnsw_ef == Some(0) {
        return Err(invalid("params.hnsw_ef", "value 0 invalid, must be 1 or larger"));
    }
    if let Some(QuantizationSearchParams { oversampling: Some(oversampling), .. }) = quantization
        && (oversampling.is_nan() || *oversampling < 1.0)
    {
        let why = format!("value {oversampling} invalid, must be 1.0 or larger");
        return Err(invalid("params.quantization.oversampling", &why));
    }
    if let Some(AcornSearchParams { max_selectivity: Some(selectivity), .. }) = acorn
        && !(OrderedFloat(0.0)..=OrderedFloat(1.0)).contains(selectivity)
    {
        let why = format!("value {selectivity} invalid, must be from 0.0 to 1.0");
        return Err(invalid("params.acorn.max_selectivity", &why));
    }
    check_filter(idf.as_ref().and_then(IdfParams::corpus))
}

fn invalid(field: &str, why: &str) -> ApiError {
    ApiError::Validation(format!("Validation error in JSON body: [{field}: {why}]"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use serde_json::{Value, json};

    use super::*;

    fn filter(value: Value) -> Result<(), ApiError> {
        check_filter(Some(&serde_json::from_value(value).unwrap()))
    }

    fn params(value: Value) -> Result<(), ApiError> {
        check_params(Some(&serde_json::from_value(value).unwrap()))
    }

    #[test]
    fn a_condition_that_says_nothing_is_found_wherever_it_is() {
        let nothing = json!({"key": "n"});
        for bad in [
            json!({"must": [nothing]}),
            json!({"should": nothing}),
            json!({"must_not": [{"must": [nothing]}]}),
            json!({"must": [{"nested": {"key": "a", "filter": {"must": [nothing]}}}]}),
            json!({"min_should": {"conditions": [nothing], "min_count": 1}}),
            json!({"min_should": {"conditions": [], "min_count": 0}}),
            json!({"must": [{"slice": {"total": 2, "index": 2}}]}),
        ] {
            assert_eq!(filter(bad.clone()).unwrap_err().status(), 422, "{bad}");
        }
    }

    #[test]
    fn sound_filters_and_params_pass() {
        filter(json!({})).unwrap();
        filter(json!({"must": [
            {"key": "n", "match": {"value": 1}}, {"has_id": []}, {"is_null": {"key": "n"}},
            {"slice": {"total": 2, "index": 1}},
        ]}))
        .unwrap();
        params(json!({"hnsw_ef": 1, "quantization": {"oversampling": 1.0}})).unwrap();
        params(json!({"acorn": {"enable": true, "max_selectivity": 1.0}, "idf": "global"}))
            .unwrap();
    }

    #[test]
    fn params_out_of_range_are_named() {
        for (bad, name) in [
            (json!({"hnsw_ef": 0}), "hnsw_ef"),
            (json!({"quantization": {"oversampling": 0.5}}), "oversampling"),
            (json!({"acorn": {"max_selectivity": 1.5}}), "max_selectivity"),
            (json!({"idf": {"corpus": {"must": [{"key": "n"}]}}}), "filter.must[0]"),
        ] {
            let error = params(bad).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
