//! Payload indexes to be made: their type and parameters.
#![expect(deprecated, reason = "`on_disk` is deprecated upstream, and still sent by its clients")]

use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::stemming_algorithm::StemmingParams;
use qdrant_client::qdrant::{self as proto, FieldType};
use qdrant_edge::{
    BoolIndexParams, DatetimeIndexParams, DisabledStemmerParams, FloatIndexParams, GeoIndexParams,
    IntegerIndexParams, JsonPath, KeywordIndexParams, Memory, NoStemmer, PayloadFieldSchema,
    PayloadSchemaParams, PayloadSchemaType, Snowball, SnowballParams, StemmingAlgorithm,
    StopwordsInterface, StopwordsSet, TextIndexParams, TextScoringParams, TextScoringType,
    TokenizerType, UuidIndexParams,
};
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::filter::path;
use super::status::{Parsed, fit_opt, invalid, missing, required, unknown_value};

/// The schema of an index to be made. Parameters must be of the type that is named.
pub(super) fn schema(
    field_type: Option<i32>,
    params: Option<proto::PayloadIndexParams>,
) -> Parsed<PayloadFieldSchema> {
    let number = field_type.ok_or_else(|| missing("field_type"))?;
    let field_type =
        FieldType::try_from(number).map_err(|_| unknown_value("field_type", number))?;
    let kind = match field_type {
        FieldType::Keyword => PayloadSchemaType::Keyword,
        FieldType::Integer => PayloadSchemaType::Integer,
        FieldType::Float => PayloadSchemaType::Float,
        FieldType::Geo => PayloadSchemaType::Geo,
        FieldType::Text => PayloadSchemaType::Text,
        FieldType::Bool => PayloadSchemaType::Bool,
        FieldType::Datetime => PayloadSchemaType::Datetime,
        FieldType::Uuid => PayloadSchemaType::Uuid,
    };
    let Some(params) = params.and_then(|params| params.index_params) else {
        return Ok(PayloadFieldSchema::FieldType(kind));
    };
    let params = schema_params(params)?;
    if params.kind() != kind {
        return Err(invalid("field_index_params", "they are not of the field's type"));
    }
    Ok(PayloadFieldSchema::FieldParams(params))
}

fn schema_params(message: IndexParams) -> Parsed<PayloadSchemaParams> {
    Ok(match message {
        IndexParams::KeywordIndexParams(params) => PayloadSchemaParams::Keyword(keyword(params)?),
        IndexParams::IntegerIndexParams(params) => PayloadSchemaParams::Integer(integer(params)?),
        IndexParams::FloatIndexParams(params) => PayloadSchemaParams::Float(float(params)?),
        IndexParams::GeoIndexParams(params) => PayloadSchemaParams::Geo(geo(params)?),
        IndexParams::TextIndexParams(params) => PayloadSchemaParams::Text(text(params)?),
        IndexParams::BoolIndexParams(params) => PayloadSchemaParams::Bool(boolean(params)?),
        IndexParams::DatetimeIndexParams(params) => {
            PayloadSchemaParams::Datetime(datetime(params)?)
        }
        IndexParams::UuidIndexParams(params) => PayloadSchemaParams::Uuid(uuid(params)?),
    })
}

fn nested_path(text: Option<String>) -> Parsed<Option<JsonPath>> {
    text.map(|text| path(&text)).transpose()
}

fn keyword(message: proto::KeywordIndexParams) -> Parsed<KeywordIndexParams> {
    let proto::KeywordIndexParams { is_tenant, on_disk, enable_hnsw, prefix, memory, nested } =
        message;
    Ok(KeywordIndexParams {
        r#type: Default::default(),
        is_tenant,
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        prefix: prefix.map(|proto::KeywordPrefixParams {}| true),
        nested: nested_path(nested)?,
    })
}

fn integer(message: proto::IntegerIndexParams) -> Parsed<IntegerIndexParams> {
    let proto::IntegerIndexParams {
        lookup,
        range,
        is_principal,
        on_disk,
        enable_hnsw,
        memory,
        nested,
    } = message;
    Ok(IntegerIndexParams {
        r#type: Default::default(),
        lookup,
        range,
        is_principal,
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn float(message: proto::FloatIndexParams) -> Parsed<FloatIndexParams> {
    let proto::FloatIndexParams { on_disk, is_principal, enable_hnsw, memory, nested } = message;
    Ok(FloatIndexParams {
        r#type: Default::default(),
        is_principal,
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn geo(message: proto::GeoIndexParams) -> Parsed<GeoIndexParams> {
    let proto::GeoIndexParams { on_disk, enable_hnsw, memory, nested } = message;
    Ok(GeoIndexParams {
        r#type: Default::default(),
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn boolean(message: proto::BoolIndexParams) -> Parsed<BoolIndexParams> {
    let proto::BoolIndexParams { on_disk, enable_hnsw, memory, nested } = message;
    Ok(BoolIndexParams {
        r#type: Default::default(),
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn datetime(message: proto::DatetimeIndexParams) -> Parsed<DatetimeIndexParams> {
    let proto::DatetimeIndexParams { on_disk, is_principal, enable_hnsw, memory, nested } = message;
    Ok(DatetimeIndexParams {
        r#type: Default::default(),
        is_principal,
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn uuid(message: proto::UuidIndexParams) -> Parsed<UuidIndexParams> {
    let proto::UuidIndexParams { is_tenant, on_disk, enable_hnsw, memory, nested } = message;
    Ok(UuidIndexParams {
        r#type: Default::default(),
        is_tenant,
        on_disk,
        memory: memory_from(memory)?,
        enable_hnsw,
        nested: nested_path(nested)?,
    })
}

fn text(message: proto::TextIndexParams) -> Parsed<TextIndexParams> {
    let proto::TextIndexParams {
        tokenizer,
        lowercase,
        min_token_len,
        max_token_len,
        on_disk,
        stopwords,
        phrase_matching,
        stemmer,
        ascii_folding,
        enable_hnsw,
        memory,
        scoring,
        nested,
    } = message;
    Ok(TextIndexParams {
        r#type: Default::default(),
        tokenizer: tokenizer_from(tokenizer)?,
        min_token_len: fit_opt(min_token_len, "min_token_len")?,
        max_token_len: fit_opt(max_token_len, "max_token_len")?,
        lowercase,
        ascii_folding,
        phrase_matching,
        stopwords: stopwords.map(stopwords_from).transpose()?,
        on_disk,
        memory: memory_from(memory)?,
        stemmer: stemmer.map(stemmer_from).transpose()?,
        enable_hnsw,
        scoring: scoring.map(|scoring| scoring_from(&scoring)).transpose()?,
        nested: nested_path(nested)?,
    })
}

fn tokenizer_from(number: i32) -> Parsed<TokenizerType> {
    match proto::TokenizerType::try_from(number) {
        Ok(proto::TokenizerType::Prefix) => Ok(TokenizerType::Prefix),
        Ok(proto::TokenizerType::Whitespace) => Ok(TokenizerType::Whitespace),
        Ok(proto::TokenizerType::Word) => Ok(TokenizerType::Word),
        Ok(proto::TokenizerType::Multilingual) => Ok(TokenizerType::Multilingual),
        Ok(proto::TokenizerType::Code) => Ok(TokenizerType::Code),
        Ok(proto::TokenizerType::Unknown) | Err(_) => Err(unknown_value("tokenizer", number)),
    }
}

fn stopwords_from(message: proto::StopwordsSet) -> Parsed<StopwordsInterface> {
    let proto::StopwordsSet { languages, custom } = message;
    let languages = languages.into_iter().map(|name| named("stopwords.languages", name));
    let languages = languages.collect::<Parsed<std::collections::BTreeSet<_>>>()?;
    let custom: std::collections::BTreeSet<_> = custom.into_iter().collect();
    Ok(StopwordsInterface::Set(StopwordsSet {
        languages: (!languages.is_empty()).then_some(languages),
        custom: (!custom.is_empty()).then_some(custom),
    }))
}

fn stemmer_from(message: proto::StemmingAlgorithm) -> Parsed<StemmingAlgorithm> {
    Ok(match required(message.stemming_params, "stemmer")? {
        StemmingParams::Snowball(proto::SnowballParams { language }) => {
            StemmingAlgorithm::Snowball(SnowballParams {
                r#type: Snowball::Snowball,
                language: named("stemmer.language", language)?,
            })
        }
        StemmingParams::Disabled(proto::DisabledStemmer {}) => {
            StemmingAlgorithm::Disabled(DisabledStemmerParams { r#type: NoStemmer::None })
        }
    })
}

fn scoring_from(message: &proto::TextScoringParams) -> Parsed<TextScoringParams> {
    match proto::TextScoringType::try_from(message.r#type) {
        Ok(proto::TextScoringType::Bm25) => Ok(TextScoringParams { r#type: TextScoringType::Bm25 }),
        Err(_) => Err(unknown_value("scoring.type", message.r#type)),
    }
}

/// Where data is kept. An unset field leaves it to the engine.
pub(super) fn memory_from(number: Option<i32>) -> Parsed<Option<Memory>> {
    let Some(number) = number else { return Ok(None) };
    match proto::Memory::try_from(number) {
        Ok(proto::Memory::Cold) => Ok(Some(Memory::Cold)),
        Ok(proto::Memory::Cached) => Ok(Some(Memory::Cached)),
        Ok(proto::Memory::Pinned) => Ok(Some(Memory::Pinned)),
        Ok(proto::Memory::Unknown) | Err(_) => Err(unknown_value("memory", number)),
    }
}

/// Where data is kept, as a message's number.
pub(super) fn memory_number(memory: Option<Memory>) -> Option<i32> {
    memory.map(|memory| {
        i32::from(match memory {
            Memory::Cold => proto::Memory::Cold,
            Memory::Cached => proto::Memory::Cached,
            Memory::Pinned => proto::Memory::Pinned,
        })
    })
}

/// A value of an enumeration that the engine knows by its REST name, such as a language.
fn named<T: DeserializeOwned>(field: &str, name: String) -> Parsed<T> {
    serde_json::from_value(Json::String(name)).map_err(|error| invalid(field, error))
}
