//! What a read brings back and how it searches: payload and vector selectors, search parameters,
//! order, and the selector of the points a write is about.

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::start_from::Value as StartValue;
use qdrant_client::qdrant::{
    self as proto, with_payload_selector::SelectorOptions as PayloadOptions,
    with_vectors_selector::SelectorOptions as VectorOptions,
};
use qdrant_edge::external::ordered_float::OrderedFloat;
use qdrant_edge::{
    AcornSearchParams, Direction, IdfCorpusParams, IdfParams, IdfScope, JsonPath, OrderBy,
    PayloadSelector, QuantizationSearchParams, SearchParams, StartFrom, WithPayloadInterface,
    WithVector,
};

use super::filter::{datetime, filter, path};
use super::status::{Parsed, fit_opt, invalid, required, unknown_value};

/// Which payload fields come back. `None` leaves it to the operation's own default.
pub(super) fn with_payload(
    message: Option<proto::WithPayloadSelector>,
) -> Parsed<Option<WithPayloadInterface>> {
    let Some(message) = message else { return Ok(None) };
    Ok(Some(match required(message.selector_options, "with_payload")? {
        PayloadOptions::Enable(enable) => WithPayloadInterface::Bool(enable),
        PayloadOptions::Include(include) => {
            WithPayloadInterface::Selector(PayloadSelector::new_include(paths(&include.fields)?))
        }
        PayloadOptions::Exclude(exclude) => {
            WithPayloadInterface::Selector(PayloadSelector::new_exclude(paths(&exclude.fields)?))
        }
    }))
}

/// Paths into the payload.
pub(super) fn paths(texts: &[String]) -> Parsed<Vec<JsonPath>> {
    texts.iter().map(|text| path(text)).collect()
}

/// Which vectors come back. `None` leaves it to the operation's own default.
pub(super) fn with_vectors(
    message: Option<proto::WithVectorsSelector>,
) -> Parsed<Option<WithVector>> {
    let Some(message) = message else { return Ok(None) };
    Ok(Some(match required(message.selector_options, "with_vectors")? {
        VectorOptions::Enable(enable) => WithVector::Bool(enable),
        VectorOptions::Include(include) => WithVector::Selector(include.names),
    }))
}

/// How a search is done.
pub(super) fn search_params(message: Option<proto::SearchParams>) -> Parsed<Option<SearchParams>> {
    let Some(message) = message else { return Ok(None) };
    let proto::SearchParams { hnsw_ef, exact, quantization, indexed_only, acorn, idf } = message;
    Ok(Some(SearchParams {
        hnsw_ef: fit_opt(hnsw_ef, "hnsw_ef")?,
        exact: exact.unwrap_or_default(),
        quantization: quantization.as_ref().map(quantization_params),
        indexed_only: indexed_only.unwrap_or_default(),
        acorn: acorn.as_ref().map(acorn_params),
        idf: idf.map(idf_params).transpose()?,
    }))
}

fn quantization_params(message: &proto::QuantizationSearchParams) -> QuantizationSearchParams {
    let &proto::QuantizationSearchParams { ignore, rescore, oversampling } = message;
    QuantizationSearchParams { ignore: ignore.unwrap_or_default(), rescore, oversampling }
}

fn acorn_params(message: &proto::AcornSearchParams) -> AcornSearchParams {
    let &proto::AcornSearchParams { enable, max_selectivity } = message;
    AcornSearchParams {
        enable: enable.unwrap_or_default(),
        max_selectivity: max_selectivity.map(OrderedFloat),
    }
}

fn idf_params(message: proto::IdfParams) -> Parsed<IdfParams> {
    Ok(match message.corpus {
        Some(corpus) => IdfParams::Corpus(IdfCorpusParams { corpus: filter(corpus)? }),
        None => IdfParams::Scope(IdfScope::Global),
    })
}

/// An order over a payload field.
pub(super) fn order_by(message: proto::OrderBy) -> Parsed<OrderBy> {
    let proto::OrderBy { key, direction, start_from } = message;
    let direction = match direction {
        None => None,
        Some(number) => Some(match proto::Direction::try_from(number) {
            Ok(proto::Direction::Asc) => Direction::Asc,
            Ok(proto::Direction::Desc) => Direction::Desc,
            Err(_) => return Err(unknown_value("order_by.direction", number)),
        }),
    };
    Ok(OrderBy { key: path(&key)?, direction, start_from: start_from.map(start).transpose()? })
}

fn start(message: proto::StartFrom) -> Parsed<StartFrom> {
    Ok(match required(message.value, "order_by.start_from")? {
        StartValue::Float(number) => StartFrom::Float(number),
        StartValue::Integer(number) => StartFrom::Integer(number),
        StartValue::Timestamp(timestamp) => StartFrom::Datetime(datetime(timestamp)?),
        StartValue::Datetime(text) => StartFrom::Datetime(
            text.parse().map_err(|error| invalid("order_by.start_from", error))?,
        ),
    })
}

/// The content of a points selector, which every operation that takes one must have.
pub(super) fn selected(message: Option<proto::PointsSelector>) -> Parsed<PointsSelectorOneOf> {
    required(message.and_then(|selector| selector.points_selector_one_of), "points selector")
}
