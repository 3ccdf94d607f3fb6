//! Payload indexes as they are told: their type, parameters and number of points.
#![expect(deprecated, reason = "clients still read `on_disk`")]

use qdrant_client::qdrant::payload_index_params::IndexParams;
use qdrant_client::qdrant::stemming_algorithm::StemmingParams;
use qdrant_client::qdrant::{self as proto};
use qdrant_edge::{
    PayloadIndexInfo, PayloadSchemaParams, PayloadSchemaType, StemmingAlgorithm,
    StopwordsInterface, StopwordsSet, TextIndexParams, TextScoringType, TokenizerType,
};
use serde::Serialize;
use serde_json::Value as Json;

use super::index::memory_number;

/// An index that is there, with the number of points it holds.
pub(super) fn info_message(info: PayloadIndexInfo) -> proto::PayloadSchemaInfo {
    let PayloadIndexInfo { data_type, params, points } = info;
    let data_type = match data_type {
        PayloadSchemaType::Keyword => proto::PayloadSchemaType::Keyword,
        PayloadSchemaType::Integer => proto::PayloadSchemaType::Integer,
        PayloadSchemaType::Float => proto::PayloadSchemaType::Float,
        PayloadSchemaType::Geo => proto::PayloadSchemaType::Geo,
        PayloadSchemaType::Text => proto::PayloadSchemaType::Text,
        PayloadSchemaType::Bool => proto::PayloadSchemaType::Bool,
        PayloadSchemaType::Datetime => proto::PayloadSchemaType::Datetime,
        PayloadSchemaType::Uuid => proto::PayloadSchemaType::Uuid,
    };
    proto::PayloadSchemaInfo {
        data_type: data_type.into(),
        params: params
            .map(|params| proto::PayloadIndexParams { index_params: Some(params_message(params)) }),
        points: Some(points as u64),
    }
}

fn params_message(params: PayloadSchemaParams) -> IndexParams {
    let nested = params.nested().map(ToString::to_string);
    match params {
        PayloadSchemaParams::Keyword(params) => {
            IndexParams::KeywordIndexParams(proto::KeywordIndexParams {
                is_tenant: params.is_tenant,
                on_disk: params.on_disk,
                enable_hnsw: params.enable_hnsw,
                prefix: (params.prefix == Some(true)).then_some(proto::KeywordPrefixParams {}),
                memory: memory_number(params.memory),
                nested,
            })
        }
        PayloadSchemaParams::Integer(params) => {
            IndexParams::IntegerIndexParams(proto::IntegerIndexParams {
                lookup: params.lookup,
                range: params.range,
                is_principal: params.is_principal,
                on_disk: params.on_disk,
                enable_hnsw: params.enable_hnsw,
                memory: memory_number(params.memory),
                nested,
            })
        }
        PayloadSchemaParams::Float(params) => {
            IndexParams::FloatIndexParams(proto::FloatIndexParams {
                on_disk: params.on_disk,
                is_principal: params.is_principal,
                enable_hnsw: params.enable_hnsw,
                memory: memory_number(params.memory),
                nested,
            })
        }
        PayloadSchemaParams::Geo(params) => IndexParams::GeoIndexParams(proto::GeoIndexParams {
            on_disk: params.on_disk,
            enable_hnsw: params.enable_hnsw,
            memory: memory_number(params.memory),
            nested,
        }),
        PayloadSchemaParams::Text(params) => {
            IndexParams::TextIndexParams(text_message(params, nested))
        }
        PayloadSchemaParams::Bool(params) => IndexParams::BoolIndexParams(proto::BoolIndexParams {
            on_disk: params.on_disk,
            enable_hnsw: params.enable_hnsw,
            memory: memory_number(params.memory),
            nested,
        }),
        PayloadSchemaParams::Datetime(params) => {
            IndexParams::DatetimeIndexParams(proto::DatetimeIndexParams {
                on_disk: params.on_disk,
                is_principal: params.is_principal,
                enable_hnsw: params.enable_hnsw,
                memory: memory_number(params.memory),
                nested,
            })
        }
        PayloadSchemaParams::Uuid(params) => IndexParams::UuidIndexParams(proto::UuidIndexParams {
            is_tenant: params.is_tenant,
            on_disk: params.on_disk,
            enable_hnsw: params.enable_hnsw,
            memory: memory_number(params.memory),
            nested,
        }),
    }
}

fn text_message(params: TextIndexParams, nested: Option<String>) -> proto::TextIndexParams {
    let tokenizer = match params.tokenizer {
        TokenizerType::Prefix => proto::TokenizerType::Prefix,
        TokenizerType::Whitespace => proto::TokenizerType::Whitespace,
        TokenizerType::Word => proto::TokenizerType::Word,
        TokenizerType::Multilingual => proto::TokenizerType::Multilingual,
        TokenizerType::Code => proto::TokenizerType::Code,
    };
    let stemming = params.stemmer.map(|stemmer| match stemmer {
        StemmingAlgorithm::Snowball(snowball) => StemmingParams::Snowball(proto::SnowballParams {
            language: name_of(&snowball.language),
        }),
        StemmingAlgorithm::Disabled(_) => StemmingParams::Disabled(proto::DisabledStemmer {}),
    });
    proto::TextIndexParams {
        tokenizer: tokenizer.into(),
        lowercase: params.lowercase,
        min_token_len: params.min_token_len.map(|len| len as u64),
        max_token_len: params.max_token_len.map(|len| len as u64),
        on_disk: params.on_disk,
        stopwords: params.stopwords.map(stopwords_message),
        phrase_matching: params.phrase_matching,
        stemmer: stemming.map(|params| proto::StemmingAlgorithm { stemming_params: Some(params) }),
        ascii_folding: params.ascii_folding,
        enable_hnsw: params.enable_hnsw,
        memory: memory_number(params.memory),
        scoring: params.scoring.map(|scoring| match scoring.r#type {
            TextScoringType::Bm25 => {
                proto::TextScoringParams { r#type: proto::TextScoringType::Bm25.into() }
            }
        }),
        nested,
    }
}

fn stopwords_message(stopwords: StopwordsInterface) -> proto::StopwordsSet {
    match stopwords {
        StopwordsInterface::Language(language) => {
            proto::StopwordsSet { languages: vec![name_of(&language)], custom: Vec::new() }
        }
        StopwordsInterface::Set(StopwordsSet { languages, custom }) => proto::StopwordsSet {
            languages: languages.iter().flatten().map(name_of).collect(),
            custom: custom.into_iter().flatten().collect(),
        },
    }
}

/// The REST name of a value that the engine knows by name, such as a language.
fn name_of(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Json::String(name)) => name,
        Ok(_) | Err(_) => String::new(),
    }
}
