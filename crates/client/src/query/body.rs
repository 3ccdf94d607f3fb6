//! Query bodies of Qdrant's REST API, put into the words of its gRPC API.
//!
//! A key that is not known is an error: one that is passed over would find something else.

use qdrant_client::qdrant::with_payload_selector::SelectorOptions;
use qdrant_client::qdrant::{
    ContextInput, ContextInputPair, DenseVector, Direction, DiscoverInput, Document, Fusion,
    LookupLocation, Mmr, MultiDenseVector, NearestInputWithMmr, OrderBy, PayloadExcludeSelector,
    PayloadIncludeSelector, PrefetchQuery, QuantizationSearchParams, Query, QueryPoints,
    RecommendInput, RecommendStrategy, Rrf, Sample, SearchParams, SparseVector, VectorInput,
    VectorsSelector, WithPayloadSelector, WithVectorsSelector, query, vector_input,
    with_vectors_selector,
};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::filter::{self, double, integer, need, object, only, point_id, text, wrong};

type Fields = Map<String, Value>;

/// Reads a query. `at` names it in errors.
pub(super) fn read(body: &Value, at: &str, collection: &str) -> Result<QueryPoints, Error> {
    let fields = object(body, at)?;
    let known = [
        "query",
        "prefetch",
        "using",
        "filter",
        "params",
        "score_threshold",
        "limit",
        "offset",
        "with_payload",
        "with_vector",
        "lookup_from",
    ];
    only(fields, at, &known)?;
    Ok(QueryPoints {
        collection_name: collection.to_owned(),
        prefetch: prefetches(fields, at)?,
        query: get(fields, at, "query", self::query)?,
        using: get(fields, at, "using", text)?,
        filter: get(fields, at, "filter", |value, _| filter::from_json(value))?,
        params: get(fields, at, "params", params)?,
        score_threshold: get(fields, at, "score_threshold", float)?,
        limit: get(fields, at, "limit", integer)?,
        offset: get(fields, at, "offset", integer)?,
        with_payload: Some(match fields.get("with_payload") {
            None | Some(Value::Null) => payload(SelectorOptions::Enable(true)),
            Some(value) => with_payload(value, &format!("{at}.with_payload"))?,
        }),
        with_vectors: get(fields, at, "with_vector", with_vectors)?,
        lookup_from: get(fields, at, "lookup_from", lookup)?,
        ..QueryPoints::default()
    })
}

/// The value of a key, read, unless it is missing or null.
fn get<T>(
    fields: &Fields,
    at: &str,
    key: &str,
    read: impl Fn(&Value, &str) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => read(value, &format!("{at}.{key}")).map(Some),
    }
}

fn each<T>(
    value: &Value,
    at: &str,
    read: impl Fn(&Value, &str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().map(|(n, item)| read(item, &format!("{at}[{n}]"))).collect()
        }
        one => Ok(vec![read(one, at)?]),
    }
}

fn prefetches(fields: &Fields, at: &str) -> Result<Vec<PrefetchQuery>, Error> {
    let found = get(fields, at, "prefetch", |value, at| each(value, at, prefetch))?;
    Ok(found.unwrap_or_default())
}

fn prefetch(value: &Value, at: &str) -> Result<PrefetchQuery, Error> {
    let fields = object(value, at)?;
    let known = [
        "query",
        "prefetch",
        "using",
        "filter",
        "params",
        "score_threshold",
        "limit",
        "lookup_from",
    ];
    only(fields, at, &known)?;
    Ok(PrefetchQuery {
        prefetch: prefetches(fields, at)?,
        query: get(fields, at, "query", self::query)?,
        using: get(fields, at, "using", text)?,
        filter: get(fields, at, "filter", |value, _| filter::from_json(value))?,
        params: get(fields, at, "params", params)?,
        score_threshold: get(fields, at, "score_threshold", float)?,
        limit: get(fields, at, "limit", integer)?,
        lookup_from: get(fields, at, "lookup_from", lookup)?,
    })
}

/// What is looked for. A bare vector or id means what is nearest to it.
fn query(value: &Value, at: &str) -> Result<Query, Error> {
    let variant = match value {
        Value::Object(fields) => variant(fields, value, at)?,
        _ => query::Variant::Nearest(input(value, at)?),
    };
    Ok(Query { variant: Some(variant) })
}

fn variant(fields: &Fields, value: &Value, at: &str) -> Result<query::Variant, Error> {
    let Some(kind) =
        ["nearest", "recommend", "discover", "context", "order_by", "fusion", "rrf", "sample"]
            .into_iter()
            .find(|kind| fields.contains_key(*kind))
    else {
        for kind in ["formula", "relevance_feedback"] {
            if fields.contains_key(kind) {
                return Err(wrong(
                    at,
                    format!(
                        "`{kind}` cannot be sent from here yet; use Qdrant's own client for it"
                    ),
                ));
            }
        }
        return Ok(query::Variant::Nearest(input(value, at)?));
    };
    only(
        fields,
        at,
        if kind == "nearest" { &["nearest", "mmr"] } else { std::slice::from_ref(&kind) },
    )?;
    let (inner, at_inner) = (need(fields, at, kind)?, format!("{at}.{kind}"));
    let at = at_inner.as_str();
    Ok(match kind {
        "nearest" => {
            let nearest = input(inner, at)?;
            match fields.get("mmr") {
                None | Some(Value::Null) => query::Variant::Nearest(nearest),
                Some(value) => query::Variant::NearestWithMmr(NearestInputWithMmr {
                    nearest: Some(nearest),
                    mmr: Some(mmr(value, at)?),
                }),
            }
        }
        "recommend" => query::Variant::Recommend(recommend(inner, at)?),
        "discover" => query::Variant::Discover(discover(inner, at)?),
        "context" => query::Variant::Context(ContextInput { pairs: each(inner, at, pair)? }),
        "order_by" => query::Variant::OrderBy(order_by(inner, at)?),
        "fusion" => query::Variant::Fusion(
            one_of(inner, at, &[("rrf", Fusion::Rrf), ("dbsf", Fusion::Dbsf)])?.into(),
        ),
        "rrf" => query::Variant::Rrf(rrf(inner, at)?),
        _ => query::Variant::Sample(one_of(inner, at, &[("random", Sample::Random)])?.into()),
    })
}

/// A vector, the id of a point that has one, or text that the node makes one of.
fn input(value: &Value, at: &str) -> Result<VectorInput, Error> {
    use vector_input::Variant;
    let variant = match value {
        Value::Number(_) | Value::String(_) => Variant::Id(point_id(value, at)?),
        Value::Array(items) if items.first().is_some_and(Value::is_array) => {
            let vectors = each(value, at, |row, at| Ok(DenseVector { data: numbers(row, at)? }))?;
            Variant::MultiDense(MultiDenseVector { vectors })
        }
        Value::Array(_) => Variant::Dense(DenseVector { data: numbers(value, at)? }),
        Value::Object(fields) if fields.contains_key("indices") => {
            only(fields, at, &["indices", "values"])?;
            let indices = each(need(fields, at, "indices")?, at, small)?;
            Variant::Sparse(SparseVector {
                values: numbers(need(fields, at, "values")?, at)?,
                indices,
            })
        }
        Value::Object(fields) if fields.contains_key("text") => {
            only(fields, at, &["text", "model"])?;
            Variant::Document(Document {
                text: text(need(fields, at, "text")?, at)?,
                model: text(need(fields, at, "model")?, at)?,
                ..Document::default()
            })
        }
        Value::Null | Value::Bool(_) | Value::Object(_) => {
            return Err(wrong(at, "a vector, an id, or {text, model} is expected"));
        }
    };
    Ok(VectorInput { variant: Some(variant) })
}

fn numbers(value: &Value, at: &str) -> Result<Vec<f32>, Error> {
    let items = value.as_array().ok_or_else(|| wrong(at, "a list of numbers is expected"))?;
    let found: Option<Vec<f32>> = items.iter().map(narrow).collect();
    found.ok_or_else(|| wrong(at, "a list of numbers is expected, each finite"))
}

fn narrow(value: &Value) -> Option<f32> {
    #[expect(clippy::cast_possible_truncation, reason = "vectors are of single precision")]
    let number = value.as_f64()? as f32;
    number.is_finite().then_some(number)
}

fn float(value: &Value, at: &str) -> Result<f32, Error> {
    narrow(value).ok_or_else(|| wrong(at, "a number is expected"))
}

fn small(value: &Value, at: &str) -> Result<u32, Error> {
    u32::try_from(integer(value, at)?).map_err(|_| wrong(at, "a number of 32 bits is expected"))
}

fn flag(value: &Value, at: &str) -> Result<bool, Error> {
    value.as_bool().ok_or_else(|| wrong(at, "true or false is expected"))
}

fn one_of<T: Copy>(value: &Value, at: &str, known: &[(&str, T)]) -> Result<T, Error> {
    let given = text(value, at)?;
    let found = known.iter().find(|(name, _)| *name == given).map(|(_, meaning)| *meaning);
    found.ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        wrong(at, format!("`{given}` is none of {}", names.join(", ")))
    })
}

fn mmr(value: &Value, at: &str) -> Result<Mmr, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["diversity", "candidates_limit"])?;
    Ok(Mmr {
        diversity: get(fields, at, "diversity", float)?,
        candidates_limit: get(fields, at, "candidates_limit", small)?,
    })
}

fn recommend(value: &Value, at: &str) -> Result<RecommendInput, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["positive", "negative", "strategy"])?;
    let inputs = |key| get(fields, at, key, each_input).map(Option::unwrap_or_default);
    let strategies = [
        ("average_vector", RecommendStrategy::AverageVector),
        ("best_score", RecommendStrategy::BestScore),
        ("sum_scores", RecommendStrategy::SumScores),
    ];
    let strategy = get(fields, at, "strategy", |value, at| one_of(value, at, &strategies))?;
    Ok(RecommendInput {
        positive: inputs("positive")?,
        negative: inputs("negative")?,
        strategy: strategy.map(Into::into),
    })
}

fn each_input(value: &Value, at: &str) -> Result<Vec<VectorInput>, Error> {
    let items = value.as_array().ok_or_else(|| wrong(at, "a list is expected"))?;
    items.iter().enumerate().map(|(n, item)| input(item, &format!("{at}[{n}]"))).collect()
}

fn discover(value: &Value, at: &str) -> Result<DiscoverInput, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["target", "context"])?;
    let pairs = get(fields, at, "context", |value, at| each(value, at, pair))?;
    Ok(DiscoverInput {
        target: Some(input(need(fields, at, "target")?, &format!("{at}.target"))?),
        context: Some(ContextInput { pairs: pairs.unwrap_or_default() }),
    })
}

fn pair(value: &Value, at: &str) -> Result<ContextInputPair, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["positive", "negative"])?;
    let one = |key| Ok::<_, Error>(Some(input(need(fields, at, key)?, &format!("{at}.{key}"))?));
    Ok(ContextInputPair { positive: one("positive")?, negative: one("negative")? })
}

fn order_by(value: &Value, at: &str) -> Result<OrderBy, Error> {
    if let Value::String(key) = value {
        return Ok(OrderBy { key: key.clone(), ..OrderBy::default() });
    }
    let fields = object(value, at)?;
    only(fields, at, &["key", "direction"])?;
    let directions = [("asc", Direction::Asc), ("desc", Direction::Desc)];
    let direction = get(fields, at, "direction", |value, at| one_of(value, at, &directions))?;
    Ok(OrderBy {
        key: text(need(fields, at, "key")?, at)?,
        direction: direction.map(Into::into),
        start_from: None,
    })
}

fn rrf(value: &Value, at: &str) -> Result<Rrf, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["k", "weights"])?;
    Ok(Rrf {
        k: get(fields, at, "k", small)?,
        weights: get(fields, at, "weights", numbers)?.unwrap_or_default(),
    })
}

fn params(value: &Value, at: &str) -> Result<SearchParams, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["hnsw_ef", "exact", "indexed_only", "quantization"])?;
    Ok(SearchParams {
        hnsw_ef: get(fields, at, "hnsw_ef", integer)?,
        exact: get(fields, at, "exact", flag)?,
        indexed_only: get(fields, at, "indexed_only", flag)?,
        quantization: get(fields, at, "quantization", quantization)?,
        ..SearchParams::default()
    })
}

fn quantization(value: &Value, at: &str) -> Result<QuantizationSearchParams, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["ignore", "rescore", "oversampling"])?;
    Ok(QuantizationSearchParams {
        ignore: get(fields, at, "ignore", flag)?,
        rescore: get(fields, at, "rescore", flag)?,
        oversampling: get(fields, at, "oversampling", double)?,
    })
}

fn lookup(value: &Value, at: &str) -> Result<LookupLocation, Error> {
    let fields = object(value, at)?;
    only(fields, at, &["collection", "vector"])?;
    Ok(LookupLocation {
        collection_name: text(need(fields, at, "collection")?, at)?,
        vector_name: get(fields, at, "vector", text)?,
        shard_key_selector: None,
    })
}

pub(super) fn payload(selector: SelectorOptions) -> WithPayloadSelector {
    WithPayloadSelector { selector_options: Some(selector) }
}

fn with_payload(value: &Value, at: &str) -> Result<WithPayloadSelector, Error> {
    let names = |value: &Value, at: &str| each(value, at, text);
    Ok(payload(match value {
        Value::Bool(enable) => SelectorOptions::Enable(*enable),
        Value::Array(_) => {
            SelectorOptions::Include(PayloadIncludeSelector { fields: names(value, at)? })
        }
        _ => {
            let fields = object(value, at)?;
            only(fields, at, &["include", "exclude"])?;
            match (fields.get("include"), fields.get("exclude")) {
                (Some(include), None) => {
                    SelectorOptions::Include(PayloadIncludeSelector { fields: names(include, at)? })
                }
                (None, Some(exclude)) => {
                    SelectorOptions::Exclude(PayloadExcludeSelector { fields: names(exclude, at)? })
                }
                _ => return Err(wrong(at, "either `include` or `exclude` is expected")),
            }
        }
    }))
}

fn with_vectors(value: &Value, at: &str) -> Result<WithVectorsSelector, Error> {
    use with_vectors_selector::SelectorOptions;
    let selector = match value {
        Value::Bool(enable) => SelectorOptions::Enable(*enable),
        _ => SelectorOptions::Include(VectorsSelector { names: each(value, at, text)? }),
    };
    Ok(WithVectorsSelector { selector_options: Some(selector) })
}
