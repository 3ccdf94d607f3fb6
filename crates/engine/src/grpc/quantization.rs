//! Quantization settings, both ways.
#![expect(deprecated, reason = "clients still send `always_ram`")]

use qdrant_client::qdrant::binary_quantization_query_encoding::{Setting, Variant};
use qdrant_client::qdrant::quantization_config::Quantization;
use qdrant_client::qdrant::{self as proto, QuantizationType};
use qdrant_edge::{
    BinaryQuantizationConfig, BinaryQuantizationEncoding, BinaryQuantizationQueryEncoding,
    CompressionRatio, ProductQuantizationConfig, QuantizationConfig, ScalarQuantizationConfig,
    ScalarType,
};
use serde_json::{Value as Json, json};

use super::index::{memory_from, memory_number};
use super::status::{Parsed, invalid, required, unknown_value};

/// How vectors are compressed.
pub(super) fn quantization(message: proto::QuantizationConfig) -> Parsed<QuantizationConfig> {
    quantization_kind(required(message.quantization, "quantization_config")?)
}

/// [`quantization`], once it is known that there is some.
pub(super) fn quantization_kind(kind: Quantization) -> Parsed<QuantizationConfig> {
    Ok(match kind {
        Quantization::Scalar(message) => scalar(&message)?.into(),
        Quantization::Product(message) => product(&message)?.into(),
        Quantization::Binary(message) => binary(&message)?.into(),
        Quantization::Turboquant(message) => turbo(&message)?,
    })
}

fn scalar(message: &proto::ScalarQuantization) -> Parsed<ScalarQuantizationConfig> {
    let &proto::ScalarQuantization { r#type, quantile, always_ram, memory } = message;
    let r#type = match QuantizationType::try_from(r#type) {
        Ok(QuantizationType::Int8) => ScalarType::Int8,
        Ok(QuantizationType::UnknownQuantization) | Err(_) => {
            return Err(unknown_value("quantization type", r#type));
        }
    };
    Ok(ScalarQuantizationConfig { r#type, quantile, always_ram, memory: memory_from(memory)? })
}

fn product(message: &proto::ProductQuantization) -> Parsed<ProductQuantizationConfig> {
    let &proto::ProductQuantization { compression, always_ram, memory } = message;
    let compression = match proto::CompressionRatio::try_from(compression) {
        Ok(proto::CompressionRatio::X4) => CompressionRatio::X4,
        Ok(proto::CompressionRatio::X8) => CompressionRatio::X8,
        Ok(proto::CompressionRatio::X16) => CompressionRatio::X16,
        Ok(proto::CompressionRatio::X32) => CompressionRatio::X32,
        Ok(proto::CompressionRatio::X64) => CompressionRatio::X64,
        Err(_) => return Err(unknown_value("compression", compression)),
    };
    Ok(ProductQuantizationConfig { compression, always_ram, memory: memory_from(memory)? })
}

fn binary(message: &proto::BinaryQuantization) -> Parsed<BinaryQuantizationConfig> {
    let &proto::BinaryQuantization { always_ram, encoding, query_encoding, memory } = message;
    let encoding = match encoding {
        None => None,
        Some(number) => Some(match proto::BinaryQuantizationEncoding::try_from(number) {
            Ok(proto::BinaryQuantizationEncoding::OneBit) => BinaryQuantizationEncoding::OneBit,
            Ok(proto::BinaryQuantizationEncoding::TwoBits) => BinaryQuantizationEncoding::TwoBits,
            Ok(proto::BinaryQuantizationEncoding::OneAndHalfBits) => {
                BinaryQuantizationEncoding::OneAndHalfBits
            }
            Err(_) => return Err(unknown_value("encoding", number)),
        }),
    };
    let query_encoding = match query_encoding {
        None => None,
        Some(message) => Some(match required(message.variant, "query_encoding")? {
            Variant::Setting(number) => match Setting::try_from(number) {
                Ok(Setting::Default) => BinaryQuantizationQueryEncoding::Default,
                Ok(Setting::Binary) => BinaryQuantizationQueryEncoding::Binary,
                Ok(Setting::Scalar4Bits) => BinaryQuantizationQueryEncoding::Scalar4Bits,
                Ok(Setting::Scalar8Bits) => BinaryQuantizationQueryEncoding::Scalar8Bits,
                Err(_) => return Err(unknown_value("query_encoding", number)),
            },
        }),
    };
    Ok(BinaryQuantizationConfig {
        always_ram,
        memory: memory_from(memory)?,
        encoding,
        query_encoding,
    })
}

/// The engine crate does not export the types of this kind, so it goes through their JSON form.
fn turbo(message: &proto::TurboQuantization) -> Parsed<QuantizationConfig> {
    let &proto::TurboQuantization { always_ram, bits, memory } = message;
    let bits = match bits {
        None => None,
        Some(number) => Some(match proto::TurboQuantBitSize::try_from(number) {
            Ok(proto::TurboQuantBitSize::Bits1) => "bits1",
            Ok(proto::TurboQuantBitSize::Bits15) => "bits1_5",
            Ok(proto::TurboQuantBitSize::Bits2) => "bits2",
            Ok(proto::TurboQuantBitSize::Bits4) => "bits4",
            Ok(proto::TurboQuantBitSize::Bits8) => "bits8",
            Err(_) => return Err(unknown_value("bits", number)),
        }),
    };
    let memory = memory_from(memory)?;
    let form = json!({"turbo": {"always_ram": always_ram, "memory": memory, "bits": bits}});
    serde_json::from_value(form).map_err(|error| invalid("turboquant", error))
}

/// How vectors are compressed, as a message.
pub(super) fn quantization_message(config: &QuantizationConfig) -> proto::QuantizationConfig {
    let kind = match config {
        QuantizationConfig::Scalar(inner) => Quantization::Scalar(proto::ScalarQuantization {
            r#type: match inner.scalar.r#type {
                ScalarType::Int8 => QuantizationType::Int8.into(),
            },
            quantile: inner.scalar.quantile,
            always_ram: inner.scalar.always_ram,
            memory: memory_number(inner.scalar.memory),
        }),
        QuantizationConfig::Product(inner) => Quantization::Product(proto::ProductQuantization {
            compression: match inner.product.compression {
                CompressionRatio::X4 => proto::CompressionRatio::X4.into(),
                CompressionRatio::X8 => proto::CompressionRatio::X8.into(),
                CompressionRatio::X16 => proto::CompressionRatio::X16.into(),
                CompressionRatio::X32 => proto::CompressionRatio::X32.into(),
                CompressionRatio::X64 => proto::CompressionRatio::X64.into(),
            },
            always_ram: inner.product.always_ram,
            memory: memory_number(inner.product.memory),
        }),
        QuantizationConfig::Binary(inner) => Quantization::Binary(binary_message(&inner.binary)),
        QuantizationConfig::Turbo(inner) => Quantization::Turboquant(proto::TurboQuantization {
            always_ram: inner.turbo.always_ram,
            bits: inner.turbo.bits.and_then(|bits| turbo_bits(&json!(bits))),
            memory: memory_number(inner.turbo.memory),
        }),
    };
    proto::QuantizationConfig { quantization: Some(kind) }
}

fn binary_message(config: &BinaryQuantizationConfig) -> proto::BinaryQuantization {
    let encoding = config.encoding.map(|encoding| {
        i32::from(match encoding {
            BinaryQuantizationEncoding::OneBit => proto::BinaryQuantizationEncoding::OneBit,
            BinaryQuantizationEncoding::TwoBits => proto::BinaryQuantizationEncoding::TwoBits,
            BinaryQuantizationEncoding::OneAndHalfBits => {
                proto::BinaryQuantizationEncoding::OneAndHalfBits
            }
        })
    });
    let query_encoding = config.query_encoding.map(|encoding| {
        let setting = match encoding {
            BinaryQuantizationQueryEncoding::Default => Setting::Default,
            BinaryQuantizationQueryEncoding::Binary => Setting::Binary,
            BinaryQuantizationQueryEncoding::Scalar4Bits => Setting::Scalar4Bits,
            BinaryQuantizationQueryEncoding::Scalar8Bits => Setting::Scalar8Bits,
        };
        proto::BinaryQuantizationQueryEncoding { variant: Some(Variant::Setting(setting.into())) }
    });
    proto::BinaryQuantization {
        always_ram: config.always_ram,
        encoding,
        query_encoding,
        memory: memory_number(config.memory),
    }
}

fn turbo_bits(name: &Json) -> Option<i32> {
    let bits = match name.as_str()? {
        "bits1" => proto::TurboQuantBitSize::Bits1,
        "bits1_5" => proto::TurboQuantBitSize::Bits15,
        "bits2" => proto::TurboQuantBitSize::Bits2,
        "bits4" => proto::TurboQuantBitSize::Bits4,
        "bits8" => proto::TurboQuantBitSize::Bits8,
        _ => return None,
    };
    Some(bits.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_survives_the_round_trip() {
        let kinds = [
            Quantization::Scalar(proto::ScalarQuantization {
                r#type: QuantizationType::Int8.into(),
                quantile: Some(0.99),
                always_ram: Some(true),
                memory: None,
            }),
            Quantization::Product(proto::ProductQuantization {
                compression: proto::CompressionRatio::X16.into(),
                always_ram: None,
                memory: Some(proto::Memory::Cached.into()),
            }),
            Quantization::Binary(proto::BinaryQuantization {
                always_ram: None,
                encoding: Some(proto::BinaryQuantizationEncoding::TwoBits.into()),
                query_encoding: Some(proto::BinaryQuantizationQueryEncoding {
                    variant: Some(Variant::Setting(Setting::Scalar8Bits.into())),
                }),
                memory: None,
            }),
            Quantization::Turboquant(proto::TurboQuantization {
                always_ram: None,
                bits: Some(proto::TurboQuantBitSize::Bits15.into()),
                memory: Some(proto::Memory::Pinned.into()),
            }),
        ];
        for kind in kinds {
            let parsed = quantization_kind(kind).expect("valid");
            assert_eq!(quantization_message(&parsed).quantization, Some(kind));
        }
    }
}
