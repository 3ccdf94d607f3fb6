//! Point ids, both ways.

use qdrant_client::qdrant::{self as proto, point_id::PointIdOptions};
use qdrant_edge::PointId;

use tonic::Status;

use super::status::{Parsed, invalid, missing};

/// A message's id: a number, or a UUID in any of its written forms.
pub(super) fn id(message: proto::PointId) -> Parsed<PointId> {
    match message.point_id_options.ok_or_else(|| missing("point id"))? {
        PointIdOptions::Num(number) => Ok(PointId::NumId(number)),
        PointIdOptions::Uuid(text) => text.parse().map(PointId::Uuid).map_err(|_| not_an_id(&text)),
    }
}

fn not_an_id(text: &str) -> Status {
    invalid(
        "point id",
        format_args!(
            "value {text} is not a valid point ID, valid values are either an unsigned integer or a UUID"
        ),
    )
}

/// [`id`] for a list.
pub(super) fn ids(messages: Vec<proto::PointId>) -> Parsed<Vec<PointId>> {
    messages.into_iter().map(id).collect()
}

/// An id that the message may leave out, but the request cannot.
pub(super) fn required_id(message: Option<proto::PointId>) -> Parsed<PointId> {
    id(message.ok_or_else(|| missing("point id"))?)
}

/// An id as a message.
pub(super) fn id_message(id: PointId) -> proto::PointId {
    let options = match id {
        PointId::NumId(number) => PointIdOptions::Num(number),
        PointId::Uuid(uuid) => PointIdOptions::Uuid(uuid.to_string()),
    };
    proto::PointId { point_id_options: Some(options) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_uuid_is_refused_in_upstream_words() {
        let message = proto::PointId {
            point_id_options: Some(PointIdOptions::Uuid("chunk::doc123::0".into())),
        };
        let status = id(message).expect_err("refused");
        assert!(status.message().contains("is not a valid point ID"), "{status}");
    }

    #[test]
    fn both_kinds_survive_the_round_trip() {
        let uuid = "550e8400-e29b-41d4-a716-446655440000".parse().expect("a uuid");
        for original in [PointId::NumId(u64::MAX), PointId::Uuid(uuid)] {
            assert_eq!(id(id_message(original)).expect("valid"), original);
        }
    }
}
